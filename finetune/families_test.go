package finetune_test

import (
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Five steps on onnxruntime lower the loss of an untrained network of each family.
func TestFamilies(t *testing.T) {
	if testing.Short() {
		t.Skip("whole networks take a while")
	}
	d := newTraceData(0)
	for _, c := range []struct {
		name        string
		side, batch int
		rate        float32
		slow        bool // to open the session or to run
	}{
		{"resnet18", 64, 8, .01, false}, {"resnext50_32x4d", 64, 8, .001, false}, {"wide_resnet50_2", 64, 8, .001, true}, {"densenet161", 32, 8, .01, true}, {"vgg16_bn", 224, 2, .001, true},
		{"mobilenet_v2", 64, 8, .01, false}, {"shufflenet_v2_x1_0", 64, 8, .01, false}, {"mnasnet1_0", 64, 8, .001, false},
		{"cifar_resnet20", 32, 8, .01, false}, {"resnet2b", 32, 8, .01, false}, {"resnet8", 32, 8, .01, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.slow && !everySeed {
				t.Skip("takes a minute: RTX_TRACES=all")
			}
			m, err := arch.Untrained(c.name, 10, 1, arch.Config{InputSize: [2]int{c.side, c.side}})
			if err != nil {
				t.Fatal(err)
			}
			net, err := graph.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			x := machine(t)
			defer x.Close()
			if err := finetune.Load(net, x); err != nil {
				t.Fatal(err)
			}
			p, err := net.Program(graph.Config{Batch: c.batch, Adapt: true, Optimizer: graph.SGD{}, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }}, classify.Objective)
			if err != nil {
				t.Fatal(err)
			}
			in := familyInputs(d, net, p, c.side, c.batch)
			in[graph.LR] = []float32{c.rate}
			began := time.Now()
			if err := x.Prepare(p); err != nil {
				t.Fatal(err)
			}
			made := time.Since(began)
			var losses []float32
			for range 5 {
				loss := make([]float32, 1)
				if err := x.Run(t.Context(), p, in, map[string][]float32{graph.Loss: loss}); err != nil {
					t.Fatal(err)
				}
				losses = append(losses, loss...)
			}
			t.Logf("losses %.4f; session %v, steps %v", losses, made.Round(time.Millisecond), (time.Since(began) - made).Round(time.Millisecond))
			for i, l := range losses[1:] {
				if !(l < losses[0]) {
					t.Errorf("the loss of step %d is not below that of the first", i+2)
				}
			}
		})
	}
}

// familyInputs are resized images of the traces with their labels, and masks of ones.
func familyInputs(d *traceData, net *graph.Network, p *graph.Program, side, batch int) map[string][]float32 {
	in := map[string][]float32{graph.Images: make([]float32, batch*3*side*side), classify.Targets: make([]float32, batch*10)}
	for i := range in[graph.Images] {
		row, y, x := i/side/side, i/side%side, i%side
		in[graph.Images][i] = float32(d.pixels[(row*traceSide+y*traceSide/side)*traceSide+x*traceSide/side]) / 255
	}
	for i := range batch {
		in[classify.Targets][i*10+d.labels[i]] = 1 / float32(batch)
	}
	for _, n := range net.Dropouts() {
		for _, node := range p.Leaves(graph.Input) {
			if v := p.Nodes[node]; v.Name == n.Name {
				in[n.Name] = ruled(n.Name, v.Shape.Size(), 1, 1)
			}
		}
	}
	return in
}
