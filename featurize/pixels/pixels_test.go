package pixels_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// The geometries of testdata/golden.py.
var geometries = map[string]*pixels.Geometry{
	"decoded": nil,
	"256c224": {Resize: 256, CropCenter: true, Width: 224, Height: 224},
	"bicubic": {Resize: 236, CropCenter: true, Width: 224, Height: 224, Interpolation: pixels.Bicubic},
	"exact32": {Width: 32, Height: 32},
	"odd":     {Width: 97, Height: 41, Interpolation: pixels.Bicubic},
	"padded":  {Resize: 40, CropCenter: true, Width: 67, Height: 90},
	"coarse":  {PreResize: 32, Resize: 73, CropCenter: true, Width: 64, Height: 60},
}

type worker struct {
	decoder   *pixels.Decoder
	resampler pixels.Resampler
	image     pixels.Image
	out       []uint8
}

// digest is what golden.py computes; "error" where the image is refused.
func (w *worker) digest(data []byte, g *pixels.Geometry) string {
	if _, err := w.decoder.Decode(&w.image, data); err != nil {
		return "error"
	}
	width, height, pix := w.image.Width, w.image.Height, w.image.Pix
	if g != nil {
		width, height = g.Width, g.Height
		w.out = slices.Grow(w.out[:0], width*height*3)[:width*height*3]
		if err := w.resampler.Apply(w.out, &w.image, *g); err != nil {
			return err.Error()
		}
		pix = w.out
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", width, height)
	h.Write(pix)
	return hex.EncodeToString(h.Sum(nil))
}

func shared() string {
	if d := os.Getenv("RTX_SHARED_DATA"); d != "" {
		return d
	}
	return filepath.Join("..", "..", "..", "shared", "data")
}

// TestPillow compares with Pillow's pixels, for every file of the test data.
func TestPillow(t *testing.T) {
	if name, _ := pixels.JPEGDecoder(); name != "libjpeg-turbo" {
		t.Skip("libjpeg-turbo was not found (apt-get install libturbojpeg0): only with it do the pixels equal Pillow's")
	}
	f, err := os.Open("testdata/golden.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &worker{decoder: pixels.NewDecoder(pixels.DecodeConfig{})}
	defer w.decoder.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			t.Log(lines.Text())
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		set, file, geometry, want := c[0], c[1], c[2], c[3]
		t.Run(set+"/"+file+"/"+geometry, func(t *testing.T) {
			got := ""
			switch set {
			case "own":
				got = w.digest(read(t, filepath.Join("testdata", "images", file)), geometries[geometry])
			case "variants":
				got = w.digest(read(t, filepath.Join("testdata", "variants", file)), geometries[geometry])
			case "pillow":
				got = w.digest(read(t, filepath.Join(shared(), "pillow", file)), geometries[geometry])
			case "tar":
				if testing.Short() {
					t.Skip("thousands of images")
				}
				got = tarDigest(t, w, filepath.Join(shared(), "images", file+".tar"), geometries[geometry])
			}
			if got != want && !differs[file] {
				t.Errorf("digest %s, Pillow's is %s", got, want)
			}
		})
	}
}

// Files of which the pixels are not Pillow's, in TestPillow: those that it reads and
// this package does not (TestNamed), and numbers in big-endian order, whose bytes
// Pillow swaps where they are compressed (TestByteOrder).
var differs = map[string]bool{
	"fax2.tif": true, "fax3-2d.tif": true, "lab.tif": true, "lzma.tif": true,
	"float-mm-8.tif": true, "float-mm-32773.tif": true, "int16-mm-8.tif": true, "int16-mm-32773.tif": true,
	"int32-mm-8.tif": true, "int32-mm-32773.tif": true, "predictor-mm-32-1.tif": true,
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tarDigest(t *testing.T, w *worker, file string, g *pixels.Geometry) string {
	t.Helper()
	digests := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(read(t, file))); ; {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if s := strings.ToLower(path.Ext(e.Name)); e.Typeflag != tar.TypeReg || s != ".jpg" && s != ".jpeg" && s != ".png" {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		digests[e.Name] = w.digest(data, g)
	}
	names := []string{}
	for n := range digests {
		names = append(names, n)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		h.Write([]byte(digests[n] + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestPureGo measures how far Go's JPEG decoder is from libjpeg-turbo.
func TestPureGo(t *testing.T) {
	if name, _ := pixels.JPEGDecoder(); name != "libjpeg-turbo" {
		t.Skip("libjpeg-turbo was not found (apt-get install libturbojpeg0)")
	}
	for _, name := range []string{"jpeg-444", "jpeg-422", "jpeg-420", "jpeg-grey", "jpeg-cmyk", "jpeg-progressive"} {
		data := read(t, filepath.Join("testdata", "images", name+".jpg"))
		var a, b pixels.Image
		for pure, m := range map[bool]*pixels.Image{false: &a, true: &b} {
			d := pixels.NewDecoder(pixels.DecodeConfig{PureGo: pure})
			if _, err := d.Decode(m, data); err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
		most, sum := 0, 0
		for i := range a.Pix {
			d := int(a.Pix[i]) - int(b.Pix[i])
			most, sum = max(most, d, -d), sum+max(d, -d)
		}
		mean := float64(sum) / float64(len(a.Pix))
		t.Logf("%s: mean %.3f, most %d of 255", name, mean, most)
		if mean > 0.5 || most > 8 {
			t.Errorf("%s: mean difference %.3f, most %d", name, mean, most)
		}
	}
}

func TestExifRotation(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 16, 8))
	for x := range 16 {
		for y := range 8 {
			m.Set(x, y, color.Gray{uint8(255 * (x / 8))}) // dark left, bright right
		}
	}
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
	data := "\xff\xd8\xff\xe1" + string([]byte{0, byte(len(exif) + 2)}) + exif + plain.String()[2:]
	for _, c := range []struct {
		rotate bool
		w, h   int
	}{{false, 16, 8}, {true, 8, 16}} {
		d := pixels.NewDecoder(pixels.DecodeConfig{ExifRotate: c.rotate})
		defer d.Close()
		var got pixels.Image
		if _, err := d.Decode(&got, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got.Width != c.w || got.Height != c.h {
			t.Errorf("rotate %v: %dx%d", c.rotate, got.Width, got.Height)
		}
		if first, last := got.Pix[0], got.Pix[len(got.Pix)-1]; first > 10 || last < 245 {
			t.Errorf("rotate %v: corners %d and %d, want dark and bright", c.rotate, first, last)
		}
	}
}

func TestRefuses(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{MaxPixels: 1000})
	defer d.Close()
	var big bytes.Buffer
	if err := png.Encode(&big, image.NewGray(image.Rect(0, 0, 40, 40))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, want string }{
		"empty": {"", "empty"},
		"text":  {"hello, world", "not an image"},
		"bomb":  {big.String(), "limit is 1000"},
		"jpeg":  {"\xff\xd8\xff\xe0\x00\x10", "jpeg:"},
		"gif":   {"GIF89a\x01\x00", "truncated"},
	} {
		var m pixels.Image
		if _, err := d.Decode(&m, []byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// TestWindow compares a crop with the same part of the whole.
func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s pixels.Resampler
	for range 200 {
		m := random(r, 1+r.IntN(80), 1+r.IntN(80))
		g := pixels.Geometry{Resize: 1 + r.IntN(60), CropCenter: true, Interpolation: pixels.Interpolation(r.IntN(2))}
		long := int(float64(g.Resize*max(m.Width, m.Height)) / float64(min(m.Width, m.Height)))
		w, h := long, g.Resize
		if m.Width <= m.Height {
			w, h = g.Resize, long
		}
		g.Width, g.Height = 1+r.IntN(w), 1+r.IntN(h)
		whole, part := make([]uint8, w*h*3), make([]uint8, g.Width*g.Height*3)
		if err := s.Apply(whole, m, pixels.Geometry{Width: w, Height: h, Interpolation: g.Interpolation}); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(part, m, g); err != nil {
			t.Fatal(err)
		}
		x0, y0 := int(math.RoundToEven(float64(w-g.Width)/2)), int(math.RoundToEven(float64(h-g.Height)/2))
		for y := range g.Height {
			if !bytes.Equal(part[y*g.Width*3:][:g.Width*3], whole[((y0+y)*w+x0)*3:][:g.Width*3]) {
				t.Fatalf("%dx%d %+v: row %d differs", m.Width, m.Height, g, y)
			}
		}
	}
	if err := s.Apply(make([]uint8, 5), random(r, 3, 3), pixels.Geometry{Width: 2, Height: 2}); err == nil {
		t.Error("a destination of the wrong length was accepted")
	}
}

func random(r *rand.Rand, w, h int) *pixels.Image {
	m := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
	}
	return m
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.*")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	decoders := []*pixels.Decoder{
		pixels.NewDecoder(pixels.DecodeConfig{MaxPixels: 1 << 20, ExifRotate: true}),
		pixels.NewDecoder(pixels.DecodeConfig{MaxPixels: 1 << 20, PureGo: true}),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range decoders {
			var m pixels.Image
			if _, err := d.Decode(&m, data); err == nil && len(m.Pix) != m.Width*m.Height*3 {
				t.Errorf("%dx%d has %d bytes", m.Width, m.Height, len(m.Pix))
			}
		}
	})
}

// photo is a picture with detail, 500x375, as a JPEG of quality 90, 4:2:0.
func photo(tb testing.TB) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	m := image.NewRGBA(image.Rect(0, 0, 500, 375))
	for x := range 500 {
		for y := range 375 {
			v := 128 + 60*math.Sin(float64(x*y)/900) + 40*math.Sin(float64(x)/7) + 12*r.NormFloat64()
			m.Set(x, y, color.RGBA{uint8(min(255, max(0, v))), uint8(min(255, max(0, v+20*math.Cos(float64(y)/19)))), uint8(x / 2), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) { benchmark(b, true, false) }
func BenchmarkResize(b *testing.B) { benchmark(b, false, true) }
func BenchmarkBoth(b *testing.B)   { benchmark(b, true, true) }

func benchmark(b *testing.B, decode, resize bool) {
	data := photo(b)
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var m pixels.Image
	var r pixels.Resampler
	out := make([]uint8, 224*224*3)
	if _, err := d.Decode(&m, data); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if decode {
			if _, err := d.Decode(&m, data); err != nil {
				b.Fatal(err)
			}
		}
		if resize {
			if err := r.Apply(out, &m, *geometries["256c224"]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
