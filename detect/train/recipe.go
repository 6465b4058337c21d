package train

import (
	"cmp"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Recipe is a set of settings that belong together: how a detector is trained, at which
// sizes of images, and which detector is put on a backbone.
type Recipe struct {
	finetune.Config
	Detector    arch.DetectorConfig // of new heads; its MinSize and MaxSize are those of evaluations
	AnchorScale float64             // of new heads: multiplies the sizes of anchors

	// MinSizes are what the shorter side of a training image is scaled to, one of them
	// at random, unless the longer side were longer than Detector.MaxSize.
	MinSizes []int

	// RoISamples and RoIPositives replace those of the Conventions; 0: they do not.
	RoISamples, RoIPositives int

	// Published is what the recipe was written for. The learning rate is scaled by the
	// size of the batch, and the number of steps by its inverse.
	Published Published
}

// Published is a step of a recipe as its authors run it.
type Published struct {
	BatchSize    int
	LearningRate float64
	Steps        int // of the whole training; 0: it is counted in epochs
}

// RecipeNames are the names that NamedRecipe accepts.
var RecipeNames = []string{"quick", "torchvision", "detectron2-1x", "detectron2-3x"}

// NamedRecipe returns a recipe for a kind of detector (arch.FasterRCNN, arch.MaskRCNN or
// arch.RetinaNet), a number of training images, and a batch size; 0: the recipe's own.
//
// "quick" is for some hundreds of images on two cores: 400 steps of 4 images, or 8 passes
// over more images, scaled to fit into 320x320 pixels; SGD with momentum 0.9, learning
// rate 0.01 with a cosine schedule behind a ramp of 50 steps, weight decay 1e-4, gradients
// clipped to a norm of 5 (without, one in some trainings diverges, in torchvision too); 128
// regions of each image; and for new heads a pyramid of 128 channels and anchors of half
// the usual size.
//
// "torchvision" is its reference training: 26 epochs, learning rate 0.02 for 16 images
// (RetinaNet: 0.01), times 0.1 behind epochs 16 and 22, and a ramp from a thousandth of it
// over at most 1000 steps of the first epoch; momentum 0.9, weight decay 1e-4; shorter
// sides of 800 pixels, or longer ones of 1333.
//
// "detectron2-1x" and "detectron2-3x" are Detectron2's: 90,000 or 270,000 steps of 16
// images, times 0.1 at 60,000 and 80,000, or 210,000 and 250,000, with a ramp over 1000
// steps; no weight decay of batch norms; shorter sides of 640, 672, ..., 800 pixels.
//
// The last three are written for 16 images in a step. By default a step has 2: then the
// learning rate is 2/16 of the published one, and ramps and trainings that are counted in
// steps have 16/2 times as many, so that they take as many images.
func NamedRecipe(name, kind string, rows, batch int) (Recipe, error) {
	switch name {
	case "quick":
		return quick(rows, cmp.Or(batch, 4)), nil
	case "torchvision":
		return torchvision(kind, rows, cmp.Or(batch, 2)), nil
	case "detectron2-1x":
		return detectron2(kind, cmp.Or(batch, 2), 90e3, 60e3, 80e3), nil
	case "detectron2-3x":
		return detectron2(kind, cmp.Or(batch, 2), 270e3, 210e3, 250e3), nil
	}
	return Recipe{}, fmt.Errorf("train: recipe %q, expected one of %q", name, RecipeNames)
}

func quick(rows, batch int) Recipe {
	r := published(4, .01, 0, batch)
	r.Config.Epochs = max(8, int(math.Ceil(1600/float64(max(rows, 1)))))
	r.Schedule = finetune.Ramp{Steps: r.steps(50), Start: .001, Then: finetune.Cosine{}}
	r.Clip = 5
	r.Detector = arch.DetectorConfig{Channels: 128, MinSize: 320, MaxSize: 320}
	r.AnchorScale, r.MinSizes = .5, []int{320}
	r.RoISamples, r.RoIPositives = 128, 32
	return r
}

func torchvision(kind string, rows, batch int) Recipe {
	r := published(16, rateOf(kind), 0, batch)
	r.Config.Epochs = 26
	ramp := min(r.steps(1000), (rows+batch-1)/batch-1)
	r.Schedule = finetune.Ramp{Steps: max(ramp, 0), Start: .001, Then: finetune.MultiStep{At: []float64{16. / 26, 22. / 26}, Gamma: .1}}
	r.Detector = arch.DetectorConfig{Conventions: "torchvision", MinSize: 800, MaxSize: 1333}
	r.MinSizes = []int{800}
	return r
}

func detectron2(kind string, batch int, steps, first, second float64) Recipe {
	r := published(16, rateOf(kind), int(steps), batch)
	r.Config.Steps = r.steps(int(steps))
	r.Schedule = finetune.Ramp{Steps: r.steps(1000), Start: .001, Then: finetune.MultiStep{At: []float64{first / steps, second / steps}, Gamma: .1}}
	r.Rules.NoNormDecay, r.Rules.BiasDecay = true, true
	r.Detector = arch.DetectorConfig{Conventions: "detectron2", MinSize: 800, MaxSize: 1333}
	r.MinSizes = []int{640, 672, 704, 736, 768, 800}
	return r
}

// rateOf is the learning rate of both projects for 16 images.
func rateOf(kind string) float64 {
	if kind == arch.RetinaNet {
		return .01
	}
	return .02
}

// published is what recipes have in common, with the learning rate that goes with the
// batch.
func published(size int, rate float64, steps, batch int) Recipe {
	return Recipe{
		Config: finetune.Config{
			BatchSize: batch, LearningRate: rate * float64(batch) / float64(size), Optimizer: graph.SGD{Momentum: .9},
			Rules: finetune.Rules{WeightDecay: 1e-4}, Warmup: -1, Patience: -1,
		},
		AnchorScale: 1, Published: Published{BatchSize: size, LearningRate: rate, Steps: steps},
	}
}

// steps is a number of steps with as many images as n published ones have.
func (r Recipe) steps(n int) int {
	return max(1, int(math.Round(float64(n*r.Published.BatchSize)/float64(r.BatchSize))))
}

// Anchors are the sizes of anchors of new heads.
func (r Recipe) Anchors(sizes [][]float64) (scaled [][]float64) {
	for _, level := range sizes {
		var out []float64
		for _, size := range level {
			out = append(out, size*r.AnchorScale)
		}
		scaled = append(scaled, out)
	}
	return scaled
}

// Conventions are those of a detector, with what the recipe replaces.
func (r Recipe) Conventions(c Conventions) Conventions {
	if r.RoISamples > 0 {
		c.RoISamples, c.RoIPositives = r.RoISamples, r.RoIPositives
	}
	return c
}
