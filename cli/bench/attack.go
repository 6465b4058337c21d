package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

//go:embed attack.py
var attackScript string

// attackedNet is a network whose attack is timed.
type attackedNet struct {
	name                        string
	images, batch, size, rounds int
	bar                         string // of the ratio to PyTorch
}

var attackedNets = []attackedNet{
	{"cifar_resnet20", 512, 128, 32, 3, "<= 1.0"},
	{"resnet50", 16, 16, 224, 1, "<= 1.4"},
}

const attackSteps = 20

// attacked is what our process prints.
type attacked struct {
	trained
	Passes float64 `json:"passes_s"` // of as many forward and backward passes as the attack has steps
}

// attacks compares PGD with 20 steps with as many bare passes of the same network, and
// with PyTorch, each in a process of its own, in turns. The radius is so small that no
// image is fooled: all take part in all steps.
func (b *bench) attacks(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, n := range attackedNets {
		var ours, passes, theirs, more, slower []float64
		var about trained
		for range b.rounds {
			var own attacked
			out, err := exec.CommandContext(ctx, self, "-attack", n.name).Output()
			if err == nil {
				err = json.Unmarshal(out, &own)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
			peer := exec.CommandContext(ctx, b.python, "-c", attackScript, n.name, fmt.Sprint(n.images), fmt.Sprint(n.batch), fmt.Sprint(n.size), fmt.Sprint(attackSteps), fmt.Sprint(n.rounds), fmt.Sprint(runtime.Cores()))
			peer.Env = append(os.Environ(), "MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=16000000000")
			if about, _, err = train(peer); err != nil {
				if os.Getenv("RTX_REQUIRE_PEERS") != "1" {
					fmt.Printf("SKIPPED: PyTorch as a peer: %v (PYTHON names an interpreter with torch and torchvision)\n", err)
					return nil
				}
				return fmt.Errorf("%s: %w", n.name, err)
			}
			ours, passes, theirs = append(ours, own.Seconds), append(passes, own.Passes), append(theirs, about.Seconds)
			more, slower = append(more, own.Seconds/own.Passes), append(slower, own.Seconds/about.Seconds)
		}
		what := fmt.Sprintf("PGD, %d steps, %s, %d images %dx%d", attackSteps, n.name, n.images, n.size, n.size)
		b.rows = append(b.rows,
			row{what, fmt.Sprintf("%.2f s", median(ours)), fmt.Sprintf("%.2f s, PyTorch", median(theirs)), median(slower), n.bar},
			row{"the same", fmt.Sprintf("%.2f s", median(ours)), fmt.Sprintf("%.2f s, %d passes", median(passes), attackSteps), median(more), "<= 1.3"})
		b.notes = append(b.notes, fmt.Sprintf("  %s: ratios to PyTorch %.2f, to bare passes %.2f; PyTorch %s, Python %s", n.name, slower, more, about.Torch, about.Python))
	}
	return nil
}

// attackTimes is our process.
func attackTimes(ctx context.Context, name string) error {
	var n attackedNet
	for _, one := range attackedNets {
		if one.name == name {
			n = one
		}
	}
	if n.name == "" {
		return fmt.Errorf("no attack on %q", name)
	}
	lib, err := runtime.Find("")
	if err != nil {
		return err
	}
	classes := 10
	if n.size > 32 {
		classes = 1000
	}
	model, err := arch.Untrained(name, classes, 1, arch.Config{})
	if err != nil {
		return err
	}
	net, err := graph.Read(model)
	if err != nil {
		return err
	}
	x, err := lower.Open(runtime.Options{Library: lib, Device: "cpu"}, lower.Config{})
	if err != nil {
		return err
	}
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		return err
	}
	rows := make([]attack.Row, n.images)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range rows {
		rows[i] = attack.Row{ID: i, Image: make([]float32, 3*n.size*n.size)}
		for k := range rows[i].Image {
			rows[i].Image[k] = r.Float32()
		}
	}
	a, err := attack.New(net, x, attack.Options{Batch: n.batch, Size: [2]int{n.size, n.size}})
	if err != nil {
		return err
	}
	c := attack.Config{Threat: attack.Threat{Norm: attack.L2, Eps: 1e-6}, Steps: attackSteps, Keep: attack.Last}
	for o, err := range a.Attack(ctx, all(rows), c) { // which tells the classes
		if err != nil {
			return err
		}
		rows[o.Row].Label = o.Predicted
	}
	p, err := attack.NewPerturber(net, graph.Config{Batch: n.batch, Size: [2]int{n.size, n.size}}, c)
	if err != nil {
		return err
	}
	run := func(p *graph.Program, in, out map[string][]float32) error { return x.Run(ctx, p, in, out) }
	images, labels := make([]float32, 0, n.batch*3*n.size*n.size), make([]int, n.batch)
	for i := range labels {
		images, labels[i] = append(images, rows[i].Image...), rows[i].Label
	}
	var passing []float64
	timed := func(p *graph.Program, in, out map[string][]float32) error {
		start := time.Now()
		err := run(p, in, out)
		passing = append(passing, time.Since(start).Seconds())
		return err
	}
	for range 2 {
		if _, err := p.Perturb(timed, images, labels, nil); err != nil {
			return err
		}
	}
	var seconds []float64
	for range n.rounds + 1 {
		start, robust := time.Now(), 0
		for o, err := range a.Attack(ctx, all(rows), c) {
			if err != nil {
				return err
			}
			if o.Robust {
				robust++
			}
		}
		if seconds = append(seconds, time.Since(start).Seconds()); robust != n.images {
			return errors.New("images are fooled, and do not take part in all steps")
		}
	}
	t := attacked{trained: trained{Seconds: median(seconds[1:])}, Passes: median(passing[attackSteps:]) * attackSteps * float64(n.images/n.batch)}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// all yields rows.
func all(rows []attack.Row) iter.Seq2[attack.Row, error] {
	return func(yield func(attack.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}
