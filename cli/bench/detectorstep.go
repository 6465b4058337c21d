package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/coco"
	detecttrain "github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// trainDetectorSteps is the process that detectorTraining starts: training on the same
// two images again and again, where a step begins with a line on standard input and ends
// with one on standard output.
func trainDetectorSteps(ctx context.Context, kind, files string) error {
	lib, err := runtime.Find("")
	if err != nil {
		return err
	}
	core, err := squareDetector(kind, detectTrainSide, detectTrainClasses)
	if err != nil {
		return err
	}
	net, err := detecttrain.Read(core)
	if err != nil {
		return err
	}
	engine, err := lower.Open(runtime.Options{Library: lib, Threads: detectorThreads, Device: "cpu"}, lower.Config{})
	if err != nil {
		return err
	}
	defer engine.Close()
	data, err := newDrawnObjects(filepath.Join(files, "objects.json"))
	if err != nil {
		return err
	}
	clock := &programClock{Executor: engine, took: map[*graph.Program]float64{}}
	task := &steppedTask{Task: &detecttrain.Task{Truth: func(finetune.Split) *coco.Dataset { return nil }}, clock: clock, lines: bufio.NewScanner(os.Stdin)}
	fmt.Printf("onnxruntime %s, %d threads\n", lib.Version, detectorThreads)
	_, err = finetune.Train(ctx, net, clock, task, data, finetune.Config{
		Steps: math.MaxInt32, BatchSize: detectTrainBatch, Size: [2]int{detectTrainSide, detectTrainSide}, Frozen: true, LearningRate: 1e-4, Warmup: -1, Schedule: finetune.MultiStep{Gamma: 1},
		Optimizer: graph.SGD{Momentum: .9}, Rules: finetune.Rules{Mode: finetune.Mode{Last: detectTrainStages}, WeightDecay: 1e-4, FixedNorms: true},
	})
	if errors.Is(err, errNoMoreSteps) {
		return nil
	}
	return err
}

// programClock adds up the seconds of programs.
type programClock struct {
	finetune.Executor
	took map[*graph.Program]float64
}

func (c *programClock) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	start := time.Now()
	err := c.Executor.Run(ctx, p, in, out)
	c.took[p] += time.Since(start).Seconds()
	return err
}

// steppedTask waits for a line before each step, and tells about it.
type steppedTask struct {
	*detecttrain.Task
	clock *programClock
	lines *bufio.Scanner
}

var errNoMoreSteps = errors.New("no more steps are asked for")

func (t *steppedTask) Step(net *graph.Network, c graph.Config) (s finetune.Step, err error) {
	s, err = t.Task.Step(net, c)
	return &told{s, t.clock, t.lines}, err
}

// told is a step that is told about.
type told struct {
	finetune.Step
	clock *programClock
	lines *bufio.Scanner
}

func (t *told) Run(p *finetune.Pass) (float64, error) {
	if !t.lines.Scan() {
		return 0, errNoMoreSteps
	}
	clear(t.clock.took)
	start, before := time.Now(), usage()
	loss, err := t.Step.Run(p)
	after := usage()
	d := detectorStep{Seconds: time.Since(start).Seconds(), CPU: cpuSeconds(after) - cpuSeconds(before), Programs: map[string]float64{}, Losses: map[string]float64{}}
	if err != nil {
		return 0, err
	}
	d.Between = d.Seconds
	programs := t.Programs()
	for i, program := range programs {
		name := fmt.Sprintf("%d head", i)
		switch i {
		case 0:
			name = "0 trunk"
		case len(programs) - 1:
			name = fmt.Sprintf("%d trunk's gradient and updates", i)
		}
		d.Programs[name] = t.clock.took[program]
		d.Between -= t.clock.took[program]
	}
	for _, l := range p.Losses {
		d.Losses[l.Name] = l.Value
	}
	if d.Peak, err = resident(after); err != nil {
		return 0, err
	}
	return loss, json.NewEncoder(os.Stdout).Encode(d)
}

// usage is what this process has used so far.
func usage() *syscall.Rusage {
	u := &syscall.Rusage{}
	syscall.Getrusage(syscall.RUSAGE_SELF, u) // which cannot fail
	return u
}

func cpuSeconds(u *syscall.Rusage) float64 {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// drawnObjects are random images with objects.
type drawnObjects struct {
	images  []float32
	targets []*detecttrain.Target
}

func newDrawnObjects(file string) (*drawnObjects, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects [][]drawnObject
	if err := json.Unmarshal(content, &objects); err != nil {
		return nil, err
	}
	d := &drawnObjects{images: make([]float32, len(objects)*3*detectTrainSide*detectTrainSide)}
	r := rand.New(rand.NewPCG(16, 6))
	for i := range d.images {
		d.images[i] = r.Float32()
	}
	size := detect.Size{H: detectTrainSide, W: detectTrainSide}
	for i, list := range objects {
		t := &detecttrain.Target{Row: i, Canvas: size, Size: size, Given: size}
		for _, o := range list {
			m := &detecttrain.Bitmap{X: o.X, Y: o.Y, W: o.W, H: o.H, Pixels: make([]bool, o.W*o.H)}
			for k := range m.Pixels {
				m.Pixels[k] = true
			}
			t.Boxes = append(t.Boxes, box.Box{float32(o.X), float32(o.Y), float32(o.X + o.W), float32(o.Y + o.H)})
			t.Labels, t.Masks = append(t.Labels, o.Class), append(t.Masks, m)
		}
		d.targets = append(d.targets, t)
	}
	return d, nil
}

func (d *drawnObjects) Rows(split finetune.Split) int {
	if split == finetune.Training {
		return len(d.targets)
	}
	return 0
}

func (d *drawnObjects) Load(_ context.Context, _ finetune.Split, _ int, b *finetune.Batch) error {
	n := len(d.images) / len(d.targets)
	to := b.Input(graph.Images, n)
	for i, row := range b.Rows {
		copy(to[i*n:], d.images[row*n:][:n])
		b.Truth[i] = d.targets[row]
	}
	return nil
}
