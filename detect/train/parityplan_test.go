package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// experiment is a training on the shared test data that torchvision repeats.
type experiment struct {
	Archive  string
	Kind     string
	Detector arch.DetectorConfig
	Regions  int // sampled of an image
	Steps    int // of 4 images
	Rate     float64
	Random   bool // the backbone has random weights, and all of it is trained
}

// sharedFile is a file of the shared test data.
func sharedFile(t *testing.T, name ...string) string {
	t.Helper()
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(append([]string{root}, name...)...)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not there (RTX_SHARED_DATA names its folder)", file)
	}
	return file
}

// peerPlan is plan.json, of testdata/peer.py.
type peerPlan struct {
	Archive     string            `json:"archive"`
	Classes     []string          `json:"classes"`
	Masks       bool              `json:"masks"`
	MinSize     int               `json:"min_size"`
	MaxSize     int               `json:"max_size"`
	Anchors     [][]float64       `json:"anchors"`
	Channels    int               `json:"channels"`
	Hidden      int               `json:"hidden"`
	Regions     int               `json:"regions"`
	Proposals   int               `json:"proposals"`
	Frozen      int               `json:"frozen"` // layers
	Momentum    float64           `json:"momentum"`
	WeightDecay float64           `json:"weight_decay"`
	Seed        uint64            `json:"seed"`
	Batches     []peerBatch       `json:"batches"`
	Validation  map[string]string `json:"validation"` // path of an image by its id
}

type peerBatch struct {
	Rate   float64   `json:"rate"`
	Images []peerRow `json:"images"`
}

type peerRow struct {
	Path     string `json:"path"`
	Mirrored bool   `json:"mirrored"`
}

// stepped is the schedule of the experiments: a ramp of 50 steps, or a fifth of all, and
// a tenth of the learning rate in the last quarter.
type stepped struct{}

func (stepped) Factor(step int, l finetune.Length) float64 {
	factor := min(1, float64(step+1)/float64(max(1, min(50, l.Steps/5))))
	if float64(step) >= .75*float64(l.Steps) {
		factor *= .1
	}
	return factor
}

// config is how the detector is trained.
func (e experiment) config(seed uint64) finetune.Config {
	c := finetune.Config{
		Steps: e.Steps, BatchSize: 4, Seed: seed, LearningRate: e.Rate, Schedule: stepped{}, Warmup: -1, Patience: -1,
		Optimizer: graph.SGD{Momentum: .9}, Rules: finetune.Rules{WeightDecay: 1e-4},
	}
	if !e.Random {
		c.Frozen, c.Rules.FixedNorms, c.Rules.Mode = true, true, finetune.Mode{Last: 3}
	}
	return c
}

const peerProposals = 1000

// begun is an experiment with a seed before its first step.
type begun struct {
	experiment
	seed  uint64
	set   *data.Set
	data  *Data
	core  *onnx.Model
	truth *coco.Dataset // of validation
	plan  peerPlan
}

// begin makes the initial detector, and decides on the order of the images.
func (e experiment) begin(t *testing.T, seed uint64) *begun {
	t.Helper()
	set, err := data.Open(t.Context(), sharedFile(t, "images", e.Archive), data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	b := &begun{experiment: e, seed: seed, set: set}
	b.core = e.detector(t, set, seed)
	if b.data, err = OpenData(t.Context(), set, b.core, DataConfig{Flip: true, Masks: e.masks(), Seed: seed, BatchSize: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.data.Close() })
	if b.truth, err = b.data.Truth(t.Context(), finetune.Validation, e.masks()); err != nil {
		t.Fatal(err)
	}
	b.makePlan()
	return b
}

func (e experiment) masks() bool { return e.Kind == arch.MaskRCNN }

// detector puts new heads on the MobileNet.
func (e experiment) detector(t *testing.T, set *data.Set, seed uint64) *onnx.Model {
	t.Helper()
	backbone, err := onnx.Load(sharedFile(t, "nets", "mobilenetv1_1.0_imagenet_trunc_pw12.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := backbone.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Range, spec.Channels, spec.Mean, spec.Std = [2]float64{0, 1}, "rgb", []float64{.5, .5, .5}, []float64{.5, .5, .5}
	if backbone, err = backbone.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	if e.Random {
		backbone = randomBackbone(t, backbone, seed)
	}
	var classes []onnx.DetectClass
	for _, c := range set.Classes {
		classes = append(classes, onnx.DetectClass{ID: c.ID, Name: c.Name})
	}
	c := e.Detector
	c.Seed = seed
	core, err := arch.NewDetector(backbone, e.Kind, classes, c)
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// randomBackbone draws the convolutions of the MobileNet, as
// kaiming_normal_(mode="fan_out") does; its batch norms do nothing yet.
func randomBackbone(t *testing.T, m *onnx.Model, seed uint64) *onnx.Model {
	t.Helper()
	deviation := map[string]float64{}
	var names []string
	for _, x := range m.Tensors() {
		if !strings.HasPrefix(x.Name, "L.") {
			continue
		}
		if names = append(names, x.Name); len(x.Dims) == 4 {
			deviation[x.Name] = math.Sqrt(2 / float64(x.Dims[0]*x.Dims[2]*x.Dims[3]))
		}
	}
	m, err := m.WithFloats(names, func(name string, to []float32) error {
		r := rand.New(rand.NewPCG(seed, uint64(len(name)+1000*len(to))))
		for i := range to {
			switch {
			case deviation[name] > 0:
				to[i] = float32(deviation[name] * r.NormFloat64())
			case strings.HasSuffix(name, ".weight") || strings.HasSuffix(name, "_var"):
				to[i] = 1
			default:
				to[i] = 0
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// makePlan says what is done in each step.
func (b *begun) makePlan() {
	config, d := b.config(b.seed), b.data
	b.plan = peerPlan{
		Archive: b.Archive, Masks: b.masks(), MinSize: d.Images().MinSize, MaxSize: d.Images().MaxSize, Anchors: b.Detector.AnchorSizes,
		Channels: b.Detector.Channels, Hidden: b.Detector.Hidden, Regions: b.Regions, Proposals: peerProposals, Frozen: 7,
		Momentum: .9, WeightDecay: config.Rules.WeightDecay, Seed: b.seed, Validation: map[string]string{},
	}
	for _, c := range b.set.Classes {
		b.plan.Classes = append(b.plan.Classes, c.Name)
	}
	for row, image := range b.truth.Images {
		b.plan.Validation[fmt.Sprint(image.ID)] = d.Image(finetune.Validation, row).Path
	}
	for epoch := 0; len(b.plan.Batches) < b.Steps; epoch++ {
		rows := d.Order(b.seed, epoch)
		for len(rows) > 0 && len(b.plan.Batches) < b.Steps {
			n, step := min(config.BatchSize, len(rows)), len(b.plan.Batches)
			batch := peerBatch{Rate: config.LearningRate * config.Schedule.Factor(step, finetune.Length{Steps: b.Steps})}
			for _, row := range rows[:n] {
				batch.Images = append(batch.Images, peerRow{d.Image(finetune.Training, row).Path, d.flips(finetune.Training, row, epoch)})
			}
			b.plan.Batches, rows = append(b.plan.Batches, batch), rows[n:]
		}
	}
}
