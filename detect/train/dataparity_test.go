package train_test

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// transformed is testdata/transform.json, made by transform.py.
type transformed struct {
	By        string
	Step      int
	Mean, Std []float64
	Cases     []struct {
		Width, Height   int
		MinSize         int `json:"min_size"`
		MaxSize         int `json:"max_size"`
		Normal, Flipped bool
		Given           [][4]float64
		Counts          [][]uint32
		Size, Canvas    [2]int
		Pixels          []float32
		Boxes           [][4]float32
		Masks           []string
	}
}

// TestTransform compares images, boxes and masks with those of torchvision.
func TestTransform(t *testing.T) {
	text, err := os.ReadFile("testdata/transform.json")
	if err != nil {
		t.Fatal(err)
	}
	var g transformed
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	t.Log(g.By)
	for _, c := range g.Cases {
		root := t.TempDir()
		patterned(t, c.Width, c.Height, filepath.Join(root, "images", "a.png"))
		var annotations []object
		for i, b := range c.Given {
			annotations = append(annotations, object{"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1, "bbox": []float64{b[0], b[1], b[2] - b[0], b[3] - b[1]},
				"segmentation": object{"size": []int{c.Height, c.Width}, "counts": c.Counts[i]}})
		}
		text, err := json.Marshal(object{"images": []object{{"id": 1, "file_name": "a.png", "width": c.Width, "height": c.Height}}, "annotations": annotations, "categories": []object{{"id": 1, "name": "cup"}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, string(text), root, "annotations", "instances_train.json")
		m := core(t, func(s *onnx.Spec) {
			s.Normalized, s.NormNodes, s.Clamp, s.Range, s.Mean, s.Std = false, nil, nil, [2]float64{0, 1}, nil, nil
			if c.Normal {
				s.Mean, s.Std = g.Mean, g.Std
			}
			s.Detect.Images.MinSize, s.Detect.Images.MaxSize = c.MinSize, c.MaxSize
		})
		d := openData(t, root, m, train.DataConfig{Flip: true, Masks: true, ValFraction: -1})
		for epoch := 0; ; epoch++ {
			if epoch == 50 {
				t.Fatal("never mirrored, or always")
			}
			targets, images := sights(t, load(t, d, finetune.Training, epoch, 0))
			if target := targets[0]; target.Flipped == c.Flipped {
				if target.Size != (detect.Size{H: c.Size[0], W: c.Size[1]}) || target.Canvas != (detect.Size{H: c.Canvas[0], W: c.Canvas[1]}) || len(target.Boxes) != 3 {
					t.Fatalf("%v on %v, want %v on %v", target.Size, target.Canvas, c.Size, c.Canvas)
				}
				off := 1e-6
				if kept := 4*c.Size[0]*c.Size[1] < c.Width*c.Height; kept && c.Flipped {
					off = 2e-6 // it is kept scaled, and mirrored after that
				}
				if c.Normal {
					normalise(images[0], g.Mean, g.Std)
					off /= slices.Min(g.Std) // the same, from black to white
				}
				compareWith(t, target, images[0], g.Step, off, c.Pixels, c.Boxes, c.Masks)
				break
			}
		}
	}
}

func compareWith(t *testing.T, target *train.Target, pixels []float32, step int, off float64, want []float32, boxes [][4]float32, masks []string) {
	t.Helper()
	worst := 0.0
	for i, v := range want {
		worst = max(worst, math.Abs(float64(v-pixels[i*step])))
	}
	if worst > off || len(want) != (len(pixels)+step-1)/step {
		t.Errorf("%d of %d pixels are %g apart", len(want), len(pixels), worst)
	}
	for i, b := range target.Boxes {
		for k := range b {
			if math.Abs(float64(b[k]-boxes[i][k])) > 1e-4 {
				t.Errorf("box %v, want %v", b, boxes[i])
			}
		}
		if got := bits(target.Masks[i], target.Size); got != masks[i] {
			t.Errorf("mask %d of %v is\n%s, want\n%s", i, target.Size, got, masks[i])
		}
	}
}

// patterned writes the image that transform.py makes.
func patterned(t *testing.T, w, h int, name string) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			at := func(c int) uint8 { return uint8(x*7 + y*13 + c*29 + x*y*3) }
			m.SetNRGBA(x, y, color.NRGBA{R: at(0), G: at(1), B: at(2), A: 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

func normalise(pixels []float32, mean, std []float64) {
	n := len(pixels) / 3
	for i := range pixels {
		pixels[i] = (pixels[i] - float32(mean[i/n])) / float32(std[i/n])
	}
}

// bits writes a mask row by row, as 0 and 1.
func bits(m *train.Bitmap, size detect.Size) string {
	out := make([]byte, size.H*size.W)
	for i := range out {
		out[i] = '0'
	}
	if m != nil {
		for y := range m.H {
			for x := range m.W {
				if m.Pixels[y*m.W+x] {
					out[(m.Y+y)*size.W+m.X+x] = '1'
				}
			}
		}
	}
	return string(out)
}
