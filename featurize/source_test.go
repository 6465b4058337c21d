package featurize_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/robust-transfer/rtx/featurize"
)

// member is an entry of an archive that a test makes.
type member struct {
	name string
	data string
	kind byte // tar.TypeReg and so on
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.data)), Typeflag: m.kind, Mode: 0o644}
		if m.kind == tar.TypeLink || m.kind == tar.TypeSymlink {
			h.Linkname, h.Size = m.data, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, m.data)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		mode := map[byte]fs.FileMode{tar.TypeSymlink: fs.ModeSymlink, tar.TypeChar: fs.ModeDevice | fs.ModeCharDevice}[m.kind]
		h.SetMode(mode | 0o644)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, m.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zstandard(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(data, nil)
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// members reads a data folder, in an order in which a stream differs from a sorted
// source.
func members(t *testing.T, data, prefix string) []member {
	t.Helper()
	l, err := featurize.Folder(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	var out []member
	for _, s := range l.Samples {
		b, err := s.Read(nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, member{prefix + s.Path, string(b), tar.TypeReg})
	}
	return out
}

// TestSourcesAgree checks that the same images give the same features and labels from
// every kind of source.
func TestSourcesAgree(t *testing.T) {
	data := dataset(t, 13)
	want := t.TempDir()
	mustRun(t, job(t, data, want, &sums{}))

	plain := members(t, data, "")
	list := "label,path,extra\n"
	lines := ""
	for _, m := range plain {
		class, _, _ := strings.Cut(m.name, "/")
		list += class + "," + m.name + ",x\n"
		lines += `{"file_name":"` + m.name + `","label":"` + class + `"}` + "\n"
	}
	shuffled := slices.Clone(plain)
	slices.Reverse(shuffled)
	folded := []member{{"top/", "", tar.TypeDir}, {"top/readme.txt", "hello", tar.TypeReg}}
	for _, m := range shuffled {
		folded = append(folded, member{"./top/" + m.name, m.data, tar.TypeReg})
	}
	csv := filepath.Join(data, "list.csv")
	jsonl := filepath.Join(data, "list.jsonl")
	os.WriteFile(csv, []byte("\xef\xbb\xbf"+list), 0o666)
	os.WriteFile(jsonl, []byte(lines), 0o666)

	for name, file := range map[string]string{
		"tar": writeFile(t, "x.tar", tarOf(t, shuffled...)), "tar of one folder": writeFile(t, "x", tarOf(t, folded...)),
		"gzip": writeFile(t, "x.tgz", gzipped(tarOf(t, plain...))), "zstd": writeFile(t, "x.tar.zst", zstandard(tarOf(t, plain...))),
		"zip": writeFile(t, "x.zip", zipOf(t, shuffled...)), "csv": csv, "jsonl": jsonl, "stdin": "-",
	} {
		t.Run(name, func(t *testing.T) {
			source := func() *featurize.Listing {
				l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{Stdin: bytes.NewReader(gzipped(tarOf(t, plain...)))})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
				return l
			}
			out := t.TempDir()
			j := job(t, data, out, &sums{})
			j.Listing = source()
			if s := mustRun(t, j); s.New != 13 || s.Samples != 13 {
				t.Errorf("summary %+v", s)
			}
			got, want := set(t, out), set(t, want)
			for _, f := range []string{"features.npy", "labels.npy", "classes.txt"} {
				if got[f] != want[f] {
					t.Errorf("%s differs from the folder's", f)
				}
			}
			net := &sums{}
			j = job(t, data, out, net)
			j.Listing = source()
			if s := mustRun(t, j); s.Status != "cached" || s.Reused != 13 || net.runs != 0 {
				t.Errorf("again: %+v after %d runs", s, net.runs)
			}
		})
	}
}

// TestStreamOrder checks that the order of a stream is kept, that an interrupted stream
// is resumed, and that an additional image is found.
func TestStreamOrder(t *testing.T) {
	data := dataset(t, 11)
	m := members(t, data, "")
	slices.Reverse(m)
	packed := gzipped(tarOf(t, m...))
	run := func(out string, packed []byte) (*featurize.Summary, *featurize.Listing, error) {
		l, err := featurize.Source(t.Context(), "-", featurize.SourceConfig{Stdin: bytes.NewReader(packed)})
		if err != nil {
			t.Fatal(err)
		}
		j := job(t, data, out, &sums{})
		j.Listing = l
		s, err := j.Run(t.Context())
		return s, l, err
	}
	whole, cut := t.TempDir(), t.TempDir()
	_, l, err := run(whole, packed)
	if err != nil || l.Samples[0].Path != m[0].name || l.Samples[10].Path != m[10].name {
		t.Fatalf("order %v, %v", l.Samples, err)
	}
	if _, _, err := run(cut, packed[:len(packed)*3/4]); !errors.Is(err, featurize.ErrData) {
		t.Fatalf("a stream that was cut off: %v", err)
	}
	s, _, err := run(cut, packed)
	if err != nil || s.Reused == 0 || s.New == 0 {
		t.Fatalf("taken up: %+v, %v", s, err)
	}
	sameSet(t, set(t, cut), set(t, whole))

	s, _, err = run(cut, gzipped(tarOf(t, append([]member{{"a/new.png", m[3].data, tar.TypeReg}}, m...)...)))
	if err != nil || s.Reused != 11 || s.New != 1 {
		t.Fatalf("one more: %+v, %v", s, err)
	}
}

func TestHostileArchives(t *testing.T) {
	const reg = tar.TypeReg
	for _, c := range []struct {
		name    string
		members []member
		want    string
		zipToo  bool
	}{
		{"parent", []member{{"a/1.jpg", "x", reg}, {"a/../../1.jpg", "x", reg}}, "leads out", true},
		{"backslash parent", []member{{`a\..\..\1.jpg`, "x", reg}}, "leads out", true},
		{"absolute", []member{{"/etc/1.jpg", "x", reg}}, "absolute", true},
		{"drive", []member{{`C:\1.jpg`, "x", reg}}, "absolute", true},
		{"duplicate", []member{{"a/1.jpg", "x", reg}, {"./a/1.jpg", "y", reg}}, `two images of one name, "a/1.jpg"`, true},
		{"device", []member{{"a/1.jpg", "x", reg}, {"null", "", tar.TypeChar}}, `"null" is a device`, true},
		{"fifo", []member{{"a/1.jpg", "", tar.TypeFifo}}, "a pipe", false},
		{"no images", []member{{"a/1.txt", "x", reg}}, "found 1 other files", true},
		{"line break in a class", []member{{"a\nb/1.jpg", "x", reg}, {"c/1.jpg", "x", reg}}, "line break", true},
		{"one name in a split", []member{{"val/a/1.jpg", "x", reg}, {"valid/a/1.jpg", "x", reg}}, "two images of one name in split", true},
	} {
		files := map[string][]byte{"x.tar": tarOf(t, c.members...), "x.tar.gz": gzipped(tarOf(t, c.members...))}
		if c.zipToo {
			files["x.zip"] = zipOf(t, c.members...)
		}
		for file, data := range files {
			t.Run(c.name+" "+file, func(t *testing.T) {
				_, err := drain(t, writeFile(t, file, data))
				if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
			})
		}
	}
}

// drain lists a source and reads a stream to its end.
func drain(t testing.TB, file string) (*featurize.Listing, error) {
	l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { l.Close() })
	if l.Stream == nil {
		for _, s := range l.Samples {
			s.Read(nil)
		}
		return l, nil
	}
	for s, err := range l.Stream {
		if err == nil {
			_, err = s.Read(nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func TestLinksInArchives(t *testing.T) {
	m := []member{{"a/1.jpg", "x", tar.TypeReg}, {"a/2.jpg", "1.jpg", tar.TypeSymlink}}
	for file, data := range map[string][]byte{"x.tar": tarOf(t, m...), "x.zip": zipOf(t, m...), "x.tgz": gzipped(tarOf(t, m...))} {
		l, err := drain(t, writeFile(t, file, data))
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Samples) != 1 || !strings.Contains(strings.Join(l.Notes, ";"), `1 link(s)`) {
			t.Errorf("%s: %d samples, notes %q", file, len(l.Samples), l.Notes)
		}
	}
}

func TestArchiveCutShort(t *testing.T) {
	whole := tarOf(t, member{"a/1.jpg", strings.Repeat("x", 600), tar.TypeReg}, member{"a/2.jpg", "y", tar.TypeReg})
	l, err := drain(t, writeFile(t, "x.tar", whole[:len(whole)-1024]))
	if err != nil || !strings.Contains(strings.Join(l.Notes, ";"), "no end mark") {
		t.Errorf("without its end: %v, %v", l, err)
	}
	if l, err = drain(t, writeFile(t, "x.tar", whole)); err != nil || len(l.Notes) > 0 {
		t.Errorf("whole: %v, %v", l.Notes, err)
	}
	for _, n := range []int{700, 1100, len(whole) - 1024 - 512} {
		if _, err := drain(t, writeFile(t, "x.tar", whole[:n])); !errors.Is(err, featurize.ErrData) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := drain(t, writeFile(t, "x.zip", zipOf(t, member{"a/1.jpg", "x", tar.TypeReg})[:60])); !errors.Is(err, featurize.ErrData) {
		t.Errorf("zip: %v", err)
	}
}

func TestList(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []string // path class label split group
		err              string
	}{
		{"csv", "l.csv", "path,split,group,label\nb.jpg,valid,g1,cat\na.jpg,train,,ant\n", []string{"b.jpg cat 1 val g1", "a.jpg ant 0 train "}, ""},
		{"quoted", "l.csv", "Path, label\n\"a,\n\"\"1\"\".jpg\",x\n", []string{"a,\n\"1\".jpg x 0  "}, ""},
		{"path alone", "l.csv", "file_name\n/abs/1.jpg\n../2.jpg\n", []string{"/abs/1.jpg  -1  ", "../2.jpg  -1  "}, ""},
		{"jsonl", "l.jsonl", "{\"path\":\"1.jpg\",\"label\":10,\"group\":7}\n\n{\"file_name\":\"2.jpg\",\"label\":9,\"split\":null}\n", []string{"1.jpg 10 0  7", "2.jpg 9 1  "}, ""},
		{"no header", "l.csv", "1.jpg,cat\n", nil, "no column path or file_name"},
		{"twice", "l.csv", "path\n1.jpg\n1.jpg\n", nil, `line 3: "1.jpg" is in line 2 too`},
		{"split", "l.csv", "path,split\n1.jpg,dev\n", nil, `line 2: split "dev"`},
		{"ragged", "l.csv", "path,split\n1.jpg\n", nil, "wrong number of fields"},
		{"column twice", "l.csv", "path,label,label\n1.jpg,a,b\n", nil, `two columns "label"`},
		{"not JSON", "l.jsonl", "{\"path\":\"1.jpg\"}\n[\n", nil, "line 2"},
		{"label of labels", "l.jsonl", "{\"path\":\"1.jpg\",\"label\":[1]}\n", nil, "expected a string"},
		{"no path", "l.jsonl", "{\"label\":\"a\"}\n", nil, "line 1: the path is empty"},
		{"empty", "l.csv", "", nil, "names no images"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := featurize.Source(t.Context(), writeFile(t, c.file, []byte(c.text)), featurize.SourceConfig{})
			if c.err != "" {
				if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range l.Samples {
				got = append(got, strings.Join([]string{s.Path, s.Class, strconv.Itoa(s.Label), s.Split, s.Group}, " "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("samples %q, want %q", got, c.want)
			}
		})
	}
}

// TestRelabelled checks that changing the labels of a list changes those of the set,
// and computes nothing.
func TestRelabelled(t *testing.T) {
	data, out := dataset(t, 3), t.TempDir()
	for i, label := range []string{"x", "y"} {
		list := filepath.Join(data, "l.csv")
		os.WriteFile(list, []byte("path,label\na/100.png,"+label+"\nb/101.png,z\n"), 0o666)
		l, err := featurize.Source(t.Context(), list, featurize.SourceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		net := &sums{}
		j := job(t, data, out, net)
		j.Listing = l
		s := mustRun(t, j)
		if got := set(t, out)["classes.txt"]; got != label+"\nz\n" || net.runs != 1-i || s.New != 2-2*i {
			t.Errorf("classes %q after %d runs, %+v", got, net.runs, s)
		}
	}
}

func TestSourceKinds(t *testing.T) {
	if _, err := featurize.Source(t.Context(), writeFile(t, "x.txt", []byte("hello")), featurize.SourceConfig{}); !errors.Is(err, featurize.ErrData) {
		t.Errorf("a text file: %v", err)
	}
	l, err := featurize.Source(t.Context(), writeFile(t, "one.JPG", []byte("x")), featurize.SourceConfig{})
	if err != nil || len(l.Samples) != 1 || l.Samples[0].Path != "one.JPG" || l.Samples[0].Label != -1 {
		t.Errorf("one image: %+v, %v", l, err)
	}
	if _, err := featurize.Source(t.Context(), "-", featurize.SourceConfig{}); !errors.Is(err, featurize.ErrData) {
		t.Errorf("no standard input: %v", err)
	}
	root := t.TempDir()
	writeImage(t, filepath.Join(root, "x", "1.png"), 1)
	list := writeFile(t, "l.csv", []byte("path\nx/1.png\n"))
	l, err = featurize.Source(t.Context(), list, featurize.SourceConfig{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := l.Samples[0].Read(nil); err != nil || len(b) == 0 {
		t.Errorf("--root: %d bytes, %v", len(b), err)
	}
}

// fuzzSource checks that no input makes a source crash, or take more memory than a small
// multiple of it.
func fuzzSource(f *testing.F, name string, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		drain(t, file)
		runtime.ReadMemStats(&after)
		// Deflate compresses by a factor of at most 1,032. Readers have buffers, and
		// that of zstd its window.
		if got, may := after.TotalAlloc-before.TotalAlloc, uint64(16<<20+4000*len(data)); got > may {
			t.Errorf("%d bytes allocated for %d of input", got, len(data))
		}
	})
}

func FuzzTar(f *testing.F) {
	m := []member{{"a/1.jpg", "x", tar.TypeReg}, {"b/", "", tar.TypeDir}, {"b/" + strings.Repeat("long", 40) + ".png", "yy", tar.TypeReg}}
	fuzzSource(f, "x.tar", tarOf(f, m...), tarOf(f, append(m, member{"a/2.jpg", "1.jpg", tar.TypeSymlink})...), gzipped(tarOf(f, m...)), zstandard(tarOf(f, m...)))
}

func FuzzZip(f *testing.F) {
	fuzzSource(f, "x.zip", zipOf(f, member{"a/1.jpg", "x", tar.TypeReg}, member{"b/2.jpg", strings.Repeat("y", 99), tar.TypeReg}), zipOf(f))
}

func FuzzCSV(f *testing.F) {
	fuzzSource(f, "x.csv", []byte("path,label,split,group\na.jpg,x,train,g\n\"b\n\",y,val,\n"), []byte("file_name\n"))
}

func FuzzJSONL(f *testing.F) {
	fuzzSource(f, "x.jsonl", []byte("{\"path\":\"a\",\"label\":1,\"split\":\"val\",\"group\":null}\n\n{}"))
}

// TestAll keeps the samples of a folder, an archive and a stream, and reads them in
// reverse.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	archive := tarOf(t, member{"a/1.png", "one", tar.TypeReg}, member{"a/2.png", "two", tar.TypeReg}, member{"b/3.png", "three", tar.TypeReg})
	for name, data := range map[string][]byte{"a.tar": archive, "a.tar.gz": gzipped(archive)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := featurize.Source(t.Context(), filepath.Join(dir, name), featurize.SourceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var kept []featurize.Sample
		for s, err := range l.All() {
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, s)
		}
		var got []string
		for _, s := range slices.Backward(kept) {
			data, err := s.Read(nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s.Path+" "+string(data))
		}
		if want := []string{"b/3.png three", "a/2.png two", "a/1.png one"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		for range l.All() {
			break // a caller may stop
		}
	}
}

func TestImages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.png")
	if err := os.WriteFile(file, []byte("bytes"), 0o666); err != nil {
		t.Fatal(err)
	}
	l := featurize.Images(file, "nowhere.png", file)
	if len(l.Samples) != 3 || len(l.Classes) != 0 || l.Samples[2].Path != file || l.Samples[1].Label != -1 {
		t.Fatalf("%+v", l.Samples)
	}
	if data, err := l.Samples[0].Read(nil); err != nil || string(data) != "bytes" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := l.Samples[1].Read(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
