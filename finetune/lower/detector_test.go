package lower_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// detectors are small ones of each kind, and sizes of images at which float32 is exact
// enough: a group norm of a level of only two pixels has gradients of mere rounding
// errors, and so has a ReLU very near 0.
var detectors = map[string][2]int{
	"fasterrcnn_tiny_fpn": {64, 96}, "fasterrcnn_tiny_fpn_v2": {64, 96}, "maskrcnn_tiny_fpn": {64, 96}, "maskrcnn_tiny_fpn_v2": {64, 96},
	"retinanet_tiny_fpn": {64, 96}, "retinanet_tiny_fpn_v2": {128, 128},
}

// learnedValues are what a detector's losses read: the pyramid, and the outputs of all
// heads.
func learnedValues(d *onnx.Detect) (out []string) {
	for _, l := range d.Levels {
		out = append(out, l.Value, l.Logits, l.Deltas)
	}
	if d.Box != nil {
		out = append(out, d.Box.Logits, d.Box.Deltas)
	}
	if d.Mask != nil {
		out = append(out, d.Mask.Logits)
	}
	return out
}

// weighted is a loss that every element of the results has another part in.
func weighted(b *graph.Builder) (loss graph.Value, out []graph.Named) {
	var sums []graph.Value
	for i, v := range b.Results() {
		name := string(rune('a' + i))
		out = append(out, graph.Named{Name: name, Value: v})
		sums = append(sums, b.Apply(graph.Dot{}, v, b.Input("weights of "+name, v.Shape())))
	}
	return b.Apply(graph.Sum{}, sums...), out
}

// TestDetectors reads all parts of each kind of detector, and compares their values and
// all gradients with those of the Go kernels in float64.
func TestDetectors(t *testing.T) {
	for name, size := range detectors {
		t.Run(name, func(t *testing.T) {
			model, err := arch.Synthetic(name, 4)
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := model.Spec()
			if err != nil {
				t.Fatal(err)
			}
			n, err := graph.Read(model, learnedValues(spec.Detect)...)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(n.Params()), len(model.Tensors()); got != want {
				t.Errorf("%d parameters of %d tensors", got, want)
			}
			p, err := n.Program(graph.Config{Batch: 2, Size: size, Train: everything, ImageGradient: true}, weighted)
			if err != nil {
				t.Fatal(err)
			}
			wide, in, state := map[string][]float64{}, values{}, states{}
			r := rand.New(rand.NewPCG(1, 6))
			for _, i := range append(p.Leaves(graph.Input), p.Leaves(graph.State)...) {
				node := p.Nodes[i]
				v := make([]float32, node.Shape.Size())
				for k := range v {
					v[k] = r.Float32()
				}
				if node.Role == graph.State {
					if v, err = n.Values(node.Name); err != nil {
						t.Fatal(err)
					}
					state[node.Variable()] = v
				}
				in[node.Name] = v
				for _, x := range v {
					wide[node.Name] = append(wide[node.Name], float64(x))
				}
			}
			want := values{}
			for name, v := range graphtest.Run(p, wide) {
				for _, x := range v {
					want[name] = append(want[name], float32(x))
				}
			}
			for _, c := range []lower.Config{{}, {Portable: true}} {
				m := machine(t, c)
				write(t, m, state)
				far := distances(t, m, p, state, in, want)
				for name, d := range far {
					if !(d <= 1e-4) {
						t.Errorf("%+v: %s is %.1e apart", c, name, d)
					}
				}
				t.Logf("%+v: %d tensors, at most %.1e apart", c, len(far), slices.Max(slices.Collect(maps.Values(far))))
			}
		})
	}
}
