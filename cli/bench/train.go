package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

//go:embed train.py
var trainScript string

// Of the training steps that are compared.
const (
	trainBatch = 16
	trainSide  = 224
	trainSteps = 5
)

// trained is what a training process prints, ours and PyTorch's.
type trained struct {
	Seconds float64 `json:"median_s"` // of a step
	Torch   string  `json:"torch"`
	Python  string  `json:"python"`
}

// training compares training steps of networks with PyTorch's, each in a process
// of its own, in turns. PyTorch gets an allocator that keeps its memory, with
// which it is faster.
func (b *bench) training(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	threads := fmt.Sprint(runtime.Cores())
	for _, name := range []string{"resnet18", "resnet50"} {
		var times, peaks [2][]float64
		var slower, larger []float64
		var about trained
		for range b.rounds {
			own := exec.CommandContext(ctx, self, "-step", name)
			peer := exec.CommandContext(ctx, b.python, "-c", trainScript, "--arch", name, "--batch", fmt.Sprint(trainBatch),
				"--size", fmt.Sprint(trainSide), "--steps", fmt.Sprint(trainSteps), "--threads", threads)
			peer.Env = append(os.Environ(), "MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=16000000000")
			for i, cmd := range []*exec.Cmd{own, peer} {
				t, peak, err := train(cmd)
				if err != nil && i == 1 && os.Getenv("RTX_REQUIRE_PEERS") != "1" {
					fmt.Printf("SKIPPED: PyTorch as a peer: %v (PYTHON names an interpreter with torch and torchvision)\n", err)
					return nil
				}
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				times[i], peaks[i], about = append(times[i], t.Seconds), append(peaks[i], peak), t
			}
			last := len(times[0]) - 1
			slower = append(slower, times[0][last]/times[1][last])
			larger = append(larger, peaks[0][last]/peaks[1][last])
		}
		b.rows = append(b.rows,
			row{fmt.Sprintf("training step of %s, batch %d, %dx%d", name, trainBatch, trainSide, trainSide), fmt.Sprintf("%.0f ms", 1000*median(times[0])), fmt.Sprintf("%.0f ms, PyTorch", 1000*median(times[1])), median(slower), "<= 2"},
			row{"the same, peak resident memory", fmt.Sprintf("%.0f MB", median(peaks[0])/1e6), fmt.Sprintf("%.0f MB, PyTorch", median(peaks[1])/1e6), median(larger), "<= 1.5"})
		b.notes = append(b.notes, fmt.Sprintf("  %s: %s threads; ratios of time %.2f, of memory %.2f; PyTorch %s, Python %s", name, threads, slower, larger, about.Torch, about.Python))
	}
	return nil
}

// train runs a training process, and returns what it prints and its peak resident
// memory in bytes.
func train(cmd *exec.Cmd) (t trained, peak float64, err error) {
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(trouble.String()), "\n")
		return t, 0, fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	if peak, err = resident(cmd.ProcessState.SysUsage()); err != nil {
		return t, 0, err
	}
	return t, peak, json.Unmarshal(out, &t)
}

// steps is our training process: the same steps as train.py's, on the same images
// again and again.
func steps(ctx context.Context, name string) error {
	lib, err := runtime.Find("")
	if err != nil {
		return err
	}
	model, err := arch.Untrained(name, 1000, 1, arch.Config{})
	if err != nil {
		return err
	}
	n, err := graph.Read(model)
	if err != nil {
		return err
	}
	m, err := lower.Open(runtime.Options{Library: lib, Device: "cpu"}, lower.Config{})
	if err != nil {
		return err
	}
	defer m.Close()
	for _, p := range n.Params() {
		v, err := n.Values(p.Name)
		if err == nil {
			err = m.Write(graph.Variable{Name: p.Name}, v)
		}
		if err != nil {
			return err
		}
	}
	p, err := n.Program(graph.Config{
		Batch: trainBatch, Size: [2]int{trainSide, trainSide}, Adapt: true, Optimizer: graph.SGD{Momentum: 0.9},
		Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1, WeightDecay: 5e-4}, true },
	}, classify.Objective)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 1))
	in := map[string][]float32{graph.LR: {0.01}, graph.Images: make([]float32, trainBatch*3*trainSide*trainSide), classify.Targets: make([]float32, trainBatch*1000)}
	for i := range in[graph.Images] {
		in[graph.Images][i] = r.Float32()
	}
	for i := range trainBatch {
		in[classify.Targets][1000*i+r.IntN(1000)] = 1.0 / trainBatch
	}
	loss := map[string][]float32{graph.Loss: {0}}
	var seconds []float64
	for range trainSteps + 1 {
		start := time.Now()
		if err := m.Run(ctx, p, in, loss); err != nil {
			return err
		}
		seconds = append(seconds, time.Since(start).Seconds())
	}
	return json.NewEncoder(os.Stdout).Encode(trained{Seconds: median(seconds[1:])})
}
