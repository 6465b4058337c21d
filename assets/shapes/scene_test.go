package shapes_test

import (
	"bytes"
	"image"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// TestDrawScene checks what is said of the objects against the image: boxes are the bounds
// of masks, masks do not overlap, and pixels of a mask stand out from those around it.
func TestDrawScene(t *testing.T) {
	c := shapes.SceneConfig{Width: 200, Height: 150}
	seen := map[int]bool{}
	for seed := range uint64(12) {
		s := shapes.DrawScene(5, seed, c)
		if s.Image.Rect != image.Rect(0, 0, 200, 150) || len(s.Objects) < 3 {
			t.Fatalf("seed %d: an image of %v with %d objects", seed, s.Image.Rect, len(s.Objects))
		}
		taken := make([]bool, 200*150)
		for i, o := range s.Objects {
			seen[o.Class] = true
			box := image.Rectangle{}
			for at, v := range o.Mask {
				if v == 0 {
					continue
				}
				x, y := at/150, at%150
				box = box.Union(image.Rect(x, y, x+1, y+1))
				if taken[at] {
					t.Fatalf("seed %d, object %d: pixel %d,%d is of two masks", seed, i, x, y)
				}
				taken[at] = true
			}
			if box != o.Box || box.Dx() < 15 || box.Dy() < 15 || !box.In(s.Image.Rect.Inset(1)) {
				t.Errorf("seed %d, object %d: box %v, and the mask's bounds are %v", seed, i, o.Box, box)
			}
			if d := contrast(s.Image, o); d < 25 {
				t.Errorf("seed %d, object %d, a %s: its edge stands out by %.1f of 255", seed, i, shapes.Names[o.Class], d)
			}
		}
	}
	if len(seen) != len(shapes.Names) {
		t.Errorf("only %d of the classes were drawn", len(seen))
	}
}

// contrast is the mean difference of lightness between the pixels of a row or column that
// lie three apart with the mask's edge in the middle.
func contrast(m *image.NRGBA, o shapes.Object) float64 {
	size := m.Rect.Size()
	light := func(x, y int) float64 {
		p := m.NRGBAAt(x, y)
		return 0.299*float64(p.R) + 0.587*float64(p.G) + 0.114*float64(p.B)
	}
	sum, n := 0.0, 0.0
	for y := o.Box.Min.Y; y < o.Box.Max.Y; y++ {
		for x := 1; x+2 < size.X; x++ {
			if o.Mask[x*size.Y+y] != o.Mask[(x+1)*size.Y+y] {
				sum, n = sum+math.Abs(light(x-1, y)-light(x+2, y)), n+1
			}
		}
	}
	return sum / n
}

func TestDrawSceneIsDeterministic(t *testing.T) {
	c := shapes.SceneConfig{Classes: []int{2, 6}}
	a, b, other := shapes.DrawScene(4, 7, c), shapes.DrawScene(4, 7, c), shapes.DrawScene(4, 8, c)
	if !bytes.Equal(a.Image.Pix, b.Image.Pix) || bytes.Equal(a.Image.Pix, other.Image.Pix) {
		t.Error("the image does not depend on the seed alone")
	}
	for _, o := range append(a.Objects, other.Objects...) {
		if o.Class != 2 && o.Class != 6 {
			t.Errorf("an object of class %d, which was not asked for", o.Class)
		}
	}
	if none := shapes.DrawScene(0, 7, c); len(none.Objects) != 0 || none.Image.Rect.Dx() != 160 {
		t.Errorf("a scene of no objects has %d", len(none.Objects))
	}
}
