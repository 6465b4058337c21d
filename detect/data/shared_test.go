package data_test

import (
	"archive/tar"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
)

// shared is a file of the shared test data.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("RTX_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
	}
	return file
}

// TestBCCD reads a VOC set of 292 pictures of blood cells.
func TestBCCD(t *testing.T) {
	s := open(t, shared(t, "images/bccd.tar"))
	images, objects, most := map[string]int{}, map[string]int{}, 0
	for _, img := range s.Images {
		images[img.Split]++
		most = max(most, len(img.Objects))
		if img.Width != 640 || img.Height != 480 || img.Read == nil {
			t.Errorf("%s: %dx%d", img.Path, img.Width, img.Height)
		}
		for _, o := range img.Objects {
			objects[img.Split+" "+s.Classes[o.Class].Name]++
		}
	}
	got := fmt.Sprintln(s.Format, images, objects, most, s.Classes, len(s.Findings))
	want := "voc map[train:205 val:87] map[train Platelets:209 train RBC:2382 train WBC:214 val Platelets:83 val RBC:968 val WBC:87] 30 [{1 Platelets} {2 RBC} {3 WBC}] 0\n"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestNuclei reads 300 pictures with a mask in a file of its own for each of 8,411 nuclei.
func TestNuclei(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of files")
	}
	s := open(t, shared(t, "images/nuclei.tar"))
	want := pngBounds(t, shared(t, "images/nuclei.tar"))
	n := 0
	for _, img := range s.Images {
		n += len(img.Objects)
		dir := path.Dir(path.Dir(img.Path))
		for _, o := range img.Objects {
			if !slices.Contains(want[dir], o.Box) || img.Width != 256 || img.Height != 256 {
				t.Fatalf("%s: %v, not among %v", img.Path, o.Box, want[dir])
			}
		}
		if len(img.Objects) != len(want[dir]) {
			t.Errorf("%s: %d objects, %d files", img.Path, len(img.Objects), len(want[dir]))
		}
	}
	if s.Format != data.Masks || len(s.Images) != 300 || n != 8411 {
		t.Errorf("%s: %d images, %d objects", s.Format, len(s.Images), n)
	}
	if len(s.Findings) != 1 || s.Count(data.MaskOverlap) != 2 {
		t.Errorf("findings %v", s.Findings)
	}
}

// pngBounds are the boxes around the white pixels of the files in masks/, by the folder of
// the image.
func pngBounds(t *testing.T, archive string) map[string][][4]float64 {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][][4]float64{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(h.Name)
		if path.Base(dir) != "masks" || h.Typeflag != tar.TypeReg {
			continue
		}
		m, err := png.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		box := image.Rectangle{}
		for y := range m.Bounds().Dy() {
			for x := range m.Bounds().Dx() {
				if c, _, _, _ := m.At(x, y).RGBA(); c > 0 {
					box = box.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		all[path.Dir(dir)] = append(all[path.Dir(dir)], [4]float64{float64(box.Min.X), float64(box.Min.Y), float64(box.Max.X), float64(box.Max.Y)})
	}
}
