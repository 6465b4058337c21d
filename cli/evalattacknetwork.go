package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Under attack one network computes everything: the one that gradients are taken of.

// graphImages is a featurize.Network: it computes the logits [n,K] of images.
type graphImages struct {
	x       finetune.Executor
	program *graph.Program
	classes int
	planes  imagePlanes
	images  []float32 // [n,3,H,W]
}

func (g *graphImages) Run(ctx context.Context, n int, src []uint8, dst ...[]float32) error {
	g.planes.write(g.images, n, src)
	return g.x.Run(ctx, g.program, map[string][]float32{graph.Images: g.images}, map[string][]float32{graph.Logits: dst[0]})
}

// imagePlanes is a featurize.Network, too: it gives back images as float32 [n,3,H,W] in
// [0,1], in the Spec's order of channels.
type imagePlanes struct{ bgr bool }

func (p imagePlanes) Run(_ context.Context, n int, src []uint8, dst ...[]float32) error {
	p.write(dst[0], n, src)
	return nil
}

func (p imagePlanes) write(dst []float32, n int, src []uint8) {
	size := len(src) / n / 3
	for i := range n {
		for c := range 3 {
			from := c
			if p.bgr {
				from = 2 - c
			}
			plane := dst[(3*i+c)*size:][:size]
			for k := range plane {
				plane[k] = float32(src[(i*size+k)*3+from]) / 255
			}
		}
	}
}

// openNetwork opens what computes the scores: a session, or the graph that is attacked.
func (v *evaluating) openNetwork(ctx context.Context) error {
	if v.o.Attack == "" {
		return v.open(ctx)
	}
	if v.listing.Stream != nil {
		return &usageError{msg: fmt.Sprintf("--data is %q, which can be read only once, and --attack reads images several times", v.Data), hint: "unpack it, or make it a tar or zip file"}
	}
	configs, err := v.o.attacks()
	if err != nil {
		return err
	}
	if v.sum, err = v.model.SHA256(); err != nil {
		return err
	}
	a := &evalAttack{runs: attackRuns(configs, v.o.Check, v.spec.InputSize), check: v.o.Check, planes: imagePlanes{v.spec.Channels == "bgr"}}
	model, err := v.model.WithSpec(v.spec)
	if err != nil {
		return err
	}
	if err := v.attackable(); err != nil {
		return err
	}
	net, err := graph.Read(model)
	if err != nil {
		return untrainable{fmt.Errorf("%q cannot be attacked: %w", v.model.Name(), err)}
	}
	program, err := net.Program(graph.Config{Batch: v.batch}, nil)
	if err != nil {
		return untrainable{fmt.Errorf("%q cannot be attacked: %w", v.model.Name(), err)}
	}
	var row []int
	for _, out := range program.Outputs {
		if out.Name == graph.Logits {
			row = program.Nodes[out.Node].Shape[1:]
		}
	}
	if err := v.resolve(row); err != nil {
		return err
	}
	if v.output.TwoClass() || len(row) != 1 {
		return hinted{fmt.Errorf("%q has scores of shape [N%s], and attacks need a logit for each of two or more classes, [N,K]: %w", v.model.Name(), dims(row), featurize.ErrData), "leave out --attack"}
	}
	if a.engine, err = v.findEngine("the attack"); err != nil {
		return err
	}
	if a.x, err = v.executor(a.engine); err != nil {
		return err
	}
	v.attack = a
	v.graph = &graphImages{a.x, program, row[0], a.planes, make([]float32, v.batch*3*v.spec.InputSize[0]*v.spec.InputSize[1])}
	if err := finetune.Load(net, a.x); err != nil {
		a.x.Close()
		return err
	}
	if a.attacker, err = attack.New(net, a.x, attack.Options{Batch: v.batch}); err != nil {
		a.x.Close()
		return untrainable{fmt.Errorf("%q: %w", v.model.Name(), err)}
	}
	return nil
}

// dims are dimensions behind the first: ",10".
func dims(row []int) (s string) {
	for _, d := range row {
		s += fmt.Sprintf(",%d", d)
	}
	return s
}

func (v *evaluating) closeNetwork() error {
	if v.attack != nil {
		return v.attack.x.Close()
	}
	return v.session.Close()
}

// device is where the network runs.
func (v *evaluating) device() string {
	if v.attack == nil {
		device, _ := v.session.Device()
		return device
	}
	if x, ok := v.attack.x.(interface{ Device() (name, why string) }); ok {
		device, _ := x.Device()
		return device
	}
	return "cpu"
}

// computed is what the scores depend on, beside the images.
func (v *evaluating) computed() featurize.Computation {
	if v.attack == nil {
		return v.computation()
	}
	return v.computationOn([]int{v.graph.classes}, v.device())
}

// attackError is an error of an attack: if nothing else is known of it, the network's
// numbers are at fault.
func (v *evaluating) attackError(err error) error {
	if code, _ := verdict(err); code != 1 || errors.As(err, new(signalled)) {
		return err
	}
	return hinted{fmt.Errorf("%q: %w: %w", v.model.Name(), err, featurize.ErrData), "see with rtx inspect how pixels are normalised"}
}

// attackable refuses a network whose output is known, or has turned out, to be
// probabilities.
func (v *evaluating) attackable() error {
	if v.output.Holds != onnx.Probabilities {
		return nil
	}
	err := fmt.Errorf("%q has probabilities and no logits, and their gradients vanish where the network is sure: %w", v.model.Name(), onnx.ErrNoLogits)
	return hinted{err, "export the model with its logits as the output"}
}
