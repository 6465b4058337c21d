package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// openShared opens a set of the shared test data for a detector of its classes.
func openShared(t testing.TB, name string, classes []string, c train.DataConfig) *train.Data {
	t.Helper()
	dir := os.Getenv("RTX_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(dir, "images", name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
	}
	m := core(t, func(s *onnx.Spec) {
		for i, name := range classes { // of three
			s.Detect.Classes[i].Name = name
		}
	})
	return openData(t, file, m, c)
}

var cells = []string{"RBC", "WBC", "Platelets"}

// TestBCCD loads pictures of blood cells, on canvases of one size and of several.
func TestBCCD(t *testing.T) {
	for _, c := range []struct {
		config train.DataConfig
		want   string
	}{
		{train.DataConfig{Size: 256, Flip: true, Workers: 2}, "205 of 205 and 87 rows on [{256 256}], 2805 boxes"},
		{train.DataConfig{MinSizes: []int{192, 240}, MaxSize: 320, BatchSize: 4}, "205 of 205 and 87 rows on [{256 320}], 2805 boxes"},
	} {
		d := openShared(t, "bccd.tar", cells, c.config)
		boxes := 0
		for row := range d.Len(finetune.Training) {
			boxes += len(d.Image(finetune.Training, row).Objects)
		}
		if got := fmt.Sprintf("%d of %d and %d rows on %v, %d boxes", d.Rows(finetune.Training), d.Len(finetune.Training), d.Rows(finetune.Validation), d.Canvases(), boxes); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		targets, _ := sights(t, load(t, d, finetune.Training, 0, d.Order(0, 0)[:8]...))
		for _, target := range targets {
			img := d.Image(finetune.Training, target.Row)
			if len(target.Boxes) != len(img.Objects) {
				t.Errorf("%s: %d boxes of %d", img.Path, len(target.Boxes), len(img.Objects))
			}
			for i, b := range target.Boxes {
				if o := img.Objects[i]; cells[target.Labels[i]] != []string{"Platelets", "RBC", "WBC"}[o.Class] || b.Width() < 2 || b.Height() < 2 {
					t.Errorf("%s: %v with label %d of %+v", img.Path, b, target.Labels[i], o)
				}
			}
		}
	}
}

// TestNuclei loads pictures with a mask for each of many objects, and holds some out.
func TestNuclei(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of files")
	}
	d := openShared(t, "nuclei.tar", []string{"object", "a", "b"}, train.DataConfig{Size: 192, Masks: true, Flip: true})
	if d.Len(finetune.Training)+d.Len(finetune.Validation) != 300 || d.Len(finetune.Validation) != 30 || !d.HeldOut() {
		t.Fatalf("%d and %d rows", d.Len(finetune.Training), d.Len(finetune.Validation))
	}
	rows := make([]int, 40)
	for i := range rows {
		rows[i] = i
	}
	targets, _ := sights(t, load(t, d, finetune.Training, 0, rows...))
	n := 0
	for _, target := range targets {
		for i, m := range target.Masks {
			n++
			if b := target.Boxes[i]; m == nil || float32(m.X) < b[0]-1 || float32(m.Y) < b[1]-1 || float32(m.X+m.W) > b[2]+1 || float32(m.Y+m.H) > b[3]+1 || float32(m.W) < b.Width()-1 || float32(m.H) < b.Height()-1 {
				t.Errorf("mask %+v for the box %v", m, b)
			}
		}
	}
	if n < 500 {
		t.Errorf("%d masks", n)
	}
	truth, err := d.Truth(context.Background(), finetune.Validation, true)
	if err != nil || len(truth.Annotations) < 100 || truth.Annotations[0].Mask == nil {
		t.Errorf("%v", err)
	}
}

// BenchmarkLoad loads two pictures of 640x480 on a canvas of 512x512: in the first epoch,
// which decodes them, and in later ones.
func BenchmarkLoad(b *testing.B) {
	for _, cache := range []int64{-1, 0} {
		b.Run(map[int64]string{-1: "decoded", 0: "cached"}[cache], func(b *testing.B) {
			d := openShared(b, "bccd.tar", cells, train.DataConfig{Size: 512, Flip: true, Workers: 1, Cache: cache})
			rows := []int{0, 1}
			batch := finetune.NewBatch(rows...)
			for b.Loop() {
				if err := d.Load(context.Background(), finetune.Training, 0, batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("opened", func(b *testing.B) {
		for b.Loop() {
			openShared(b, "bccd.tar", cells, train.DataConfig{Size: 512})
		}
	})
}
