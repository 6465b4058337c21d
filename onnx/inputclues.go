package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The ranges that pixels come in. normalizedRange stands for values that are
// normalised by ImageNet's mean and std already.
var (
	unitRange       = [2]float64{0, 1}
	byteRange       = [2]float64{0, 255}
	signedRange     = [2]float64{-1, 1}
	codeRange       = [2]float64{-128, 127} // of int8
	normalizedRange = [2]float64{math.Inf(-1), math.Inf(1)}
)

// clue is one reason to believe in a range.
type clue struct {
	span  [2]float64
	says  string // "node \"clip\" lets pass 0 to 1"
	nodes []string
	norm  bool // it also says that the graph normalises
}

// evidence is everything that the nodes in front of a network say of its input.
type evidence struct {
	chain *inputChain
	clues []clue // the surest first
	mute  string // what stands there and says nothing: a batch norm, or constants of no known meaning
}

func (e *evidence) byType(in imageInput) {
	switch in.dtype {
	case pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16, pb.TensorProto_DOUBLE, pb.TensorProto_BFLOAT16:
		return
	case pb.TensorProto_INT8:
		e.clues = append(e.clues, clue{span: codeRange, says: fmt.Sprintf("the input %q is of type int8", in.name)})
	default:
		e.clues = append(e.clues, clue{span: byteRange, says: fmt.Sprintf("the input %q is of type %s", in.name, strings.ToLower(in.dtype.String()))})
	}
}

// byWindow reads the range from the values that a Clip or quantisation lets pass. That of
// quantisation is where the samples that it was calibrated by lay, or a bit less.
func (e *evidence) byWindow() {
	w := e.chain.window
	if w == nil {
		return
	}
	near := func(v, low, high float64) bool { return low <= v && v <= high }
	says := fmt.Sprintf("node %q lets pass %.4g to %.4g", w.node, w.low, w.high)
	for _, k := range []struct {
		span                       [2]float64
		low, lowest, high, highest float64
	}{
		{unitRange, -.02, .2, .7, 1.05}, {byteRange, -4, 50, 180, 260}, {signedRange, -1.05, -.7, .7, 1.05},
		{codeRange, -130, -120, 120, 130}, {normalizedRange, -2.8, -1.5, 1.8, 3},
	} {
		if near(w.low, k.low, k.lowest) && near(w.high, k.high, k.highest) {
			e.clues = append(e.clues, clue{span: k.span, says: says, nodes: []string{w.node}})
			return
		}
	}
}

// byStatistics reads the range from the running mean and std of a batch norm. Those of
// natural images have a std of about a quarter of their range. Statistics that pixels
// of [0,1] could have, if unusual ones, do not stand for [-1,1].
func (e *evidence) byStatistics() {
	s := e.chain.statistics
	if s == nil {
		return
	}
	says := fmt.Sprintf("batch norm %q has seen a mean of %s and a std of %s", s.node, numbersText(s.mean), numbersText(s.std))
	for _, span := range [][2]float64{unitRange, byteRange, signedRange} {
		if all(s.mean, s.std, func(mean, std float64) bool {
			mean, std = (mean-span[0])/(span[1]-span[0]), std/(span[1]-span[0])
			return possible(mean, std) && std <= .36
		}) && !(span == signedRange && all(s.mean, s.std, possible)) {
			e.clues = append(e.clues, clue{span, says, []string{s.node}, true})
			return
		}
	}
	if all(s.mean, s.std, func(mean, std float64) bool { return math.Abs(mean) <= .6 && std >= .72 && std <= 1.5 }) {
		e.clues = append(e.clues, clue{span: normalizedRange, says: says, nodes: []string{s.node}})
		return
	}
	e.mute = fmt.Sprintf("the batch norm %q in front tells neither range nor mean and std", s.node)
}

// byConstants reads the range from the constants of the nodes in front.
func (e *evidence) byConstants() {
	c := e.chain
	if len(c.nodes) == 0 || c.statistics != nil && len(c.nodes) == 1 {
		return
	}
	mean, std := c.standardization()
	if mean == nil || identity(c.scale, c.shift) {
		return
	}
	says := fmt.Sprintf("%s by a mean of %s and a std of %s", nodesText(c.nodes), numbersText(mean), numbersText(std))
	spans := [][2]float64{unitRange, byteRange, codeRange}
	if slices.ContainsFunc(c.shift, func(b float64) bool { return b != 0 }) {
		spans = append(spans, signedRange)
	}
	if imageNetUndone(c) {
		e.clues = append(e.clues, clue{span: normalizedRange, says: says, nodes: c.nodes})
		return
	}
	if len(e.clues) > 0 { // several ranges may fit: take the one that is known
		spans = append([][2]float64{e.clues[0].span}, spans...)
	}
	for _, span := range spans {
		if all(mean, std, func(mean, std float64) bool { return normalizes(mean, std, span) }) {
			e.clues = append(e.clues, clue{span, says, c.nodes, true})
			return
		}
	}
	if e.mute = fmt.Sprintf("%s, of no pixels that are known", says); c.perChannel && len(e.clues) == 0 && e.partly(mean, std, spans) {
		e.mute = ""
		e.clues = append(e.clues, clue{span: [2]float64{}, says: says, nodes: c.nodes, norm: true})
	}
}

// partly tells whether some channels are of one range, and others of another.
func (e *evidence) partly(mean, std []float64, spans [][2]float64) bool {
	fits := 0
	for i := range mean {
		for _, span := range spans {
			if normalizes(mean[i], std[i], span) {
				fits++
				break
			}
		}
	}
	return fits == len(mean)
}

// standardization is the mean and std of each of the input's channels that the
// chain subtracts and divides by, in the units of the input; nil where a channel is
// lost. One that is several channels of the network has the average of theirs.
func (c *inputChain) standardization() (mean, std []float64) {
	mean, std = make([]float64, c.inputs), make([]float64, c.inputs)
	uses := make([]float64, c.inputs)
	for _, at := range c.order {
		uses[at]++
	}
	for i, at := range c.order {
		if c.scale[i] == 0 || math.IsNaN(c.scale[i]) || math.IsInf(c.scale[i], 0) {
			return nil, nil
		}
		mean[at] -= c.shift[i] / c.scale[i] / uses[at]
		std[at] += 1 / math.Abs(c.scale[i]) / uses[at]
	}
	if slices.Contains(uses, 0) {
		return nil, nil
	}
	return mean, std
}

// possible tells whether values in [0,1] can have a mean and a standard deviation: the
// variance of bounded values is at most mean(1-mean) (Bhatia and Davis 2000). Images
// with a std below 0.05 show nothing.
func possible(mean, std float64) bool {
	return mean > 0 && mean < 1 && std >= .05 && std <= 1.05*math.Sqrt(mean*(1-mean))
}

// normalizes tells whether to subtract mean and to divide by std makes sense for
// pixels of a range: they are standardised; or only centred, or only brought to another
// range, with values that then are of [0,1] or of [0,255].
func normalizes(mean, std float64, span [2]float64) bool {
	width := span[1] - span[0]
	mean, std = (mean-span[0])/width, std/width
	if possible(mean, std) {
		return true
	}
	scaled := math.Abs(std-1) < .01 || math.Abs(std*255-1) < .01
	centred := mean > .02 && mean < .98
	moved := math.Abs(mean) < .001 || math.Abs(mean-1) < .001 || math.Abs(mean-128./255) < .001
	half := span == byteRange && math.Abs(std-.5) < .01 && math.Abs(mean) < .001
	return scaled && (centred || moved) || half
}

// imageNetUndone tells whether the chain takes back ImageNet's normalisation, to bring
// pixels to [0,1], [0,255] or [-1,1], as torchvision's Inception and GoogLeNet do.
func imageNetUndone(c *inputChain) bool {
	if c.inputs != 3 || c.channels != 3 {
		return false
	}
	for _, span := range [][2]float64{unitRange, byteRange, signedRange} {
		width, fits := span[1]-span[0], true
		for i, at := range c.order {
			fits = fits && math.Abs(c.scale[i]/width-ImageNetStd[at]) < .002 && math.Abs((c.shift[i]-span[0])/width-ImageNetMean[at]) < .002
		}
		if fits {
			return true
		}
	}
	return false
}

func identity(scale, shift []float64) bool {
	for i := range scale {
		if math.Abs(scale[i]-1) > 1e-4 || math.Abs(shift[i]) > 1e-4 {
			return false
		}
	}
	return true
}

func all(mean, std []float64, fits func(mean, std float64) bool) bool {
	for i := range mean {
		if !fits(mean[i], std[i]) {
			return false
		}
	}
	return true
}
