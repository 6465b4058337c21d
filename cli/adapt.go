package cli

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

func adaptCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "adapt",
		Usage: "re-estimate the statistics of a network's batch norms on images",
		Description: "The running mean and variance of every batch norm become those of the images, which\n" +
			"need no labels; weights stay as they are. Of data with splits the train split is taken.\n" +
			"OUT is a new model; the same command again does nothing.",
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the network: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the new model `FILE`", "o"),
			text("engine", "auto", "what computes: ort (onnxruntime), tape (pure Go) or auto"),
			number("batch-size", adaptBatch, "images that are normalised together", "b"),
		}, adaptRunFlags(), skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "replace what OUT holds"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.adapt(c) },
	}
}

// adaptOptions are those of the verb.
type adaptOptions struct {
	networkOptions
	Out       string `flag:"out"`
	Overwrite bool   `flag:"overwrite"`
}

func (e *env) adapt(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	var o adaptOptions
	readOptions(c, &o)
	if err := o.check(); err != nil {
		return err
	}
	a, err := e.adaptModel(c.Context, o)
	if err != nil {
		return err
	}
	if e.json {
		e.print(e.result("rtx.adapt/1", a.status, o.Out, object{
			{"images", a.images}, {"skipped", len(a.failed)}, {"split", a.split}, {"batch_norms", a.norms}, {"statistics", a.digest}, {"engine", a.engine},
		}))
		return nil
	}
	e.note("%d batch norms adapted to %d images (%s), %d skipped", a.norms, a.images, a.split, len(a.failed))
	fmt.Fprintln(e.stdout, o.Out)
	return nil
}

// check looks at the options alone.
func (o *adaptOptions) check() error {
	if err := required("rtx adapt -m MODEL.onnx -d IMAGES -o ADAPTED.onnx", "model", o.Model, "data", o.Data, "out", o.Out); err != nil {
		return err
	}
	if err := oneOf("engine", o.Engine, "auto", "ort", "tape"); err != nil {
		return err
	}
	if o.BatchSize < 2 || o.BatchSize > 4096 {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 2 to 4096", o.BatchSize)}
	}
	for _, check := range []func() error{o.checkDevice, o.checkCounts, o.checkRoot, o.checkSkips} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// adaptModel writes the model with batch norms adapted to the images. The
// options are checked.
func (e *env) adaptModel(ctx context.Context, o adaptOptions) (*adaptation, error) {
	n := &network{env: e, networkOptions: o.networkOptions, batch: o.BatchSize}
	if err := n.load(); err != nil {
		return nil, err
	}
	if err := spared("out", o.Out, n.model.Path()); err != nil {
		return nil, err
	}
	if err := n.source(ctx); err != nil {
		return nil, err
	}
	defer n.listing.Close()
	a, err := n.adaptation(ctx, n.batch)
	if errors.As(err, new(signalled)) {
		return nil, partial{hinted{err, "nothing was written; the same command starts over"}, e.result("rtx.adapt/1", "interrupted", o.Out, nil)}
	}
	if err != nil {
		return nil, err
	}
	if a.status, err = saveModel(ctx, a.model, o.Out, o.Overwrite); err != nil {
		return nil, err
	}
	n.tellFailures(a.failed, "")
	return a, nil
}

// adaptBatch is how many images are normalised together where nothing says
// otherwise.
const adaptBatch = 64

// bnFlag lets a verb adapt the network before it runs.
func bnFlag() cli.Flag {
	return text("bn", "frozen", "batch norms: frozen (the model's statistics) or adapt (those of the train split, or of all images without splits)")
}

func adaptRunFlags() []cli.Flag {
	return []cli.Flag{
		number("workers", 0, "goroutines that read and decode; 0: one a core", "j"),
		number("threads", 0, "threads of the network; 0: one a core"),
		text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
	}
}

// statisticsKey is the metadata entry of an adapted model that tells its
// statistics apart.
const statisticsKey = "rtx.statistics"

// adaptation is a model whose batch norms have statistics of the data.
type adaptation struct {
	model  *onnx.Model
	images int
	split  string // "train", or "all" of data without splits
	norms  int
	digest string // of the statistics
	engine string
	failed []featurize.Failure
	status string // of its file, where it has one
}

// adaptation re-estimates the statistics of the model's batch norms on the train
// split, or on all of data without splits, in batches of so many.
func (n *network) adaptation(ctx context.Context, batch int) (*adaptation, error) {
	a := &adaptation{}
	samples, err := n.adaptable(a)
	if err != nil {
		return nil, err
	}
	m, err := n.model.WithSpec(n.spec)
	if err != nil {
		return nil, err
	}
	net, err := n.adaptableNetwork(m)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(net.Params(), func(p graph.Param) bool { return p.Kind.Statistic() }) {
		return nil, fmt.Errorf("%q: %w", n.model.Path(), finetune.ErrNoBatchNorm)
	}
	if a.engine, err = n.findEngine("adapting"); err != nil {
		return nil, err
	}
	x, err := n.executor(a.engine)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	n.note("adapting batch norms to %d images (%s)", len(samples.Samples), a.split)
	data, err := augment.Open(ctx, samples, n.transform(), augment.Config{BGR: n.spec.Channels == "bgr", Workers: cores(n.Workers), Unlabelled: true, ValFraction: -1})
	if err != nil {
		return nil, err
	}
	defer data.Close()
	a.images, a.failed = data.Rows(augment.Training), data.Check().Failed
	if err := n.tolerate(a.failed, a.images+len(a.failed)); err != nil {
		return nil, err
	}
	if a.images < 2 {
		return nil, fmt.Errorf("%d images to adapt to, expected two at least: %w", a.images, featurize.ErrData)
	}
	if err := finetune.Load(net, x); err != nil {
		return nil, err
	}
	p := newProgress(n.env)
	p.update(0, a.images)
	err = finetune.Adapt(ctx, net, x, data, finetune.AdaptConfig{BatchSize: batch, Report: func(done int) { p.update(done, a.images) }})
	p.end()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", n.model.Path(), err)
	}
	return a, a.keep(n, m, net, x)
}

// adaptable lists the images to adapt to.
func (n *network) adaptable(a *adaptation) (*featurize.Listing, error) {
	var all []featurize.Sample
	a.split = "all"
	for s, err := range n.listing.All() {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if n.listing.Stream != nil { // labels and splits are known now that it has ended
		for i := range all {
			all[i].Split = n.listing.Samples[i].Split
		}
	}
	n.tellNotes()
	if slices.ContainsFunc(all, func(s featurize.Sample) bool { return s.Split != "" }) {
		a.split = "train"
		all = slices.DeleteFunc(all, func(s featurize.Sample) bool { return s.Split != "train" && s.Split != "" })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no image of the train split: %w", featurize.ErrData)
	}
	return &featurize.Listing{Samples: all}, nil
}

// adaptableNetwork reads the model's graph: up to its logits, or up to the
// features where it has no head.
func (n *network) adaptableNetwork(m *onnx.Model) (*graph.Network, error) {
	_, _, err := m.LogitsValue()
	if errors.Is(err, onnx.ErrNoLogits) {
		value := n.spec.Feature
		if value == "" {
			if value, err = m.FeatureValue(); err != nil {
				return nil, err
			}
		}
		return readGraph(m, value)
	}
	return readGraph(m)
}

// keep makes the model of the new statistics.
func (a *adaptation) keep(n *network, m *onnx.Model, net *graph.Network, x finetune.Executor) error {
	h := sha256.New()
	values := map[string][]float32{}
	var names []string
	for _, p := range net.Params() {
		if !p.Kind.Statistic() {
			continue
		}
		v := make([]float32, p.Shape.Size())
		if err := x.Read(graph.Variable{Name: p.Name}, v); err != nil {
			return err
		}
		fmt.Fprintf(h, "%q\n", p.Name)
		writeFloats(h, v)
		values[p.Name] = v
		names = append(names, p.Name)
		if p.Kind == graph.Mean {
			a.norms++
		}
	}
	a.digest = hex.EncodeToString(h.Sum(nil))
	base, err := n.model.SHA256()
	if err != nil {
		return err
	}
	spec := n.spec
	spec.Parents, spec.Robustness = append(slices.Clone(spec.Parents), base), nil // which was of other statistics
	if m, err = m.WithSpec(spec); err != nil {
		return err
	}
	a.model, err = m.WithMetadata(statisticsKey, a.digest).WithFloats(names, func(name string, dst []float32) error {
		copy(dst, values[name])
		return nil
	})
	return err
}

// writeFloats writes the bytes of x, little-endian.
func writeFloats(w io.Writer, x []float32) {
	var b [1 << 16]byte
	for len(x) > 0 {
		n := min(len(x), len(b)/4)
		for i, v := range x[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		w.Write(b[:4*n])
		x = x[n:]
	}
}
