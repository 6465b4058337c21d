package data_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
)

// files is a data set in the making: the contents of its files by their paths.
type files map[string]string

// picture is a PNG file.
func picture(w, h int) string {
	m := image.NewGray(image.Rect(0, 0, w, h))
	m.Set(0, 0, color.White)
	return encode(m)
}

func encode(m image.Image) string {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// with returns the set with other files; an empty one is left out.
func (f files) with(change files) files {
	all := maps.Clone(f)
	for name, content := range change {
		if all[name] = content; content == "" {
			delete(all, name)
		}
	}
	return all
}

// folder writes the set into a folder.
func (f files) folder(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range f {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// archive writes the set into a .tar, .tar.gz or .zip file, below a folder.
func (f files) archive(t testing.TB, suffix, below string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "set"+suffix)
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if suffix == ".zip" {
		z := zip.NewWriter(out)
		for _, name := range slices.Sorted(maps.Keys(f)) {
			w, err := z.Create(below + name)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, f[name])
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Name()
	}
	var to io.Writer = out
	if suffix == ".tar.gz" {
		g := gzip.NewWriter(out)
		defer g.Close()
		to = g
	}
	w := tar.NewWriter(to)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if err := w.WriteHeader(&tar.Header{Name: below + name, Mode: 0o666, Size: int64(len(f[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// open opens a set that is in order.
func open(t testing.TB, name string) *data.Set {
	t.Helper()
	s, err := data.Open(context.Background(), name, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
