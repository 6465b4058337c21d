package detect

import (
	"math"
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// Select chooses the detections of an image from what the box head computed of its
// proposals: logits [len(boxes),K+1], where column 0 is the background, and deltas
// [len(boxes),(K+1)*4]. size is that of the network's input without its padding, in
// whose pixels the detections are. They come without masks.
func Select(d *onnx.Detect, boxes []box.Box, logits, deltas []float32, size Size) []Detection {
	columns := len(d.Classes) + 1
	var candidates []candidate
	for i, b := range boxes {
		for k, p := range softmax(logits[i*columns:][:columns]) {
			if k == 0 || !(p > float32(d.Test.Score)) {
				continue
			}
			moved := clip(decode(b, deltas[(i*columns+k)*4:][:4], d.Coder, d.Clamp), size)
			candidates = append(candidates, candidate{box: moved, score: p, group: k - 1})
		}
	}
	return finish(d, candidates)
}

// SelectOneStage chooses the detections of an image from the outputs of a one-stage
// detector.
func SelectOneStage(d *onnx.Detect, levels []LevelOutput, size Size) []Detection {
	classes := len(d.Classes)
	var candidates []candidate
	for _, level := range levels {
		n := level.Grid.Map.H * level.Grid.Map.W
		for _, i := range best(level.Logits, d.Test.TopK) {
			p := sigmoid(level.Logits[i])
			if !(p > float32(d.Test.Score)) {
				break
			}
			channel, at := i/n, i%n
			anchor := channel/classes*n + at
			b := clip(decode(level.Grid.Anchor(anchor), level.deltas(anchor), d.Coder, d.Clamp), size)
			candidates = append(candidates, candidate{box: b, score: p, group: channel % classes})
		}
	}
	return finish(d, candidates)
}

// finish drops small boxes and those that overlap a better one of their class, and
// keeps the best.
func finish(d *onnx.Detect, candidates []candidate) []Detection {
	t := d.Test
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return !hasSides(c.box, t.MinSide) })
	kept := suppress(candidates, t.NMS, t.Keep)
	var out []Detection
	for _, c := range kept[:min(len(kept), t.Keep)] {
		out = append(out, Detection{Box: c.box, Class: c.group, Score: c.score})
	}
	return out
}

func softmax(logits []float32) []float32 {
	out, highest, sum := make([]float32, len(logits)), slices.Max(logits), 0.0
	for i, x := range logits {
		e := math.Exp(float64(x - highest))
		out[i] = float32(e)
		sum += e
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / sum)
	}
	return out
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
