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
	columns, coder := len(d.Classes)+1, box.Coder{Weights: d.Coder, Clamp: d.Clamp}
	var c candidates
	for i, b := range boxes {
		for k, p := range softmax(logits[i*columns:][:columns]) {
			if k == 0 || !(p > float32(d.Test.Score)) {
				continue
			}
			moved := coder.Decode([4]float32(deltas[(i*columns+k)*4:]), b).Clip(float32(size.W), float32(size.H))
			if hasSides(moved, d.Test.MinSide) {
				c.add(moved, p, k-1)
			}
		}
	}
	return c.detections(d)
}

// SelectOneStage chooses the detections of an image from the outputs of a one-stage
// detector.
func SelectOneStage(d *onnx.Detect, levels []LevelOutput, size Size) []Detection {
	classes, coder := len(d.Classes), box.Coder{Weights: d.Coder, Clamp: d.Clamp}
	var c candidates
	for _, level := range levels {
		n := level.Grid.Map.H * level.Grid.Map.W
		for _, i := range box.TopK(level.Logits, d.Test.TopK) {
			p := sigmoid(level.Logits[i])
			if !(p > float32(d.Test.Score)) {
				break
			}
			channel, at := i/n, i%n
			anchor := channel/classes*n + at
			b := coder.Decode(level.deltas(anchor), level.Grid.Anchor(anchor))
			if d.Test.ClipLast {
				c.add(b, p, channel%classes)
			} else if b = b.Clip(float32(size.W), float32(size.H)); hasSides(b, d.Test.MinSide) {
				c.add(b, p, channel%classes)
			}
		}
	}
	found := c.detections(d)
	if !d.Test.ClipLast {
		return found
	}
	for i := range found {
		found[i].Box = found[i].Box.Clip(float32(size.W), float32(size.H))
	}
	return slices.DeleteFunc(found, func(f Detection) bool { return !hasSides(f.Box, d.Test.MinSide) })
}

// detections are the best of the candidates.
func (c *candidates) detections(d *onnx.Detect) []Detection {
	var out []Detection
	for _, i := range c.best(d.Test.NMS, d.Test.Keep) {
		out = append(out, Detection{Box: c.boxes[i], Class: c.groups[i], Score: c.scores[i]})
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
