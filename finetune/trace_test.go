package finetune_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Sizes of testdata/trace.py, which documents how its networks and images are made.
const (
	traceImages  = 308
	traceSide    = 64
	traceBatch   = 32
	traceClasses = 10
)

// traces is testdata/trace.json.gz: trainings in PyTorch in float64, and the distance
// of its float32 from them.
type traces struct {
	Data struct {
		Seeds []struct {
			Labels []int
			SHA256 string `json:"pixels_sha256"`
		}
		Start map[string]map[string][]float64
	}
	ResNet18     traceNet `json:"resnet18"`
	MobileNetV2  traceNet `json:"mobilenet_v2"`
	ShuffleNetV2 traceNet `json:"shufflenet_v2_x1_0"`
	Variants     map[string]traced
}

type traceNet struct {
	Runs    []traceRun
	Options traceOptions
	Step1   map[string][]float64 `json:"bn_step1"`
	Frozen  *traced
}

type traced struct {
	Options traceOptions
	Run     traceRun
}

type traceOptions struct {
	Optimizer, BN, Trained, Loss, Decay string
	LR, Momentum, Eps, Clip             float64
	Nesterov                            bool
	Betas                               []float64
	WeightDecay                         float64 `json:"weight_decay"`
}

// traceRun is a training. Tensors after the last step are summarised by their norm and
// first four elements.
type traceRun struct {
	Seed              int
	Float64, Distance []float64
	Norm64            []float64
	NormDistance      float64               `json:"norm_distance"`
	BNDistance        map[string]traceApart `json:"bn_distance"` // by the number of steps
	BN                map[string][]float64
	WeightsDistance   traceApart `json:"weights_distance"`
	Weights           map[string][]float64
}

type traceApart struct{ Full, Seen float64 }

func (g traces) network(name string) traceNet {
	return map[string]traceNet{"resnet18": g.ResNet18, "mobilenet_v2": g.MobileNetV2, "shufflenet_v2_x1_0": g.ShuffleNetV2}[name]
}

var readTraces = sync.OnceValues(func() (g traces, err error) {
	f, err := os.Open("testdata/trace.json.gz")
	if err != nil {
		return g, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return g, err
	}
	return g, json.NewDecoder(z).Decode(&g)
})

func golden(t *testing.T) traces {
	t.Helper()
	g, err := readTraces()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// traceNetwork is an architecture with weights made by the rule and scaled down, as the
// network of trace.py.
func traceNetwork(t *testing.T, name string) *graph.Network {
	t.Helper()
	filled, err := arch.Synthetic(name, traceClasses)
	if err != nil {
		t.Fatal(err)
	}
	m, err := arch.Untrained(name, traceClasses, 1, arch.Config{InputSize: [2]int{traceSide, traceSide}})
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]graph.Param{}
	for _, p := range net.Params() {
		kinds[p.Name] = p
	}
	m, err = net.Export(func(name string, dst []float32) error {
		w, err := filled.Floats(name)
		copy(dst, w)
		by, plus, calm := float32(1), float32(0), !strings.HasPrefix(net.Spec().Arch, "resnet")
		switch p := kinds[name]; {
		case p.Kind == graph.Weight && len(p.Shape) == 4, p.Kind == graph.Mean:
			by = 8
		case p.Kind == graph.Variance:
			by = 64
		case p.Kind == graph.Scale && calm:
			by = .5
		case p.Kind == graph.Shift && calm:
			plus = .75
		}
		for i, v := range dst {
			dst[i] = by*v + plus
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ruled makes n numbers in [low, high) by the rule of onnx/arch.
func ruled(name string, n int, low, high float64) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	hash, out := h.Sum64(), make([]float32, n)
	for i := range out {
		z := hash + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		out[i] = float32(low + (high-low)*(float64(z>>40)/(1<<24)))
	}
	return out
}

// whole makes n integers in [0, below).
func whole(name string, n, below int) []int {
	out := make([]int, n)
	for i, v := range ruled(name, n, 0, float64(below)) {
		out[i] = int(v)
	}
	return out
}

// traceData is the images of a seed. It undoes Train's shuffling, so that images come in
// their own order.
type traceData struct {
	seed            uint64
	pixels          []uint8
	labels, labels2 []int
}

func newTraceData(seed int) *traceData {
	s := string(rune('0' + seed))
	d := &traceData{seed: uint64(seed), pixels: make([]uint8, traceImages*3*traceSide*traceSide),
		labels: whole("labels/"+s, traceImages, traceClasses), labels2: whole("labels2/"+s, traceImages, traceClasses)}
	classes := whole("classes/"+s, traceClasses*3*4*4, 256)
	blocks := whole("blocks/"+s, traceImages*3*8*8, 256)
	images := whole("images/"+s, len(d.pixels), 256)
	i := 0
	for n := range traceImages {
		for c := range 3 {
			for y := range traceSide {
				for x := range traceSide {
					d.pixels[i] = uint8((2*classes[((d.labels[n]*3+c)*4+y/16)*4+x/16] + blocks[((n*3+c)*8+y/8)*8+x/8] + images[i]) / 4)
					i++
				}
			}
		}
	}
	return d
}

func (d *traceData) Rows(s finetune.Split) int {
	if s == finetune.Training {
		return traceImages
	}
	return 0
}

func (d *traceData) fill(_ context.Context, _ finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	const size = 3 * traceSide * traceSide
	place := make([]int, traceImages)
	for i, row := range finetune.Order(d.seed, epoch, traceImages) {
		place[row] = i
	}
	for i, row := range rows {
		labels[i] = d.labels[place[row]]
		for k, v := range d.pixels[place[row]*size:][:size] {
			dst[i*size+k] = float32(v) / 255
		}
	}
	return nil
}

func (d *traceData) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	labels := make([]int, b.N())
	if err := d.fill(ctx, s, b.Rows, epoch, b.Input(graph.Images, 3*traceSide*traceSide), labels); err != nil {
		return err
	}
	for i, label := range labels {
		b.Truth[i] = label
	}
	return nil
}

// config makes the task and the config that options describe.
func (o traceOptions) config(t *testing.T, d *traceData) (task classify.Task, c finetune.Config) {
	t.Helper()
	c = finetune.Config{
		Epochs: 2, BatchSize: traceBatch, Size: [2]int{traceSide, traceSide}, Seed: d.seed, Frozen: o.BN == "frozen",
		Rules:     finetune.Rules{WeightDecay: o.WeightDecay, NoNormDecay: o.Decay != ""},
		Optimizer: graph.SGD{Momentum: o.Momentum, Nesterov: o.Nesterov}, LearningRate: o.LR, Schedule: finetune.Constant{}, Warmup: -1, Clip: o.Clip,
	}
	var err error
	if c.Rules.Mode, err = finetune.ParseMode(o.Trained); err != nil {
		t.Fatal(err)
	}
	if o.Optimizer == "adamw" {
		c.Optimizer = graph.AdamW{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps}
	}
	switch o.Loss {
	case "labels":
	case "smoothing .1":
		task.LabelSmoothing = .1
	case "soft .7":
		from := 0
		task.Mix = func(_ *rand.Rand, _, targets []float32, n int) {
			for i := range targets {
				targets[i] *= .7
			}
			for i := range n {
				targets[i*traceClasses+d.labels2[from+i]] += float32(.3 / float64(n))
			}
			from = (from + n) % traceImages
		}
	default:
		t.Fatalf("a loss %q", o.Loss)
	}
	return task, c
}

// follow trains for some steps and returns their losses.
func follow(t *testing.T, net *graph.Network, x finetune.Executor, task classify.Task, d *traceData, c finetune.Config, steps int) (losses []float64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.Report = func(e finetune.Event) error {
		if e.Kind != finetune.Stepped {
			return nil
		}
		if losses = append(losses, e.Loss); len(losses) == steps {
			cancel()
		}
		return nil
	}
	if _, err := finetune.Train(ctx, net, x, task, d, c); err != nil {
		t.Fatal(err)
	}
	if len(losses) != steps {
		t.Fatalf("%d steps, want %d", len(losses), steps)
	}
	return losses
}

// bound is the permitted difference of float32 from float64: 1e-4, or 3 times that of
// PyTorch.
func bound(torch float64) float64 { return max(1e-4, 3*torch) }

// bounds returns the bound of the loss of each step, from the largest difference of
// PyTorch's float32 up to that step.
func bounds(runs ...traceRun) []float64 {
	out, most := make([]float64, len(runs[0].Distance)), 0.
	for i := range out {
		for _, r := range runs {
			most = max(most, r.Distance[i])
		}
		out[i] = bound(most)
	}
	return out
}

// within compares losses with those of float64, and returns the largest difference.
func within(t *testing.T, what string, got, want, bounds []float64) (most float64) {
	t.Helper()
	for i, v := range got {
		d := math.Abs(v-want[i]) / math.Abs(want[i])
		if most = max(most, d); !(d <= bounds[i]) {
			t.Errorf("%s, step %d: loss %.9g, want %.9g: %.1e apart, at most %.1e", what, i+1, v, want[i], d, bounds[i])
		}
	}
	return most
}

// seen is the largest distance of tensors from their summaries, computed as in
// trace.py.
func seen(t *testing.T, net *graph.Network, x finetune.Executor, want map[string][]float64) (most float64, at string) {
	t.Helper()
	for name, w := range want {
		d := apartFrom(values(t, net, x, graph.Parameter, name), w)
		if d > most || math.IsNaN(d) {
			most, at = d, name
		}
	}
	return most, at
}

func apartFrom(v []float32, want []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if want[0] == 0 {
		return math.Sqrt(sum)
	}
	d := math.Abs(math.Sqrt(sum)-want[0]) / want[0]
	for i, w := range want[1:] {
		d = max(d, math.Abs(float64(v[i])-w)*math.Sqrt(float64(len(v)))/want[0])
	}
	return d
}

// The networks and images are the same as in PyTorch.
func TestTraceData(t *testing.T) {
	g := golden(t)
	for seed, s := range g.Data.Seeds {
		d := newTraceData(seed)
		if sum := sha256.Sum256(d.pixels); hex.EncodeToString(sum[:]) != s.SHA256 {
			t.Errorf("seed %d: other pixels", seed)
		}
		for i, label := range s.Labels {
			if d.labels[i] != label {
				t.Errorf("seed %d: label %d is %d, want %d", seed, i, d.labels[i], label)
			}
		}
	}
	for name, tensors := range g.Data.Start {
		net := traceNetwork(t, name)
		for tensor, want := range tensors {
			v, err := net.Values(tensor)
			if err != nil {
				t.Fatal(err)
			}
			if d := apartFrom(v, want); d > 1e-6 {
				t.Errorf("%s: %s is %.1e apart before training", name, tensor, d)
			}
		}
	}
}
