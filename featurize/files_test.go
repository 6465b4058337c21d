package featurize_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// contents is the paths and contents of all files of a folder or an archive.
func contents(t *testing.T, name string) []string {
	t.Helper()
	tree, err := featurize.Files(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var all []string
	for i := len(tree.Files) - 1; i >= 0; i-- { // in any order
		f := tree.Files[i]
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		all = append(all, f.Path+"="+string(data))
	}
	slices.Reverse(all)
	return all
}

// archived is a tar archive of files that hold their own names.
func archived(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		h.Mode = 0o666
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, h.Name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFiles lists all files of a folder and of archives, whatever they hold.
func TestFiles(t *testing.T) {
	names := []string{"b/x.txt", "a.json", "b/.hidden", "c/d/e.png", ".git/x", "__MACOSX/a"}
	want := []string{"a.json=a.json", "b/x.txt=b/x.txt", "c/d/e.png=c/d/e.png"}
	folder, dir := t.TempDir(), t.TempDir()
	var headers []tar.Header
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for _, n := range names {
		headers = append(headers, tar.Header{Name: n, Typeflag: tar.TypeReg})
		w, err := z.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, n)
		if strings.HasPrefix(n, "__") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, n)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, n), []byte(n), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	plain := archived(t, append(headers, tar.Header{Name: "d", Typeflag: tar.TypeDir}, tar.Header{Name: "l.png", Linkname: "a", Typeflag: tar.TypeSymlink})...)
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	g.Write(plain)
	g.Close()
	at := map[string]string{"folder": folder}
	for name, data := range map[string][]byte{"x.tar": plain, "x.tar.gz": packed.Bytes(), "x.zip": zipped.Bytes()} {
		at[name] = filepath.Join(dir, name)
		if err := os.WriteFile(at[name], data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range at {
		if got := contents(t, file); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestFilesRefused refuses archives that cannot be read or trusted.
func TestFilesRefused(t *testing.T) {
	reg := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	good := archived(t, reg("a"))
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	g.Write(good)
	g.Close()
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "a", Flags: 1})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "a")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"leads out": archived(t, reg("../a")), "twice": archived(t, reg("a"), reg("./a")), "device": archived(t, tar.Header{Name: "a", Typeflag: tar.TypeChar}),
		"cut": good[:512], "cut gzip": packed.Bytes()[:packed.Len()-12], "encrypted": zipped.Bytes(), "text": []byte("text"), "empty": nil,
	} {
		file := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if tree, err := featurize.Files(t.Context(), file); !errors.Is(err, featurize.ErrData) {
			t.Errorf("%s: %v, %v", name, tree, err)
		}
	}
	if _, err := featurize.Files(t.Context(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
