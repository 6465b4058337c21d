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

// roiAlign compares the gradient of RoIAlign with that of torchvision's autograd, on as
// many threads: by itself, and with the transposes in onnxruntime that it needs.
func (b *bench) roiAlign(ctx context.Context) error {
	for _, c := range []struct{ boxes, size int }{{1024, 7}, {256, 14}} {
		for _, threads := range []int{1, 2} {
			if err := b.roiGradient(ctx, c.boxes, c.size, threads); err != nil {
				return fmt.Errorf("%d boxes, %dx%d, %d threads: %w", c.boxes, c.size, c.size, threads, err)
			}
		}
	}
	return nil
}

func (b *bench) roiGradient(ctx context.Context, boxes, size, threads int) error {
	peer, err := b.peer(ctx, roialignScript, "torchvision", b.dir, strconv.Itoa(boxes), strconv.Itoa(size), strconv.Itoa(threads))
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	g, err := newPooledGradient(b.dir, size, threads)
	if err != nil {
		return err
	}
	layouts, err := lower.Open(runtime.Options{Library: b.lib, Threads: threads, Device: "cpu"}, lower.Config{})
	if err != nil {
		return err
	}
	defer layouts.Close()
	var ours, whole, theirs, ratio, wholeRatio []float64
	for i := range max(b.rounds, 7) + 1 {
		rate, err := peer.turn()
		if err != nil {
			return err
		}
		start := time.Now()
		if err := g.Set(g.dy, g.rois); err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		if err := layouts.Run(ctx, g.transposes, g.in, nil); err != nil {
			return err
		}
		if all := time.Since(start).Seconds(); i > 0 { // the first turns are slower
			ours, whole, theirs = append(ours, 1e3*took), append(whole, 1e3*all), append(theirs, 1e3/rate)
			ratio, wholeRatio = append(ratio, took*rate), append(wholeRatio, all*rate)
		}
	}
	what := fmt.Sprintf("gradient of RoIAlign, %d boxes, %dx%d, 512x512, batch 2, %d threads", boxes, size, size, threads)
	own, other := func(x []float64) string { return fmt.Sprintf("%.0f ms", median(x)) }, fmt.Sprintf("%.0f ms, torchvision", median(theirs))
	b.rows = append(b.rows, row{what, own(ours), other, median(ratio), "<= 0.1"}, row{"  with transposes", own(whole), other, median(wholeRatio), "<= 0.2"})
	b.notes = append(b.notes, fmt.Sprintf("  roialign, %d boxes, %d threads: ratios %.3f; %s", boxes, threads, ratio, peer.about))
	return nil
}

// pooledGradient is the gradient of pooled features, as roialign.py draws the boxes.
type pooledGradient struct {
	roialign.Gradient
	rois       roialign.RoIs[float32]
	dy         []float32
	transposes *graph.Program
	in         map[string][]float32
}

func newPooledGradient(dir string, size, threads int) (*pooledGradient, error) {
	const images, channels, side = 2, 256, 512
	g := &pooledGradient{Gradient: roialign.Gradient{Pooling: roialign.Pooling{Size: size, Sampling: 2}, Images: images, Channels: channels, Workers: threads}}
	content, err := os.ReadFile(filepath.Join(dir, "rois.json"))
	if err == nil {
		err = json.Unmarshal(content, &g.rois)
	}
	if err != nil {
		return nil, err
	}
	k, rng := len(g.rois.Images), rand.New(rand.NewPCG(16, 1))
	g.dy = make([]float32, k*channels*size*size)
	for i := range g.dy {
		g.dy[i] = float32(rng.NormFloat64())
	}
	g.transposes, g.in = &graph.Program{}, map[string][]float32{"dy": g.dy}
	transpose(g.transposes, "dy", graph.Shape{k, channels, size, size}, 0, 2, 3, 1)
	for _, stride := range []int{4, 8, 16, 32} {
		n, name := side/stride, fmt.Sprint("level", stride)
		level := roialign.Level{Stride: stride, H: n, W: n, Values: make([]float32, images*n*n*channels)}
		g.Levels, g.in[name] = append(g.Levels, level), level.Values
		transpose(g.transposes, name, graph.Shape{images, n, n, channels}, 0, 3, 1, 2)
	}
	return g, nil
}

// transpose adds an output to a program: an input of its name with its dimensions
// permuted.
func transpose(p *graph.Program, name string, s graph.Shape, perm ...int) {
	out := make(graph.Shape, len(s))
	for i, d := range perm {
		out[i] = s[d]
	}
	at := len(p.Nodes)
	p.Nodes = append(p.Nodes, graph.Node{Shape: s, Role: graph.Input, Name: name}, graph.Node{Op: graph.Transpose{Perm: perm}, In: []int{at}, Shape: out})
	p.Outputs = append(p.Outputs, graph.Output{Name: name, Node: at + 1})
}
