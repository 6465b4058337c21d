package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx/arch"
)

//go:embed detecttrain.py
var detectTrainScript string

// Of the training steps of detectors that are compared.
const (
	detectTrainSide    = 512
	detectTrainBatch   = 2
	detectTrainClasses = 91
	detectTrainObjects = 20 // of an image
	detectTrainStages  = 3  // of the backbone
)

// detectorStep is what a process of ours or torchvision's answers after a step.
type detectorStep struct {
	Seconds  float64            `json:"seconds"`
	CPU      float64            `json:"cpu"`      // seconds of all threads
	Peak     float64            `json:"peak"`     // bytes that were resident at most
	Between  float64            `json:"between"`  // seconds that Go takes between programs
	Programs map[string]float64 `json:"programs"` // seconds of each
	Losses   map[string]float64 `json:"losses"`
}

// detectorTraining compares training steps of detectors with torchvision's: the same
// weights, images and objects, in turns, step by step, each in a process of its own.
// torchvision has the faster of its memory formats, and an allocator that keeps its
// memory, with which it is faster.
func (b *bench) detectorTraining(ctx context.Context) error {
	return b.trainDetector(ctx, arch.FasterRCNN)
}

// maskTraining is detectorTraining with masks.
func (b *bench) maskTraining(ctx context.Context) error { return b.trainDetector(ctx, arch.MaskRCNN) }

func (b *bench) trainDetector(ctx context.Context, kind string) error {
	files := filepath.Join(b.dir, kind)
	if err := writeDetectorTraining(files, kind); err != nil {
		return err
	}
	theirs, err := b.fasterFormat(ctx, kind, files)
	if err != nil || theirs == nil {
		return err
	}
	defer theirs.close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ours, err := startStepper(exec.CommandContext(ctx, self, "-detectorstep", kind, "-files", files))
	if err != nil {
		return err
	}
	defer ours.close()
	var own, peer []detectorStep
	for i := range b.rounds + 1 {
		p, err := theirs.step()
		if err != nil {
			return err
		}
		o, err := ours.step()
		if err != nil {
			return err
		}
		if i > 0 { // the first steps are slower
			own, peer = append(own, o), append(peer, p)
		}
	}
	b.compareSteps(kind, own, peer)
	b.notes = append(b.notes, fmt.Sprintf("  %s: losses of the first step: %s; torchvision: %s", kind, listed(ours.losses), listed(theirs.losses)),
		fmt.Sprintf("  %s: %s; %s", kind, ours.about, theirs.about))
	return nil
}

func (b *bench) compareSteps(kind string, own, peer []detectorStep) {
	of := func(list []detectorStep, value func(detectorStep) float64) (out []float64) {
		for _, s := range list {
			out = append(out, value(s))
		}
		return out
	}
	add := func(what, format string, value func(detectorStep) float64, bar string) []float64 {
		ours, theirs := of(own, value), of(peer, value)
		var ratios []float64
		for i := range ours {
			ratios = append(ratios, ours[i]/theirs[i])
		}
		b.rows = append(b.rows, row{what, fmt.Sprintf(format, median(ours)), fmt.Sprintf(format+", torchvision", median(theirs)), median(ratios), bar})
		return ratios
	}
	bar := map[string]string{arch.FasterRCNN: "<= 1.2", arch.MaskRCNN: "<= 1.4"}[kind]
	times := add(fmt.Sprintf("training step of %s, ResNet-50, batch %d, %dx%d", kind, detectTrainBatch, detectTrainSide, detectTrainSide), "%.2f s", func(s detectorStep) float64 { return s.Seconds }, bar)
	add("  time of all threads", "%.2f s", func(s detectorStep) float64 { return s.CPU }, "")
	own, peer = own[len(own)-1:], peer[len(peer)-1:]
	add("  peak resident memory", "%.0f MB", func(s detectorStep) float64 { return s.Peak / 1e6 }, "<= 1")
	last := own[0]
	b.rows = append(b.rows, row{"  the Go between, of a step", fmt.Sprintf("%.2f s", last.Between), fmt.Sprintf("%.2f s", last.Seconds), last.Between / last.Seconds, "<= 0.05"})
	b.notes = append(b.notes, fmt.Sprintf("  %s: ratios of time %.2f; seconds of the last step's programs: %s", kind, times, listed(last.Programs)))
}

// listed are figures by their names.
func listed(figures map[string]float64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		all = append(all, fmt.Sprintf("%s %.3f", name, figures[name]))
	}
	return strings.Join(all, ", ")
}

// writeDetectorTraining writes what both sides train on: weights, and the boxes and
// classes of the objects.
func writeDetectorTraining(folder, kind string) error {
	if err := os.Mkdir(folder, 0o777); err != nil {
		return err
	}
	core, err := squareDetector(kind, detectTrainSide, detectTrainClasses)
	if err != nil {
		return err
	}
	if err := writeWeights(filepath.Join(folder, "weights.safetensors"), core); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(16, 5))
	images := make([][]drawnObject, detectTrainBatch)
	for i := range images {
		for range detectTrainObjects {
			w, h := 16+r.IntN(detectTrainSide/2), 16+r.IntN(detectTrainSide/2)
			images[i] = append(images[i], drawnObject{r.IntN(detectTrainSide - w), r.IntN(detectTrainSide - h), w, h, r.IntN(detectTrainClasses - 1)})
		}
	}
	content, err := json.Marshal(images)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "objects.json"), content, 0o666)
}

// drawnObject is an object that fills its box.
type drawnObject struct{ X, Y, W, H, Class int }

// stepper is a process that does one training step for each line that it gets on
// standard input.
type stepper struct {
	peer
	trouble *strings.Builder
	losses  map[string]float64 // of the first step
}

func startStepper(cmd *exec.Cmd) (*stepper, error) {
	s := &stepper{peer: peer{cmd: cmd}, trouble: &strings.Builder{}}
	cmd.Stderr = s.trouble
	out, err := cmd.StdoutPipe()
	if err == nil {
		s.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if s.about, err = s.out.ReadString('\n'); err != nil {
		return nil, s.failed(err)
	}
	s.about = strings.TrimSpace(s.about)
	return s, nil
}

// failed adds the last line of standard error to an error.
func (s *stepper) failed(err error) error {
	s.close()
	lines := strings.Split(strings.TrimSpace(s.trouble.String()), "\n")
	return fmt.Errorf("%s: %w: %s", s.cmd.Path, err, lines[len(lines)-1])
}

func (s *stepper) step() (d detectorStep, err error) {
	if _, err = io.WriteString(s.in, "go\n"); err != nil {
		return d, s.failed(err)
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return d, s.failed(err)
	}
	err = json.Unmarshal(line, &d)
	if s.losses == nil {
		s.losses = d.Losses
	}
	return d, err
}

// fasterFormat starts torchvision in the memory format whose steps are faster. Where
// torchvision is not there, it says so and returns nil.
func (b *bench) fasterFormat(ctx context.Context, kind, files string) (*stepper, error) {
	var all []*stepper
	var times []float64
	for _, format := range []string{"contiguous_format", "channels_last"} {
		cmd := exec.CommandContext(ctx, b.python, "-c", detectTrainScript, kind, files, format, strconv.Itoa(detectorThreads))
		cmd.Env = append(os.Environ(), "MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=16000000000")
		s, err := startStepper(cmd)
		if err != nil && os.Getenv("RTX_REQUIRE_PEERS") != "1" {
			fmt.Printf("SKIPPED: torchvision as a peer: %v (PYTHON names an interpreter with torch and torchvision)\n", err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	for range 2 {
		for i, s := range all {
			d, err := s.step()
			if err != nil {
				return nil, err
			}
			if len(times) <= i {
				times = append(times, d.CPU)
			}
			times[i] = min(times[i], d.CPU)
		}
	}
	best := slices.Index(times, slices.Min(times))
	all[1-best].close()
	return all[best], nil
}
