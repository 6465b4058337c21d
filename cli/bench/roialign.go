package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/finetune/roialign"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

//go:embed roialign.py
var roialignScript string

// roiAlign compares RoIAlign and its gradient with torchvision's, on as many threads: in
// Go alone, with the transposes in onnxruntime that its layout needs, and the forward pass
// in onnxruntime.
func (b *bench) roiAlign(ctx context.Context) error {
	for _, c := range []struct{ boxes, size int }{{1024, 7}, {256, 14}} {
		for _, threads := range []int{1, 2} {
			for _, way := range []string{"forward", "backward"} {
				if err := b.roiTurns(ctx, way, c.boxes, c.size, threads); err != nil {
					return fmt.Errorf("%s, %d boxes, %dx%d, %d threads: %w", way, c.boxes, c.size, c.size, threads, err)
				}
			}
		}
	}
	return nil
}

func (b *bench) roiTurns(ctx context.Context, way string, boxes, size, threads int) error {
	peer, err := b.peer(ctx, roialignScript, "torchvision", way, b.dir, strconv.Itoa(boxes), strconv.Itoa(size), strconv.Itoa(threads))
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	r, err := b.newRoIs(size, threads)
	if err != nil {
		return err
	}
	defer r.engine.Close()
	ways := []roiWay{{"RoIAlign, forward", r.forward, "<= 0.1"}, {"  with transposes", r.forwardTransposed, "<= 0.25"}, {"  in onnxruntime", r.forwardEngine, ""}}
	if way == "backward" {
		ways = []roiWay{{"RoIAlign, backward", r.backward, "<= 0.1"}, {"  with transposes", r.backwardTransposed, "<= 0.2"}}
	}
	var theirs []float64
	ours, ratios := make([][]float64, len(ways)), make([][]float64, len(ways))
	for turn := range max(b.rounds, 7) + 1 {
		rate, err := peer.turn()
		if err != nil {
			return err
		}
		theirs = append(theirs, 1e3/rate)
		for i, w := range ways {
			start := time.Now()
			if err := w.run(ctx); err != nil {
				return err
			}
			if took := time.Since(start).Seconds(); turn > 0 { // the first turns are slower
				ours[i], ratios[i] = append(ours[i], 1e3*took), append(ratios[i], took*rate)
			}
		}
	}
	for i, w := range ways {
		what := w.what
		if i == 0 {
			what += fmt.Sprintf(", %d boxes, %dx%d, 512x512, batch 2, %d threads", boxes, size, size, threads)
		}
		b.rows = append(b.rows, row{what, fmt.Sprintf("%.0f ms", median(ours[i])), fmt.Sprintf("%.0f ms, torchvision", median(theirs[1:])), median(ratios[i]), w.bar})
	}
	b.notes = append(b.notes, fmt.Sprintf("  roialign %s, %d boxes, %d threads: ratios %.3f; %s", way, boxes, threads, ratios[0], peer.about))
	return nil
}

// roiWay is a way to compute RoIAlign or its gradient.
type roiWay struct {
	what string
	run  func(ctx context.Context) error
	bar  string
}

// rois are boxes, the levels that they are pooled from, and programs about them.
type rois struct {
	roialign.RoIs[float32]
	features                  roialign.Features
	pooled                    []float32 // [K,Size,Size,C]
	engine                    *lower.Executor
	levelsOut, pooledIn       *graph.Program // to channels last, and back
	pooledOut, levelsIn       *graph.Program
	align                     *graph.Program
	levelValues, pooledValues map[string][]float32
	inputs                    map[string][]float32 // of align
}

func (r *rois) forward(context.Context) error { return r.features.Pool(r.pooled, r.RoIs) }
func (r *rois) backward(context.Context) error {
	for _, l := range r.features.Levels {
		clear(l.Values)
	}
	return (*roialign.Gradient)(&r.features).Add(r.pooled, r.RoIs)
}

func (r *rois) forwardEngine(ctx context.Context) error {
	return r.engine.Run(ctx, r.align, r.inputs, nil)
}

func (r *rois) forwardTransposed(ctx context.Context) error {
	if err := r.engine.Run(ctx, r.levelsOut, r.levelValues, r.levelValues); err != nil {
		return err
	}
	if err := r.forward(ctx); err != nil {
		return err
	}
	return r.engine.Run(ctx, r.pooledIn, r.pooledValues, nil)
}

func (r *rois) backwardTransposed(ctx context.Context) error {
	if err := r.engine.Run(ctx, r.pooledOut, r.pooledValues, r.pooledValues); err != nil {
		return err
	}
	if err := r.backward(ctx); err != nil {
		return err
	}
	return r.engine.Run(ctx, r.levelsIn, r.levelValues, nil)
}

// newRoIs reads the boxes that roialign.py drew.
func (b *bench) newRoIs(size, threads int) (*rois, error) {
	const images, channels, side = 2, 256, 512
	r := &rois{features: roialign.Features{Pooling: roialign.Pooling{Size: size, Sampling: 2}, Images: images, Channels: channels, Workers: threads}}
	content, err := os.ReadFile(filepath.Join(b.dir, "rois.json"))
	if err == nil {
		err = json.Unmarshal(content, &r.RoIs)
	}
	if err != nil {
		return nil, err
	}
	if r.engine, err = lower.Open(runtime.Options{Library: b.lib, Threads: threads, Device: "cpu"}, lower.Config{}); err != nil {
		return nil, err
	}
	k, rng := len(r.Images), rand.New(rand.NewPCG(16, 1))
	r.pooled = make([]float32, k*size*size*channels)
	for i := range r.pooled {
		r.pooled[i] = float32(rng.NormFloat64())
	}
	r.pooledOut, r.pooledIn, r.levelsOut, r.levelsIn, r.align = &graph.Program{}, &graph.Program{}, &graph.Program{}, &graph.Program{}, &graph.Program{}
	r.pooledValues, r.levelValues = map[string][]float32{"pooled": r.pooled}, map[string][]float32{}
	transposes(r.pooledOut, r.pooledIn, "pooled", graph.Shape{k, channels, size, size})
	r.inputs = map[string][]float32{"boxes": r.Boxes, "images": r.Images, "bounds": r.Bounds}
	op := graph.RoIAlign{Size: size, Sampling: 2}
	var in []int
	for _, stride := range []int{4, 8, 16, 32} {
		n, name := side/stride, fmt.Sprint("level", stride)
		level := roialign.Level{Stride: stride, H: n, W: n, Values: make([]float32, images*n*n*channels)}
		r.features.Levels, r.levelValues[name] = append(r.features.Levels, level), level.Values
		shape := graph.Shape{images, channels, n, n}
		transposes(r.levelsOut, r.levelsIn, name, shape)
		op.Strides, in = append(op.Strides, stride), append(in, leaf(r.align, graph.State, name, shape))
		if err := r.engine.Write(graph.Variable{Name: name}, level.Values); err != nil {
			return nil, err
		}
	}
	in = append(in, leaf(r.align, graph.Input, "boxes", graph.Shape{k, 4}), leaf(r.align, graph.Input, "images", graph.Shape{k}), leaf(r.align, graph.Input, "bounds", graph.Shape{5}))
	output(r.align, "pooled", op, graph.Shape{k, channels, size, size}, in...)
	return r, nil
}

// transposes adds outputs to two programs: an input [N,C,H,W] of a name with its channels
// last, and back.
func transposes(out, in *graph.Program, name string, s graph.Shape) {
	last := graph.Shape{s[0], s[2], s[3], s[1]}
	output(out, name, graph.Transpose{Perm: []int{0, 2, 3, 1}}, last, leaf(out, graph.Input, name, s))
	output(in, name, graph.Transpose{Perm: []int{0, 3, 1, 2}}, s, leaf(in, graph.Input, name, last))
}

func leaf(p *graph.Program, role graph.Role, name string, s graph.Shape) int {
	p.Nodes = append(p.Nodes, graph.Node{Shape: s, Role: role, Name: name})
	return len(p.Nodes) - 1
}

func output(p *graph.Program, name string, op graph.Op, s graph.Shape, in ...int) {
	p.Nodes = append(p.Nodes, graph.Node{Op: op, In: in, Shape: s})
	p.Outputs = append(p.Outputs, graph.Output{Name: name, Node: len(p.Nodes) - 1})
}
