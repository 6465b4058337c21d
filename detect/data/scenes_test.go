package data_test

import (
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/mask"
)

// TestScenes reads a drawn data set, whose boxes and masks are known.
func TestScenes(t *testing.T) {
	dir := t.TempDir()
	c := shapes.COCO{Train: 11, Val: 3, Seed: 5, Scene: shapes.SceneConfig{Width: 96, Height: 80, Classes: []int{6, 8}}}
	if err := shapes.WriteCOCO(dir, c); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open(t.Context(), dir, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if len(set.Images) != 14 || set.Images[10].Split != "train" || set.Images[11].Split != "val" || len(set.Classes) != 2 || set.Classes[1].Name != "star" || set.Classes[1].ID != 2 {
		t.Fatalf("%d images, classes %v", len(set.Images), set.Classes)
	}
	for _, f := range set.Findings {
		if f.Kind != data.ImageNoObjects || f.Count != 1 {
			t.Errorf("a flaw: %v", f)
		}
	}
	total := 0
	for _, img := range set.Images {
		if (len(img.Objects) == 0) != (img.ID == 10) || img.Read == nil {
			t.Errorf("image %d: %d objects", img.ID, len(img.Objects))
		}
		s := shapes.DrawScene(len(img.Objects), 5<<32+uint64(img.ID), c.Scene)
		for i, o := range img.Objects {
			total++
			want, err := mask.FromBitmap(s.Objects[i].Mask, 80, 96)
			if err != nil {
				t.Fatal(err)
			}
			b := s.Objects[i].Box
			box := [4]float64{float64(b.Min.X), float64(b.Min.Y), float64(b.Max.X), float64(b.Max.Y)}
			if shapes.Names[s.Objects[i].Class] != set.Classes[o.Class].Name || o.Box != box || o.Area != float64(want.Area()) || o.Mask.RLE.String() != want.String() {
				t.Errorf("image %d, object %d: class %d, box %v, area %v; drawn: %v", img.ID, i, o.Class, o.Box, o.Area, b)
			}
		}
	}
	if total < 20 {
		t.Errorf("%d objects", total)
	}
}
