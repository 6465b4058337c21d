package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

func featurizeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "featurize",
		Usage: "compute the features of images",
		Description: "DATA is a folder of class folders, the same in train, val and test, or a folder of\n" +
			"images; a tar (.gz, .zst) or zip archive of one; a WebDataset, as 'train-{000..127}.tar'\n" +
			"in quotes or a folder of tars; a list (.csv or .jsonl with path, label, split, group);\n" +
			"one image; or - for a tar archive on standard input.\n" +
			"OUT gets features.npy, labels.npy, classes.txt, manifest.jsonl and run.json.\n" +
			"An interrupted command goes on where it stopped; the same command again does nothing.",
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the backbone: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the `FOLDER` of the feature set", "o"),
			text("layer", defaultFeatures.Layer, "the `VALUE` of the graph to take; features finds it"),
			text("pool", defaultFeatures.Pool, "`HOW` a value [N,C,H,W] becomes features: avg or none"),
			bnFlag(),
		}, runFlags(), []cli.Flag{
			text("format", defaultFeatures.Format, "`KIND` of file for the features: npy, npz, safetensors or parquet"),
			text("shard", "", "take share `I/N` of the images, into OUT/shard-I-of-N; none takes all (default: from SLURM_ARRAY_TASK_ID; /N: I from there or from JOB_COMPLETION_INDEX)"),
		}, skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where OUT holds something else"),
			toggle("verify", "compare the images' contents, not size and time, with those in OUT"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.featurize(c) },
	}
}

// featurizeOptions are those of the verb, in the order of args.yaml.
type featurizeOptions struct {
	Model string `flag:"model"`
	dataOptions
	Out   string `flag:"out"`
	Layer string `flag:"layer"`
	Pool  string `flag:"pool"`
	BN    string `flag:"bn"`
	runOptions
	Format string `flag:"format"`
	Shard  string `flag:"shard"`
	skipOptions
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
	Verify    bool   `flag:"verify"`
	specOptions
}

// defaultFeatures are the options that say which features are computed, where
// nothing else is asked for.
var defaultFeatures = featurizeOptions{Layer: "features", Pool: "avg", Format: "npy"}

// featurizing is a feature set that is being computed.
type featurizing struct {
	network
	options   featurizeOptions
	layer     string           // the value of the graph
	out       string           // the folder, of the shard where there is one
	shard     *featurize.Shard // nil: all
	shardFrom string           // the flag or variable that chose the shard
	args      []byte
	job       featurize.Job
	adapted   *adaptation // nil: batch norms have the model's statistics
	summary   *featurize.Summary
}

func (e *env) featurize(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	var o featurizeOptions
	readOptions(c, &o)
	if err := o.check(); err != nil {
		return err
	}
	shard, from, err := e.shard(o.Shard)
	if err != nil {
		return err
	}
	f, err := e.extractFeatures(c.Context, o, shard, from)
	if err != nil {
		return err
	}
	f.report()
	return nil
}

// shard is the shard of the images that this command computes, nil for all, and
// the flag or variable that chose it.
func (e *env) shard(flag string) (*featurize.Shard, string, error) {
	shard, from, err := shardOf(flag, os.Getenv)
	switch {
	case err != nil:
	case shard != nil:
		e.note("shard %d of %d (%s)", shard.Index, shard.Count, from)
	case os.Getenv("JOB_COMPLETION_INDEX") != "" && flag == "":
		e.note("JOB_COMPLETION_INDEX is set; --shard /N would take its share of N")
	}
	return shard, from, err
}

// check checks the options.
func (o *featurizeOptions) check() error {
	if err := required("rtx featurize -m MODEL.onnx -d IMAGES -o FEATURES", "model", o.Model, "data", o.Data, "out", o.Out); err != nil {
		return err
	}
	if err := oneOf("pool", o.Pool, "avg", "none"); err != nil {
		return err
	}
	if err := oneOf("bn", o.BN, "frozen", "adapt"); err != nil {
		return err
	}
	if err := oneOf("format", o.Format, featurize.Formats...); err != nil {
		return err
	}
	n := o.network()
	if err := n.check(); err != nil {
		return err
	}
	return o.checkSkips()
}

// network is the part of the options that says how the network runs.
func (o *featurizeOptions) network() networkOptions {
	return networkOptions{Model: o.Model, dataOptions: o.dataOptions, runOptions: o.runOptions, skipOptions: o.skipOptions, Library: o.Library, specOptions: o.specOptions}
}

// extractFeatures computes what is missing of a feature set or a shard. The options
// have been checked.
func (e *env) extractFeatures(ctx context.Context, o featurizeOptions, shard *featurize.Shard, shardFrom string) (*featurizing, error) {
	f := &featurizing{network: network{env: e, networkOptions: o.network(), batch: o.BatchSize}, options: o, out: o.Out, shard: shard, shardFrom: shardFrom}
	if shard != nil {
		f.out = filepath.Join(o.Out, shard.Dir())
	}
	if err := f.findLayer(); err != nil {
		return nil, err
	}
	if err := f.source(ctx); err != nil {
		return nil, err
	}
	defer f.listing.Close()
	if err := f.adapt(ctx); err != nil {
		return nil, err
	}
	if shard != nil {
		f.listing.Take(*shard)
	}
	f.tellNotes()
	f.tellLabels()
	if err := f.open(ctx, f.layer, o.Pool == "avg"); err != nil {
		return nil, err
	}
	defer f.session.Close()
	f.tellScores()
	if err := f.prepare(); err != nil {
		return nil, err
	}
	p := newProgress(e)
	f.job.Progress = p.update
	var err error
	f.summary, err = f.job.Run(ctx)
	p.end()
	return f, f.ended(err)
}

// adapt replaces the statistics of the batch norms by those of the images, if asked
// for. A shard takes the statistics of all images, not of its own.
func (f *featurizing) adapt(ctx context.Context) error {
	if f.options.BN != "adapt" {
		return nil
	}
	if f.listing.Stream != nil {
		return &usageError{msg: "--bn adapt reads the images twice, and a stream can be read but once", hint: "give a folder, or an archive that is not compressed; or rtx adapt first"}
	}
	adapted, err := f.adaptation(ctx, adaptBatch)
	if errors.Is(err, finetune.ErrNoBatchNorm) {
		f.warn("%s has no batch norms, so that --bn adapt changes nothing", f.model.Name())
		return nil
	}
	if err != nil {
		return err
	}
	f.adapted, f.model = adapted, adapted.model
	return nil
}

// findLayer loads the model and finds the value that becomes the features.
func (f *featurizing) findLayer() error {
	if err := f.load(); err != nil {
		return err
	}
	if f.layer = f.options.Layer; f.layer != "features" {
		return nil
	}
	if what := f.model.Detector(); what != "" && (f.model.Metadata(onnx.SpecKey) == "" || f.spec.Detect != nil) {
		return hinted{fmt.Errorf("%q is %s: %w", f.model.Name(), what, onnx.ErrDetector), "--layer names a value of its backbone, such as the last map before the boxes"}
	}
	var err error
	if f.layer, err = f.model.Feature(f.spec); err != nil {
		return hinted{err, "--layer names the value, rtx inspect --values lists them"}
	}
	return nil
}

// tellScores warns of features that look like the scores of classes.
func (f *featurizing) tellScores() {
	if f.options.Layer != "features" || len(f.session.Row) != 1 {
		return
	}
	if why := f.model.AreScores(f.layer, f.session.Row[0]); why != "" {
		f.warn("%s: the features %q are probably scores of %d classes (%s), because no linear layer was found before them; --layer names another value", f.model.Name(), f.layer, f.session.Row[0], why)
	}
}

// prepare fills in the job.
func (f *featurizing) prepare() error {
	o := f.options
	var err error
	if f.args, err = recordedOptions(&o); err != nil {
		return err
	}
	limit, err := f.maxSkipped()
	if err != nil {
		return err
	}
	f.job = featurize.Job{
		Out: f.out, Listing: f.listing, Format: o.Format, RowDims: f.session.Row, Settings: f.settings(),
		Open:      func(context.Context) (*featurize.Extractor, error) { return f.extractor(), nil },
		Overwrite: o.Overwrite, Verify: o.Verify, FailFast: o.OnError == "fail", Inputs: append(f.model.Files(), o.Model, o.Data, f.config),
		LimitSkipped: limit < 1, MaxSkipped: limit,
		Describe: f.describe, Args: f.args,
	}
	return nil
}

// settings are what the features depend on besides the images.
func (f *featurizing) settings() featurize.Settings {
	s := featurize.Settings{Computation: f.computation(), Layer: f.layer, Pool: f.options.Pool}
	if f.adapted != nil {
		s.BatchNorms, s.Statistics = "adapt", f.adapted.digest
	}
	return s
}

// describe fills in run.json: what the set was made with.
func (f *featurizing) describe(p *featurize.Provenance) {
	f.tellNotes()
	f.tellLabels()
	p.Version, p.Data, p.ShardFrom = buildVersion(), f.Data, f.shardFrom
	p.Model = output.ModelFile{File: f.model.Path(), SHA256: f.sum}
	p.Spec, p.ResolvedSpec, p.Library = f.specOrigin(), f.spec, featurize.Library(f.library)
	p.Device, p.DeviceWhy = f.session.Device()
	p.Decoder.JPEG, p.Decoder.Version = pixels.JPEGDecoder()
	p.Warnings = f.warnings
}

// ended warns of images that were skipped or damaged. It adds the result so far to
// the error of an interrupted job.
func (f *featurizing) ended(err error) error {
	f.tellNotes()
	f.tellLabels()
	s := f.summary
	if s == nil {
		return err
	}
	f.tellFailures(s.Failed, ", see manifest.jsonl")
	f.tellDecoder(s.Warnings)
	f.tellLost(s.Lost)
	if errors.As(err, new(signalled)) {
		return goOn(partial{err, f.result("rtx.featurize/1", "interrupted", f.out, f.fields())}, f.options.Overwrite)
	}
	return err
}

// fields are the keys of rtx.featurize/1 that not every result has.
func (f *featurizing) fields() object {
	s := f.summary
	return object{
		{"samples", s.Samples}, {"dim", s.Dim()}, {"skipped", s.Skipped}, {"unread", unreadObject(f.listing.Unread)}, {"reused", s.Reused}, {"new", s.New},
		{"images_per_second", s.ImagesPerSecond()}, {"classes", len(f.listing.Classes)},
	}
}

// report prints the result.
func (f *featurizing) report() {
	s := f.summary
	if f.json {
		f.print(f.result("rtx.featurize/1", s.Status, f.out, f.fields()))
		return
	}
	dim, skipped := s.Dim(), fmt.Sprintf("%d skipped", s.Skipped)
	if n := unreadFiles(f.listing.Unread); n > 0 {
		skipped += fmt.Sprintf(", %d other files not read", n)
	}
	switch {
	case s.Status == "cached":
		f.note("nothing to do: %d features of %d are there", s.Samples, dim)
	case s.New == 0:
		f.note("%d samples of %d features; all reused, %s", s.Samples, dim, skipped)
	case s.Reused > 0:
		f.note("%d samples of %d features; %d reused, %d new, %s; %.0f images/s", s.Samples, dim, s.Reused, s.New, skipped, s.ImagesPerSecond())
	default:
		f.note("%d samples of %d features, %s; %.0f images/s", s.Samples, dim, skipped, s.ImagesPerSecond())
	}
	fmt.Fprintln(f.stdout, f.out)
}
