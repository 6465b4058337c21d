package augment

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// encoded is an image file whose pixels depend on a number.
func encoded(t *testing.T, name string, k int) []byte {
	t.Helper()
	w, h := 20+k%13, 18+k%7
	src := drawn(w, h)
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		p := src.Pix[3*i:]
		m.SetNRGBA(i%w, i/w, color.NRGBA{p[0] + uint8(k*31), p[1], p[2] ^ uint8(k), 255})
	}
	var b bytes.Buffer
	var err error
	if strings.HasSuffix(name, ".png") {
		err = png.Encode(&b, m)
	} else {
		err = jpeg.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// files are n images of each class in each of the folders, by path.
func files(t *testing.T, n int, folders ...string) map[string][]byte {
	all := map[string][]byte{}
	for f, folder := range folders {
		for i := range n {
			name := fmt.Sprintf("%s/%02d.%s", folder, i, []string{"png", "jpg"}[i%2])
			all[name] = encoded(t, name, f*n+i)
		}
	}
	return all
}

func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func written(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func listing(t *testing.T, name string) *featurize.Listing {
	t.Helper()
	l, err := featurize.Source(t.Context(), name, featurize.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var small = featurize.Transform{Geometry: pixels.Geometry{Resize: 14, CropCenter: true, Width: 12, Height: 10}}

func open(t *testing.T, name string, c Config) *Data {
	t.Helper()
	d, err := Open(t.Context(), listing(t, name), small, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// rows loads rows of a split, size at a time.
func rows(t *testing.T, d *Data, s Split, which []int, epoch, size int) (images []float32, labels []int) {
	t.Helper()
	width := 3 * d.transform.Geometry.Width * d.transform.Geometry.Height
	images, labels = make([]float32, len(which)*width), make([]int, len(which))
	for from := 0; from < len(which); from += size {
		to := min(from+size, len(which))
		if err := d.Images(t.Context(), s, which[from:to], epoch, images[from*width:to*width], labels[from:to]); err != nil {
			t.Fatal(err)
		}
	}
	return images, labels
}

func all(n int) []int {
	r := make([]int, n)
	for i := range r {
		r[i] = i
	}
	return r
}

// recorder is a network without features that records its input.
type recorder struct{ pixels []uint8 }

func (r *recorder) Run(_ context.Context, _ int, src []uint8, _ ...[]float32) error {
	r.pixels = append(r.pixels, src...)
	return nil
}

// TestEvaluationRows: every row has the same pixels and label as in featurize.
func TestEvaluationRows(t *testing.T) {
	root := folder(t, files(t, 5, "train/b", "train/a", "valid/b", "valid/a", "test/c", "test/a"))
	for _, bgr := range []bool{false, true} {
		d := open(t, root, Config{Workers: 3, BGR: bgr})
		if got := []int{d.Rows(Training), d.Rows(Validation), d.Rows(Test)}; !slices.Equal(got, []int{10, 10, 10}) || d.HeldOut() {
			t.Fatalf("rows %v, held out %v", got, d.HeldOut())
		}
		if !slices.Equal(d.Classes(), []string{"a", "b", "c"}) {
			t.Fatalf("classes %v", d.Classes())
		}
		for _, s := range []Split{Training, Validation, Test} {
			var samples []featurize.Sample
			for row := range d.Rows(s) {
				samples = append(samples, d.Sample(s, row))
			}
			n := len(samples)
			network := &recorder{}
			x := featurize.Extractor{Network: network, Transform: small, BatchSize: n, RowSize: 1, Workers: 2}
			each := func(yield func(featurize.Sample, error) bool) {
				for _, s := range samples {
					if !yield(s, nil) {
						return
					}
				}
			}
			if err := x.Extract(t.Context(), each, func([]featurize.Result) error { return nil }); err != nil {
				t.Fatal(err)
			}
			images, labels := rows(t, d, s, all(n), 0, 4)
			for row := range n {
				if labels[row] != samples[row].Label || d.Classes()[labels[row]] != strings.Split(samples[row].Path, "/")[1] || samples[row].Split != s.String() {
					t.Errorf("%s: label %d of %q in %q", s, labels[row], samples[row].Path, samples[row].Split)
				}
				for i := range 120 {
					for c := range 3 {
						plane := c
						if bgr {
							plane = 2 - c
						}
						if got, want := images[row*360+plane*120+i], float32(network.pixels[row*360+3*i+c])/255; got != want {
							t.Fatalf("%s row %d, channel %d, pixel %d: %v, featurize has %v", s, row, c, i, got, want)
						}
					}
				}
			}
		}
	}
}

// TestSources: folders, archives, streams and lists of the same images give the
// same rows, also when they are read again.
func TestSources(t *testing.T) {
	images := files(t, 6, "data/train/a", "data/train/b", "data/test/a", "data/test/b")
	var tarred, zipped, list bytes.Buffer
	tw, zw := tar.NewWriter(&tarred), zip.NewWriter(&zipped)
	list.WriteString("path,label,split\n")
	for _, name := range slices.Sorted(maps.Keys(images)) {
		data := images[name]
		w, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(data)
		if err := errors.Join(err, tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644})); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(data); err != nil {
			t.Fatal(err)
		}
		part := strings.Split(name, "/")
		fmt.Fprintf(&list, "%s,%s,%s\n", name, part[2], part[1])
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(tarred.Bytes())
	z.Close()
	root := folder(t, images)
	if err := os.WriteFile(filepath.Join(root, "list.csv"), list.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	policy := Policy{Padded: &PaddedCrop{Padding: 2}, Flip: 0.5}
	var want []float32
	for _, name := range []string{
		filepath.Join(root, "data"), written(t, "x.tar", tarred.Bytes()), written(t, "x.zip", zipped.Bytes()),
		filepath.Join(root, "list.csv"), written(t, "x.tar.gz", packed.Bytes()),
	} {
		for _, cache := range []int64{0, -1, 5000} {
			d := open(t, name, Config{Workers: 2, Policy: policy, Cache: cache, Seed: 4})
			var got []float32
			for _, s := range []Split{Training, Validation, Test} {
				for epoch := range 3 {
					x, _ := rows(t, d, s, all(d.Rows(s)), epoch, 5)
					got = append(got, x...)
				}
			}
			if d.Rows(Training) != 10 || d.Rows(Validation) != 2 || d.Rows(Test) != 12 {
				t.Errorf("%s: %d, %d and %d rows", name, d.Rows(Training), d.Rows(Validation), d.Rows(Test))
			}
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("%s, cache %d: rows differ from the folder's", filepath.Base(name), cache)
			}
		}
	}
	if _, err := Open(t.Context(), listing(t, written(t, "y.tar.gz", packed.Bytes())), small, Config{StreamLimit: 2000}); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "2000 bytes") {
		t.Errorf("a stream that is too long: %v", err)
	}
}

// TestWorkers: a row does not depend on workers, batches, order or cache, but on the
// epoch and the seed.
func TestWorkers(t *testing.T) {
	root := folder(t, files(t, 9, "a", "b"))
	for name, p := range map[string]Policy{
		"resized": {Resized: &ResizedCrop{}, Flip: 0.5, Jitter: Jitter{0.4, 0.4, 0.4, 0.1}},
		"padded":  {Padded: &PaddedCrop{Padding: 3, Reflect: true}, Flip: 0.5},
		"flip":    {Flip: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			plain, _ := rows(t, open(t, root, Config{ValFraction: -1}), Training, all(18), 0, 18)
			var want []float32
			for _, c := range []Config{{Workers: 1}, {Workers: 7}, {Workers: 3, Cache: -1}, {Workers: 3, Cache: 9000}} {
				c.Policy, c.Seed, c.ValFraction = p, 11, -1
				d := open(t, root, c)
				for _, size := range []int{1, 5, 18} {
					x, _ := rows(t, d, Training, all(18), 3, size)
					if want == nil {
						want = x
					}
					if !slices.Equal(x, want) {
						t.Fatalf("workers %d, cache %d, batches of %d: rows differ", c.Workers, c.Cache, size)
					}
				}
				back, labels := rows(t, d, Training, []int{17, 4}, 3, 2)
				if !slices.Equal(back[:360], want[17*360:]) || !slices.Equal(back[360:], want[4*360:5*360]) || !slices.Equal(labels, []int{1, 0}) {
					t.Error("rows in another order differ")
				}
				if x, _ := rows(t, d, Training, all(18), 4, 18); slices.Equal(x, want) {
					t.Error("another epoch looks the same")
				}
				if x, _ := rows(t, d, Training, all(18), -1, 18); !slices.Equal(x, plain) {
					t.Error("a negative epoch does not give the evaluation transform")
				}
				kept := int64(0)
				for i := range d.cache {
					if m := d.cache[i].Load(); m != nil {
						kept += int64(len(m.Pix))
					}
				}
				if c.Cache < 0 && kept > 0 || c.Cache > 0 && (kept > c.Cache || kept+d.cacheRoom.Load() != c.Cache || kept < c.Cache/2) || c.Cache == 0 && kept == 0 {
					t.Errorf("cache %d holds %d bytes, room for %d", c.Cache, kept, d.cacheRoom.Load())
				}
				d.Reseed(12)
				if x, _ := rows(t, d, Training, all(18), 3, 18); slices.Equal(x, want) {
					t.Error("another seed looks the same")
				}
			}
		})
	}
}

// TestHoldout: without validation images, a share of each class is held out, the same for
// each seed, and is not augmented, whatever is in the cache.
func TestHoldout(t *testing.T) {
	root := folder(t, files(t, 20, "a", "b", "c"))
	c := Config{Policy: Policy{Resized: &ResizedCrop{}}, Seed: 5, ValFraction: 0.2, Workers: 2}
	paths := func(d *Data, s Split) (p []string) {
		for row := range d.Rows(s) {
			p = append(p, d.Sample(s, row).Path)
		}
		return p
	}
	d := open(t, root, c)
	x, labels := rows(t, d, Validation, all(12), 0, 12)
	if d.Rows(Training) != 48 || d.Rows(Validation) != 12 || d.Rows(Test) != 0 || !d.HeldOut() {
		t.Fatalf("%d, %d and %d rows, held out %v", d.Rows(Training), d.Rows(Validation), d.Rows(Test), d.HeldOut())
	}
	if !slices.Equal(labels, []int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}) {
		t.Errorf("labels held out: %v", labels)
	}
	for _, p := range paths(d, Validation) {
		if slices.Contains(paths(d, Training), p) {
			t.Errorf("%q is in both splits", p)
		}
	}
	if y, _ := rows(t, d, Validation, all(12), 7, 12); !slices.Equal(x, y) {
		t.Error("held-out rows differ from epoch to epoch")
	}
	c.Cache = -1
	plain := open(t, root, Config{Seed: 5, ValFraction: 0.2})
	if y, _ := rows(t, plain, Validation, all(12), 0, 12); !slices.Equal(x, y) {
		t.Error("held-out rows are not those of the evaluation transform")
	}
	if !slices.Equal(paths(d, Validation), paths(open(t, root, c), Validation)) {
		t.Error("the same seed holds out other rows")
	}
	c.Seed = 6
	if slices.Equal(paths(d, Validation), paths(open(t, root, c), Validation)) {
		t.Error("another seed holds out the same rows")
	}
}

// TestGroups: all images of a group are in the same split.
func TestGroups(t *testing.T) {
	images := files(t, 12, "a", "b")
	root := folder(t, images)
	list := "path,label,group,split\n"
	for i, name := range slices.Sorted(maps.Keys(images)) {
		split := ""
		if i%12 == 0 {
			split = "test"
		}
		list += fmt.Sprintf("%s,%s,g%d,%s\n", name, name[:1], i/3, split)
	}
	if err := os.WriteFile(filepath.Join(root, "l.csv"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	d := open(t, filepath.Join(root, "l.csv"), Config{ValFraction: 0.3})
	seen := map[string]Split{}
	for _, s := range []Split{Training, Validation} {
		for row := range d.Rows(s) {
			g := d.Sample(s, row).Group
			if other, ok := seen[g]; ok && other != s {
				t.Errorf("group %s is in %s and %s", g, other, s)
			}
			seen[g] = s
		}
	}
	if d.Rows(Validation) == 0 || d.Rows(Test) != 2 || d.Rows(Training)+d.Rows(Validation) != 22 {
		t.Errorf("%d, %d and %d rows", d.Rows(Training), d.Rows(Validation), d.Rows(Test))
	}
}

// TestCorrupt: images that cannot be decoded are not rows, each is reported once, and a
// known check is not repeated.
func TestCorrupt(t *testing.T) {
	images := files(t, 4, "a", "b")
	images["a/01.jpg"] = images["a/01.jpg"][:200]
	images["b/00.png"] = []byte("no image")
	root := folder(t, images)
	if err := os.Symlink("nowhere", filepath.Join(root, "b", "broken.png")); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	c := Config{ValFraction: -1, Workers: 3, Progress: func(done, of int) {
		if told.Add(1); of != 9 || done > of {
			t.Errorf("progress %d of %d", done, of)
		}
	}}
	d := open(t, root, c)
	check := d.Check()
	var failed []string
	for _, f := range check.Failed {
		failed = append(failed, f.Path)
		if f.Reason == "" || strings.Contains(f.Reason, root) {
			t.Errorf("%q: reason %q", f.Path, f.Reason)
		}
	}
	if !slices.Equal(failed, []string{"a/01.jpg", "b/00.png", "b/broken.png"}) || told.Load() != 9 {
		t.Errorf("failed %v, told %d", failed, told.Load())
	}
	want, labels := rows(t, d, Training, all(6), 0, 6)
	if d.Rows(Training) != 6 || !slices.Equal(labels, []int{0, 0, 0, 1, 1, 1}) {
		t.Errorf("%d rows, labels %v", d.Rows(Training), labels)
	}

	told.Store(0)
	c.Known = &check
	again := open(t, root, c)
	if x, _ := rows(t, again, Training, all(6), 0, 4); !slices.Equal(x, want) || told.Load() != 0 {
		t.Errorf("with a known check: %d images checked, or rows differ", told.Load())
	}
	if err := os.WriteFile(filepath.Join(root, "b", "00.png"), images["b/02.png"], 0o644); err != nil {
		t.Fatal(err)
	}
	if mended := open(t, root, c); told.Load() != 9 || mended.Rows(Training) != 7 {
		t.Errorf("other data: %d images checked, %d rows", told.Load(), mended.Rows(Training))
	}
}

func TestRefused(t *testing.T) {
	ctx := t.Context()
	flat := folder(t, map[string][]byte{"x.png": encoded(t, "x.png", 1)})
	bad := folder(t, map[string][]byte{"a/x.png": []byte("?"), "b/x.png": nil})
	good := folder(t, files(t, 3, "a", "b"))
	for name, c := range map[string]struct {
		root   string
		config Config
		says   string
	}{
		"flat":     {flat, Config{}, "no image has a class"},
		"bad":      {bad, Config{}, "no images to train on"},
		"policy":   {good, Config{Policy: Policy{Flip: 2}}, "flip"},
		"fraction": {good, Config{ValFraction: 1}, "share to validate"},
	} {
		if _, err := Open(ctx, listing(t, c.root), small, c.config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		} else if data := name == "flat" || name == "bad"; errors.Is(err, featurize.ErrData) != data {
			t.Errorf("%s: ErrData is %v: %v", name, !data, err)
		}
	}
	d := open(t, good, Config{Cache: -1, ValFraction: -1})
	if err := d.Images(ctx, Training, []int{6}, 0, make([]float32, 360), make([]int, 1)); err == nil || !strings.Contains(err.Error(), "row 6") {
		t.Errorf("a row that is not there: %v", err)
	}
	if err := d.Images(ctx, Training, []int{0}, 0, make([]float32, 359), make([]int, 1)); err == nil || !strings.Contains(err.Error(), "359 values") {
		t.Errorf("a short destination: %v", err)
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if err := d.Images(stopped, Training, []int{0}, 0, make([]float32, 360), make([]int, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	if _, err := Open(stopped, listing(t, good), small, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("opened after its context: %v", err)
	}
	if err := os.Remove(filepath.Join(good, "a", "00.png")); err != nil {
		t.Fatal(err)
	}
	if err := d.Images(ctx, Training, []int{1, 0}, 0, make([]float32, 720), make([]int, 2)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "a/00.png") {
		t.Errorf("a file that is gone: %v", err)
	}
}
