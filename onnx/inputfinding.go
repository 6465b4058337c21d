package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// InputFinding is what a graph tells of the pixels that it takes, by the constants
// of the nodes in front of the network.
type InputFinding struct {
	Range      [2]float64 // of pixels; zero where the graph does not tell
	Normalized bool       // the graph normalises them
	Mean, Std  []float64  // what must be subtracted and divided by before the graph; nil for nothing
	Channels   string     // "rgb", "bgr" or "grey"; "" where the graph does not tell
	Nodes      []string   // the nodes that tell it
	Text       string     // the same as a sentence without verb: "input in [0,255], ..."

	normNodes []string
	swap      string // ", as node ... swaps the channels", where one does
}

// Known tells whether the graph says in which range it takes pixels.
func (f InputFinding) Known() bool { return f.Range != [2]float64{} }

// InputConflict is the error of a graph whose nodes contradict each other about the
// pixels that it takes.
type InputConflict struct {
	Path string
	Text string // what contradicts what
}

func (e *InputConflict) Error() string {
	return fmt.Sprintf("onnx: %q: the nodes in front of the network contradict each other: %s", e.Path, e.Text)
}

// InputFinding concludes from the nodes in front of the network what pixels it
// takes. The constants of Sub, Div and the like are folded into a scale and a shift
// for each channel, which stand for a mean and a standard deviation in the units of
// the input: of pixels in [0,1], [0,255] or [-1,1], only one of which is possible.
// Clip, quantisation, integer inputs and the running statistics of a batch norm tell
// the range, too. The error wraps [ErrNoImageInput], or is an [*InputConflict].
func (m *Model) InputFinding() (InputFinding, error) {
	in, err := m.imageInput()
	if err != nil {
		return InputFinding{}, err
	}
	return m.inputFinding(in)
}

func (m *Model) inputFinding(in imageInput) (f InputFinding, err error) {
	c := m.inputChain(in)
	e := &evidence{chain: c}
	e.byType(in)
	e.byWindow()
	e.byStatistics()
	e.byConstants()
	f = e.conclude()
	f.Channels = e.channelOrder(f)
	if in.channels == 1 {
		f.Channels = "grey"
	}
	if f.Channels == "bgr" {
		f.swap = ", by the mean of each channel"
	}
	if len(c.swaps) > 0 {
		f.swap = fmt.Sprintf(", where node %q swaps the channels", c.swaps[0])
	}
	if text := e.conflict(); text != "" {
		return f, &InputConflict{m.Name(), text}
	}
	return f, nil
}

// conflict says which clues contradict each other, "" where none do.
func (e *evidence) conflict() string {
	for i, k := range e.clues {
		if k.span == [2]float64{} {
			return k.says + ": its channels are of different ranges"
		}
		for _, other := range e.clues[:i] {
			if k.span != other.span {
				return fmt.Sprintf("%s, which is of pixels in %s, and %s, which is of %s", other.says, spanText(other.span), k.says, spanText(k.span))
			}
		}
	}
	return ""
}

// conclude puts the clues together.
func (e *evidence) conclude() InputFinding {
	c := e.chain
	f := InputFinding{normNodes: c.chain}
	inside := slices.ContainsFunc(e.clues, func(k clue) bool { return k.norm })
	for _, k := range e.clues {
		for _, n := range k.nodes {
			if !slices.Contains(f.Nodes, n) {
				f.Nodes = append(f.Nodes, n)
			}
		}
	}
	switch {
	case len(e.clues) == 0:
		f.Normalized = c.perChannel && e.mute != "" // by constants that fit no pixels
		f.Text = e.mute
		if f.Normalized {
			f.Text += ": taken for a normalisation of [0,1]"
		}
	case e.clues[0].span == normalizedRange:
		f.Range, f.Mean, f.Std = unitRange, ImageNetMean, ImageNetStd
		f.Text = fmt.Sprintf("input normalised by ImageNet's mean and std, as %s", e.clues[0].says)
	default:
		f.Range, f.Normalized = e.clues[0].span, inside
		says := []string{}
		for _, k := range e.clues {
			says = append(says, k.says)
		}
		how := "not normalised"
		if inside {
			how = "normalised inside the network"
		}
		f.Text = fmt.Sprintf("input in %s, %s: %s", spanText(f.Range), how, strings.Join(says, "; "))
	}
	if n := c.unread; n != nil {
		if f.Text != "" {
			f.Text += "; "
		}
		f.Text += fmt.Sprintf("the graph is read as far as node %q, a %s, and it is not known what that does to pixels", nodeName(n), n.OpType)
	}
	return f
}

// knownMeans are the means, in RGB and [0,1], by which an order of channels is told:
// those of ImageNet, CIFAR-10, CIFAR-100 and CLIP's data.
var knownMeans = [][]float64{ImageNetMean, {.4914, .4822, .4465}, {.5071, .4866, .4409}, {.4815, .4578, .4082}}

// channelOrder tells the order of channels by a mean of each that is known, "" where
// there is none.
func (e *evidence) channelOrder(f InputFinding) string {
	c := e.chain
	if c.inputs != 3 {
		return ""
	}
	if f.Mean != nil {
		return "rgb"
	}
	mean, _ := c.standardization()
	if c.statistics != nil {
		mean = c.statistics.mean
	}
	if mean != nil && f.Known() {
		for _, known := range knownMeans {
			for order, at := range map[string][3]int{"rgb": {0, 1, 2}, "bgr": {2, 1, 0}} {
				near := true
				for i, k := range at {
					near = near && math.Abs((mean[i]-f.Range[0])/(f.Range[1]-f.Range[0])-known[k]) < .006
				}
				if near {
					return order
				}
			}
		}
	}
	if slices.Equal(c.order, []int{2, 1, 0}) { // a graph that takes RGB has no reason to swap
		return "bgr"
	}
	return ""
}

func spanText(r [2]float64) string {
	if r == normalizedRange {
		return "ImageNet's normalised values"
	}
	return fmt.Sprintf("[%g,%g]", r[0], r[1])
}

// numbersText writes numbers of channels, one where all are the same.
func numbersText(v []float64) string {
	var out []string
	for _, x := range v {
		if s := fmt.Sprintf("%.4g", x); len(out) == 0 || s != out[0] || len(out) > 1 {
			out = append(out, s)
		} else if !slices.ContainsFunc(v, func(y float64) bool { return fmt.Sprintf("%.4g", y) != s }) {
			break
		} else {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func nodesText(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf("%q", n))
	}
	if len(out) == 1 {
		return "node " + out[0] + " normalises"
	}
	return "nodes " + strings.Join(out, ", ") + " normalise"
}
