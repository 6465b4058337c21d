package probe_test

import (
	"context"
	"crypto/sha256"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune/probe"
)

// firstPixels is a network whose features [n,2,1] are two channels of the first
// pixel.
type firstPixels struct{}

func (firstPixels) Run(_ context.Context, n int, src []uint8, dst ...[]float32) error {
	for i := range n {
		pixel := src[i*len(src)/n:]
		dst[0][2*i], dst[0][2*i+1] = float32(pixel[0]), float32(pixel[2])
	}
	return nil
}

// TestReadFeatures reads what featurize made of images of which one is broken and
// one has no label.
func TestReadFeatures(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("list.csv", []byte("path,label,split,group\na.png,x,train,g\nb.png,y,test,\nbad.png,x,train,g\nc.png,,train,\n"))
	write("bad.png", []byte("no image"))
	for i, name := range []string{"a.png", "b.png", "c.png"} {
		m := image.NewNRGBA(image.Rect(0, 0, 4, 4))
		for p := range 16 {
			m.Set(p%4, p/4, color.NRGBA{uint8(10 * i), 0, uint8(100 + i), 255})
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = png.Encode(f, m)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	listing, err := featurize.Source(t.Context(), filepath.Join(dir, "list.csv"), featurize.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer listing.Close()
	out := filepath.Join(dir, "out")
	job := featurize.Job{Out: out, Listing: listing, RowDims: []int{2, 1}, Open: func(context.Context) (*featurize.Extractor, error) {
		return &featurize.Extractor{Network: firstPixels{}, Transform: featurize.Transform{Geometry: pixels.Geometry{Width: 4, Height: 4}}, BatchSize: 2, Workers: 1}, nil
	}}
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := featurize.OpenSet(out)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := probe.ReadFeatures(s)
	want := probe.Data{
		X: []float32{0, 100, 10, 101, 20, 102}, N: 3, D: 2, Y: []int{0, 1, -1}, Classes: []string{"x", "y"},
		Groups: []string{"g", "", ""}, Splits: []string{"train", "test", "train"}, Names: []string{"a.png", "b.png", "c.png"},
	}
	for _, name := range want.Names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want.SHA256 = append(want.SHA256, sha256.Sum256(data))
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
}
