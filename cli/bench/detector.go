package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

//go:embed detector.py
var detectorScript string

// detectors compares deployed detectors with torchvision's: the same random weights, an
// image that is not scaled, and 2 threads.
func (b *bench) detectors(ctx context.Context) error {
	for _, kind := range []string{"fasterrcnn", "maskrcnn", "retinanet"} {
		for _, side := range []int{512, 800} {
			if err := b.detector(ctx, kind, side); err != nil {
				return fmt.Errorf("%s at %d: %w", kind, side, err)
			}
		}
	}
	return nil
}

const detectorThreads = 2

func (b *bench) detector(ctx context.Context, kind string, side int) error {
	core, err := squareDetector(kind, side, 91)
	if err != nil {
		return err
	}
	weights := filepath.Join(b.dir, kind+".safetensors")
	if err := writeWeights(weights, core); err != nil {
		return err
	}
	defer os.Remove(weights)
	peer, err := b.peer(ctx, detectorScript, "torchvision", kind, weights, strconv.Itoa(side), strconv.Itoa(detectorThreads))
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	deployed, err := detect.Deploy(core, detect.DeployConfig{})
	if err != nil {
		return err
	}
	g, err := runtime.OpenGraph(deployed, runtime.Options{Library: b.lib, Threads: detectorThreads, Device: "cpu"})
	if err != nil {
		return err
	}
	defer g.Close()
	in, found := onnx.Array{Dims: []int{1, 3, side, side}, Floats: checkered(side)}, 0
	var ratios, ours, theirs []float64
	for i := range b.rounds + 1 {
		rate, err := peer.turn()
		if err != nil {
			return err
		}
		start := time.Now()
		out, err := g.Run(ctx, in)
		if err != nil {
			return err
		}
		if took := time.Since(start).Seconds(); i > 0 { // the first one is slower
			found = out[0].Dims[0]
			ratios, ours, theirs = append(ratios, took*rate), append(ours, 1000*took), append(theirs, 1000/rate)
		}
	}
	b.rows = append(b.rows, row{fmt.Sprintf("%s, ResNet-50, %dx%d, %d detections", kind, side, side, found), fmt.Sprintf("%.0f ms", median(ours)), fmt.Sprintf("%.0f ms, torchvision", median(theirs)), median(ratios), "<= 1"})
	b.notes = append(b.notes, fmt.Sprintf("  %s at %d: ratios %.2f; %s", kind, side, ratios, peer.about))
	return nil
}

// squareDetector is a detector with random weights for images of a size, and a number of
// outputs for classes.
func squareDetector(kind string, side, outputs int) (*onnx.Model, error) {
	m, err := arch.Synthetic(kind+"_resnet50_fpn", outputs)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	spec.Detect.Images.MinSize, spec.Detect.Images.MaxSize = side, side
	return m.WithSpec(spec)
}

// checkered is an image [3,side,side].
func checkered(side int) []float32 {
	out := make([]float32, 3*side*side)
	for y := range side {
		for x := range side {
			at := y*side + x
			for c, v := range []int{x * 3 % 256, y * 2 % 256, (x/40 + y/40) % 2 * 200} {
				out[c*side*side+at] = float32(v) / 255
			}
		}
	}
	return out
}

// writeWeights writes the weights of a model under their names.
func writeWeights(file string, m *onnx.Model) error {
	var list []safetensors.Tensor
	var data bytes.Buffer
	for _, x := range m.Proto.Graph.Initializer {
		raw, err := m.Raw(x.Name)
		if err != nil {
			return err
		}
		shape := make([]int, len(x.Dims))
		for i, d := range x.Dims {
			shape[i] = int(d)
		}
		list = append(list, safetensors.Tensor{Name: x.Name, DType: "F32", Shape: shape})
		data.Write(raw)
	}
	header, err := safetensors.Header(list, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(header, data.Bytes()...), 0o600)
}
