package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
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
			useFlag(),
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
	Use       string `flag:"use"`
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
		e.print(e.result("rtx.adapt/1", a.status, o.Out, append(object{
			{"images", a.images}, {"skipped", len(a.failed)}, {"split", a.split}, {"batch_norms", a.norms}, {"statistics", a.digest}, {"engine", a.engine},
		}, a.use.fields()...)))
		return nil
	}
	e.note("%d batch norms adapted to %d images (%s), %d skipped", a.norms, a.images, a.split, len(a.failed))
	a.use.tell(e)
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
	to := target{"out", o.Out, o.Overwrite, append(n.model.Files(), o.Model, o.Data, n.config)}
	if err := to.spare(to.inputs...); err != nil {
		return nil, err
	}
	if err := n.source(ctx); err != nil {
		return nil, err
	}
	defer n.listing.Close()
	for _, t := range []target{to, {flag: "use", name: o.Use}} {
		if err := t.spareImages(n.listing); err != nil {
			return nil, err
		}
	}
	a, err := n.adaptation(ctx, n.batch)
	if errors.As(err, new(signalled)) {
		return nil, partial{hinted{err, startsOver}, e.result("rtx.adapt/1", "interrupted", o.Out, nil)}
	}
	if err != nil {
		return nil, err
	}
	if a.model, err = a.model.Normalize(); err != nil {
		return nil, err
	}
	if a.use, err = newScript("use", o.Use, a.model, to); err != nil {
		return nil, err
	}
	if a.status, err = saveModel(ctx, a.model, to); err == nil {
		err = a.use.write(ctx)
	}
	if err != nil {
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
		number("workers", 0, "goroutines that read and decode images; 0: one per core", "j"),
		number("threads", 0, "threads that compute; 0: one per core"),
		text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
	}
}

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
	use    *script
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
	net, err := finetune.ReadBatchNorms(m)
	if errors.Is(err, finetune.ErrNoBatchNorm) {
		return nil, fmt.Errorf("%q: %w", n.model.Name(), err)
	}
	if err != nil {
		return nil, untrainable{err}
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
	base, err := n.model.SHA256()
	if err != nil {
		return nil, err
	}
	p := newProgress(n.env)
	p.update(0, a.images)
	adapted, err := finetune.AdaptModel(ctx, net, x, data, finetune.AdaptConfig{BatchSize: batch, Parent: base, Report: func(done int) { p.update(done, a.images) }})
	p.end()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", n.model.Name(), err)
	}
	a.model, a.norms, a.digest = adapted.Model, adapted.Norms, adapted.Digest
	return a, nil
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
