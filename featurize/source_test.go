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
	"slices"
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
