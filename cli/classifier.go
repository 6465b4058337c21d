package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/onnx"
)

// classifier is a network with scores of classes.
type classifier struct {
	network
	graph   *graphImages // computes the scores; nil: a session of onnxruntime does
	output  onnx.ClassOutput
	row     []float32 // logits of one image
	checked bool      // whether the output is what is assumed of it
	classes []string  // in the order of the model; nil where the file names none
	failed  []featurize.Failure
	decoder map[string]int // the decoder's warnings
	done    int
	seconds float64 // spent computing
}

// load reads the model's structure and finds its scores and class names.
func (c *classifier) load() error {
	err := c.network.load()
	if err != nil {
		return err
	}
	if c.classes, err = c.model.Classes(); err != nil {
		return err
	}
	if c.output, err = c.model.ClassOutput(); err != nil {
		return fmt.Errorf("%q: %w", c.model.Name(), err)
	}
	return nil
}

// open opens the session, checks the shape of the scores, and tells what they are.
func (c *classifier) open(ctx context.Context) error {
	if err := c.network.open(ctx, c.output.Value, false); err != nil {
		return err
	}
	if err := c.resolve(c.session.Row); err != nil {
		c.session.Close()
		return err
	}
	return nil
}

// resolve checks the shape of the scores of an image, and tells what they are.
func (c *classifier) resolve(row []int) error {
	o := &c.output
	larger := slices.DeleteFunc(slices.Clone(row), func(d int) bool { return d == 1 })
	if len(larger) > 1 {
		return fmt.Errorf("%q: the %s %q have shape [N%s], expected [N,K]: %w", c.model.Name(), o.Holds, o.Value, strings.ReplaceAll(fmt.Sprint(row)[1:], " ", ","), onnx.ErrNoLogits)
	}
	n := 1
	for _, d := range row {
		n *= d
	}
	*o = o.WithColumns(n)
	if o.Columns != n {
		return fmt.Errorf("%q: %q has %d columns, and the file says %d: %w", c.model.Name(), o.Value, n, o.Columns, onnx.ErrFormat)
	}
	if o.TwoClass() && len(c.classes) == 1 {
		c.classes = onnx.TwoClasses(c.classes[0])
	}
	if k := o.Classes(); c.classes != nil && len(c.classes) != k {
		return hinted{fmt.Errorf("%q: the file names %d classes and has %d %s: %w", c.model.Name(), len(c.classes), k, o.Holds, onnx.ErrFormat), "the metadata entry classes is a JSON list with a name for each logit"}
	}
	c.tellOutput()
	return nil
}

// tellOutput says what the output is, where it is not plain logits.
func (c *classifier) tellOutput() {
	o, file := c.output, c.model.Name()
	switch {
	case o.TwoClass():
		c.note("%s gives one number for two classes; %q is predicted where its probability is %g or more", file, c.name(1), o.Threshold)
	case o.MultiLabel():
		c.warn("%s is multi-label: each class has a probability of its own (sigmoid), and they do not add up to 1", file)
	case o.Holds == onnx.Probabilities:
		c.note("%s gives probabilities, %q", file, o.Value)
	case o.Activation != onnx.NoActivation:
		c.note("%s ends with a %s; the logits are taken before it, %q", file, o.Activation, o.Value)
	}
	for _, n := range o.Notes {
		c.warn("%s: %s", file, n)
	}
}

// name is that of a class, or its place where the file names none.
func (c *classifier) name(class int) string {
	if c.classes != nil {
		return c.classes[class]
	}
	return strconv.Itoa(class)
}

// labels are the names of the classes, or their indices where the file has no
// names.
func (c *classifier) labels() []string {
	if c.classes != nil {
		return c.classes
	}
	c.warn("%s names no classes; labels are the places of the logits, from 0 on", c.model.Name())
	labels := make([]string, c.output.Classes())
	for i := range labels {
		labels[i] = c.name(i)
	}
	return labels
}

// prediction is what the network computed for one image.
type prediction struct {
	featurize.Sample
	top []metrics.Ranked
	yes []metrics.Ranked // of a multi-label model: the classes from the threshold on
	sum seen.Sum         // of the image file
	err error            // of an image that cannot be used; top is nil then
}

// predictAll runs images through the network and passes the predictions to emit, in
// order and a batch at a time, each with the k most probable classes. total is the
// number of images, 0 where it is not known. Images that cannot be used, and
// warnings of the decoder, are collected in c.
func (c *classifier) predictAll(ctx context.Context, samples iter.Seq2[featurize.Sample, error], total, k int, emit func([]prediction) error) error {
	p := newProgress(c.env)
	start := time.Now()
	c.decoder = map[string]int{}
	defer func() { c.seconds = time.Since(start).Seconds(); p.end(); c.tellDecoder(c.decoder) }()
	p.update(0, total)
	batch := make([]prediction, 0, c.batch)
	e := c.extractor()
	if c.graph != nil {
		e.Network, e.RowSize = c.graph, c.graph.classes
	}
	return e.Extract(ctx, samples, func(results []featurize.Result) error {
		batch = batch[:0]
		if err := c.checkAssumed(results); err != nil {
			return err
		}
		for _, r := range results {
			one, err := c.prediction(r, k)
			if err != nil {
				return err
			}
			batch = append(batch, one)
		}
		if err := emit(batch); err != nil {
			return err
		}
		c.done += len(batch)
		p.update(c.done, total)
		return nil
	})
}

// prediction ranks the classes of one image.
func (c *classifier) prediction(r featurize.Result, k int) (prediction, error) {
	for _, w := range r.Warnings {
		c.decoder[w]++
	}
	p := prediction{Sample: r.Sample, sum: r.SHA256, err: r.Err}
	if r.Err != nil {
		c.failed = append(c.failed, featurize.Failure{Path: r.Sample.Path, Reason: r.Err.Error()})
		return p, nil
	}
	all, err := c.rank(r.Features, k)
	p.top = all[:min(k, len(all))]
	if c.output.MultiLabel() {
		for _, one := range all {
			if one.Probability >= c.output.Threshold {
				p.yes = append(p.yes, one)
			}
		}
	}
	if err != nil {
		return p, hinted{fmt.Errorf("%q: %w: %w", r.Sample.Path, err, featurize.ErrData), "the network does not compute numbers; try --precision fp32, and see with rtx inspect how pixels are normalised"}
	}
	return p, nil
}

// rank ranks the classes by what the network computed of one image: at least the
// first k, all of a model with sigmoids.
func (c *classifier) rank(row []float32, k int) ([]metrics.Ranked, error) {
	o := c.output
	c.row = o.Logits(c.row[:0], row)
	switch {
	case o.TwoClass():
		return metrics.TopOfTwo(c.row[0], o.Threshold)
	case o.MultiLabel():
		return metrics.TopIndependent(c.row, len(c.row))
	}
	return metrics.Top(c.row, k)
}

// checkAssumed looks at the rows of images where it is only assumed that they are
// logits. Rows that are probabilities, each adding up to 1, are taken for that; if
// later ones are not, that is an error. Of rows that look like independent
// probabilities a warning tells.
func (c *classifier) checkAssumed(results []featurize.Result) error {
	if c.output.Known || c.output.Classes() < 2 || c.output.TwoClass() {
		return nil
	}
	var rows [][]float32
	for _, r := range results {
		if r.Err == nil {
			rows = append(rows, r.Features)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	probable := !slices.ContainsFunc(rows, func(row []float32) bool { return !metrics.Distribution(row) })
	switch {
	case !c.checked && probable:
		c.output.Holds = onnx.Probabilities
		c.warn("%s: the rows of %q are between 0 and 1 and add up to 1: they are taken for probabilities, not for logits", c.model.Name(), c.output.Value)
	case !c.checked && !slices.ContainsFunc(rows, func(row []float32) bool { return !metrics.Shares(row) }):
		c.warn("%s: the rows of %q are between 0 and 1 and do not add up to 1: they look like probabilities of each class by itself, and a softmax is applied to them all the same, so that the probabilities here are not the model's own; export the model with a Sigmoid as its last node, or with its logits as the output", c.model.Name(), c.output.Value)
	case c.checked && c.output.Holds == onnx.Probabilities && !probable:
		return fmt.Errorf("%q: the first rows of %q add up to 1, as probabilities do, and later ones do not: %w", c.model.Name(), c.output.Value, onnx.ErrNoLogits)
	}
	c.checked = true
	return nil
}

// someUnusable is the error of a command some of whose images could not be used.
func (c *classifier) someUnusable() error {
	f := c.failed[0]
	return hinted{fmt.Errorf("%d of %d images cannot be used; the first, %q: %s: %w", len(c.failed), c.done, f.Path, f.Reason, featurize.ErrData), "the predictions of the others are written"}
}

// noneUsable is the error of a command none of whose images could be used.
func (c *classifier) noneUsable() error {
	f := c.failed[0]
	return fmt.Errorf("none of the %d images can be used; the first, %q: %s: %w", len(c.failed), f.Path, f.Reason, featurize.ErrData)
}

func (c *classifier) imagesPerSecond() float64 {
	if c.seconds == 0 {
		return 0
	}
	return float64(c.done-len(c.failed)) / c.seconds
}

// classIndices are the indices of the data's classes among the logits, -1 for a class
// that the model does not have. They are found by name. For a model without names,
// classes that are numbers of logits are these; otherwise it must have as many logits as
// the data have classes, in the same order.
func (c *classifier) classIndices(data []string) ([]int, error) {
	if c.classes == nil {
		return c.unnamedIndices(data)
	}
	indices := make([]int, len(data))
	for i, name := range data {
		indices[i] = slices.Index(c.classes, name)
		if indices[i] >= 0 && slices.Contains(c.classes[indices[i]+1:], name) {
			return nil, fmt.Errorf("%q names two classes %q, which the data have too: %w", c.model.Name(), name, featurize.ErrData)
		}
	}
	return indices, nil
}

// unnamedIndices are the indices of the data's classes among logits without names.
func (c *classifier) unnamedIndices(data []string) ([]int, error) {
	logits := c.output.Classes()
	what := fmt.Sprintf("%d logits", logits)
	if c.output.TwoClass() {
		what = "two classes by one logit"
	}
	if numbers, ok := featurize.ClassNumbers(data); ok && slices.Max(numbers) < logits {
		note := ""
		if byText := slices.Sorted(slices.Values(data)); len(data) > 10 && !slices.Equal(byText, data) {
			note = fmt.Sprintf("; torchvision's ImageFolder would have sorted the folders as text, %s: if the model was trained so, rtx import --labels names its logits", strings.Join(byText[:4], " "))
		}
		c.warn("%s names no classes; the data's classes are numbers, and are taken for the numbers of its %s, from 0 on%s", c.model.Name(), what, note)
		return numbers, nil
	}
	if len(data) != logits {
		return nil, hinted{fmt.Errorf("%q names no classes, and its %s are not the %d classes of the data: %w", c.model.Name(), what, len(data), featurize.ErrData), "the model's metadata entry classes names them, a JSON list"}
	}
	c.warn("%s names no classes; its %s are taken for the data's classes in sorted order", c.model.Name(), what)
	c.tellLabels()
	indices := make([]int, len(data))
	for i := range indices {
		indices[i] = i
	}
	return indices, nil
}

// logitNames are the names of the logits: those of the model, else those of the data's
// classes at their indices, and numbers for the others.
func (c *classifier) logitNames(data []string, indices []int) []string {
	if c.classes != nil {
		return c.classes
	}
	names := make([]string, c.output.Classes())
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	for i, at := range indices {
		names[at] = data[i]
	}
	return names
}

// unknown is the error of classes that the model does not know.
func (c *classifier) unknown(names []string) error {
	shown, more := names, ""
	if len(names) > 5 {
		shown, more = names[:5], fmt.Sprintf(" and %d more", len(names)-5)
	}
	hint := suggest(names[0], c.classes, "")
	if hint != "" {
		hint = fmt.Sprintf("%q: %s?", names[0], hint)
	} else {
		hint = fmt.Sprintf("it has %d classes, the first is %q; rtx inspect shows them", len(c.classes), c.classes[0])
	}
	return hinted{fmt.Errorf("%q does not know the classes %q of the data%s: %w", c.model.Name(), shown, more, featurize.ErrData), hint}
}
