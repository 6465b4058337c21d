package train_test

import (
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestRecipes compares learning rates of the recipes with those of the projects at some
// steps: of torchvision's reference training of 117,266 images, 7,330 steps of 16 in an
// epoch, and of Detectron2's configurations; and of a batch of 2, at the same images.
func TestRecipes(t *testing.T) {
	const rows, epoch = 117266, 7330
	for _, c := range []struct {
		name, kind string
		at         map[int]float64 // step of 16 images to learning rate
	}{
		{"torchvision", arch.FasterRCNN, map[int]float64{0: 2e-5, 500: .02 * (.001 + .999/2), 1000: .02, 16*epoch - 1: .02, 16 * epoch: .002, 22*epoch - 1: .002, 22 * epoch: .0002}},
		{"torchvision", arch.RetinaNet, map[int]float64{0: 1e-5, 1000: .01, 22 * epoch: .0001}},
		{"detectron2-1x", arch.MaskRCNN, map[int]float64{0: 2e-5, 250: .02 * (.001 + .999/4), 1000: .02, 59999: .02, 60000: .002, 79999: .002, 80000: .0002}},
		{"detectron2-3x", arch.FasterRCNN, map[int]float64{1000: .02, 209999: .02, 210000: .002, 249999: .002, 250000: .0002}},
	} {
		for _, batch := range []int{16, 2} {
			r, err := train.NamedRecipe(c.name, c.kind, rows, batch)
			if err != nil {
				t.Fatal(err)
			}
			scale := 16 / batch
			l := finetune.Length{Steps: r.Steps, Epoch: (rows + batch - 1) / batch}
			if r.Steps == 0 {
				l.Steps = r.Config.Epochs * l.Epoch
			}
			for step, want := range c.at {
				at := step * scale
				if batch == 2 && r.Steps == 0 && step >= epoch { // an epoch of 2 images has not 8 times as many steps
					at = step / epoch * l.Epoch
					if step%epoch != 0 {
						at = (step/epoch+1)*l.Epoch - 1
					}
				}
				if got := r.LearningRate * r.Schedule.Factor(at, l) * float64(scale); math.Abs(got-want) > 1e-12 {
					t.Errorf("%s %s, %d images: step %d: learning rate for 16 images %v, want %v", c.name, c.kind, batch, at, got, want)
				}
			}
			if r.BatchSize != batch || r.Published.BatchSize != 16 || r.Optimizer != (graph.SGD{Momentum: .9}) || r.Rules.WeightDecay != 1e-4 || r.Patience > 0 {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
	}
}

// TestRecipeSteps tells how long the recipes train, and of which images.
func TestRecipeSteps(t *testing.T) {
	for _, c := range []struct {
		name                       string
		rows, batch, steps, epochs int
		sizes                      []int
		norms                      bool // have weight decay
	}{
		{"quick", 205, 4, 0, 8, []int{320}, true}, {"quick", 20, 0, 0, 80, []int{320}, true},
		{"torchvision", 205, 2, 0, 26, []int{800}, true},
		{"detectron2-1x", 205, 2, 720000, 0, []int{640, 672, 704, 736, 768, 800}, false},
		{"detectron2-3x", 205, 16, 270000, 0, []int{640, 672, 704, 736, 768, 800}, false},
	} {
		r, err := train.NamedRecipe(c.name, arch.FasterRCNN, c.rows, c.batch)
		if err != nil {
			t.Fatal(err)
		}
		if r.Steps != c.steps || r.Config.Epochs != c.epochs || !slices.Equal(r.MinSizes, c.sizes) || r.Rules.NoNormDecay == c.norms || r.Rules.BiasDecay == c.norms {
			t.Errorf("%s of %d images: %d steps, %d epochs, sizes %v, rules %+v", c.name, c.rows, r.Steps, r.Config.Epochs, r.MinSizes, r.Rules)
		}
		if c.batch == 0 && r.BatchSize != 4 {
			t.Errorf("%s: batches of %d", c.name, r.BatchSize)
		}
	}
	if r, _ := train.NamedRecipe("torchvision", arch.FasterRCNN, 1, 2); math.IsNaN(r.Schedule.Factor(0, finetune.Length{Steps: 26, Epoch: 1})) {
		t.Error("the schedule of one image is not a number")
	}
	if _, err := train.NamedRecipe("slow", arch.FasterRCNN, 1, 2); err == nil {
		t.Error("no error for a recipe that is not known")
	}
}
