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
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
)

func featurizeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "featurize",
		Usage: "compute the features of images",
		Description: "DATA is a folder of class folders, the same in train, val and test, or a folder of\n" +
			"images; a tar (.gz, .zst) or zip archive of one; a list (.csv or .jsonl with path,\n" +
			"label, split, group); one image; or - for a tar archive on standard input.\n" +
			"OUT gets features.npy, labels.npy, classes.txt, manifest.jsonl and run.json.\n" +
			"An interrupted command goes on where it stopped; the same command again does nothing.",
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the backbone: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the `FOLDER` of the feature set", "o"),
			text("layer", "features", "the `VALUE` of the graph to take; features finds it"),
			text("pool", "avg", "`HOW` a value [N,C,H,W] becomes features: avg or none"),
			bnFlag(),
		}, runFlags(), []cli.Flag{
			text("format", "npy", "`KIND` of file for the features: npy, npz, safetensors or parquet"),
			text("shard", "", "take share `I/N` of the images, into OUT/shard-I-of-N; none takes all (default: from SLURM_ARRAY_TASK_ID; /N: I from there or from JOB_COMPLETION_INDEX)"),
		}, skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where OUT holds something else"),
			toggle("verify", "compare the images' contents, not size and time, with those in OUT"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.featurize(c) },
	}
}

// featurizing is one call of the verb, as it is put together.
type featurizing struct {
	network
	layer     string
	out       string
	shard     *featurize.Shard // nil: all
	shardFrom string           // what says so
	args      []byte
	job       featurize.Job
	adapted   *adaptation // nil: batch norms have the model's statistics
}

func (e *env) featurize(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	f := &featurizing{network: network{env: e, c: c}}
	if err := f.check(); err != nil {
		return err
	}
	if err := f.findLayer(); err != nil {
		return err
	}
	if err := f.source(); err != nil {
		return err
	}
	defer f.listing.Close()
	if err := f.adapt(); err != nil {
		return err
	}
	if f.shard != nil {
		f.listing.Take(*f.shard)
	}
	f.tellNotes()
	if err := f.open(f.layer, c.String("pool") == "avg"); err != nil {
		return err
	}
	defer f.session.Close()
	if err := f.prepare(); err != nil {
		return err
	}
	p := newProgress(e)
	f.job.Progress = p.update
	sum, err := f.job.Run(c.Context)
	p.end()
	return f.report(sum, err)
}

// check looks at the flags alone.
func (f *featurizing) check() error {
	if err := f.required("rtx featurize -m MODEL.onnx -d IMAGES -o FEATURES", "model", "data", "out"); err != nil {
		return err
	}
	if err := f.oneOf("pool", "avg", "none"); err != nil {
		return err
	}
	if err := f.oneOf("bn", "frozen", "adapt"); err != nil {
		return err
	}
	if err := f.oneOf("format", featurize.Formats...); err != nil {
		return err
	}
	if err := f.network.check(); err != nil {
		return err
	}
	if err := f.checkSkips(); err != nil {
		return err
	}
	var err error
	f.out = f.c.String("out")
	if f.shard, f.shardFrom, err = shardOf(f.c.String("shard"), os.Getenv); err != nil || f.shard == nil {
		if os.Getenv("JOB_COMPLETION_INDEX") != "" && f.c.String("shard") == "" {
			f.note("JOB_COMPLETION_INDEX is set; --shard /N would take its share of N")
		}
		return err
	}
	f.out = filepath.Join(f.out, f.shard.Dir())
	f.note("shard %d of %d (%s)", f.shard.Index, f.shard.Count, f.shardFrom)
	return nil
}

// adapt gives the batch norms statistics of the images, where that is asked for.
// A shard adapts to the whole.
func (f *featurizing) adapt() error {
	if f.c.String("bn") != "adapt" {
		return nil
	}
	if f.listing.Stream != nil {
		return &usageError{msg: "--bn adapt reads the images twice, and a stream can be read but once", hint: "give a folder, or an archive that is not compressed; or rtx adapt first"}
	}
	adapted, err := f.adaptation(adaptBatch)
	if errors.Is(err, finetune.ErrNoBatchNorm) {
		f.warn("%s has no batch norms, so that --bn adapt changes nothing", f.model.Path())
		return nil
	}
	if err != nil {
		return err
	}
	f.adapted, f.model = adapted, adapted.model
	return nil
}

// findLayer loads the model and finds the value to take.
func (f *featurizing) findLayer() error {
	if err := f.load(); err != nil {
		return err
	}
	f.layer = f.c.String("layer")
	if f.layer == "features" {
		if f.layer = f.spec.Feature; f.layer == "" {
			_, err := f.model.FeatureValue()
			return hinted{err, "--layer names the value"}
		}
	}
	return nil
}

// prepare fills in the job.
func (f *featurizing) prepare() error {
	c := f.c
	var err error
	if f.args, err = resolved(c); err != nil {
		return err
	}
	limit, err := f.maxSkipped()
	if err != nil {
		return err
	}
	f.job = featurize.Job{
		Out: f.out, Listing: f.listing, Format: c.String("format"), RowDims: f.dims, Config: f.config(),
		Open:      func(context.Context) (*featurize.Extractor, error) { return f.extractor(), nil },
		Overwrite: c.Bool("overwrite"), Verify: c.Bool("verify"), FailFast: c.String("on-error") == "fail",
		LimitSkipped: limit < 1, MaxSkipped: limit,
		Describe: f.describe, Args: f.args,
	}
	return nil
}

// config holds what the bytes of the features depend on, beside the images.
func (f *featurizing) config() map[string]any {
	c := f.network.config()
	c["layer"], c["pool"], c["format"] = f.layer, f.c.String("pool"), f.c.String("format")
	if f.adapted != nil { // so that sets from before there was a choice stay what they are
		c["bn"], c["statistics"] = "adapt", f.adapted.digest
	}
	return c
}

// describe says in run.json what the set was made with.
func (f *featurizing) describe(p *featurize.Provenance) {
	f.tellNotes()
	p.Version, p.Data, p.ShardFrom = buildVersion(), f.c.String("data"), f.shardFrom
	p.Model = featurize.ModelFile{File: f.model.Path(), SHA256: f.sum}
	p.Spec, p.ResolvedSpec, p.Library = f.specOrigin(), f.spec, featurize.Library(f.library)
	p.Device, p.DeviceWhy = f.session.Device()
	p.Decoder.JPEG, p.Decoder.Version = pixels.JPEGDecoder()
	p.Warnings = f.warnings
}

// report tells what came out.
func (f *featurizing) report(s *featurize.Summary, err error) error {
	f.tellNotes()
	if s == nil {
		return err
	}
	out, dim := f.out, 1
	for _, d := range s.Dims {
		dim *= d
	}
	f.tellFailures(s.Failed, ", see manifest.jsonl")
	for text, n := range s.Warnings {
		f.warn("%d images: %s", n, text)
	}
	own := object{
		{"samples", s.Samples}, {"dim", dim}, {"skipped", s.Skipped}, {"reused", s.Reused}, {"new", s.New},
		{"images_per_second", s.ImagesPerSecond()}, {"classes", len(f.listing.Classes)},
	}
	if err != nil {
		var sig signalled
		if errors.As(err, &sig) {
			return partial{err, f.result("rtx.featurize/1", "interrupted", out, own)}
		}
		return err
	}
	if f.json {
		f.print(f.result("rtx.featurize/1", s.Status, out, own))
		return nil
	}
	switch {
	case s.Status == "cached":
		f.note("nothing to do: %d features of %d are there", s.Samples, dim)
	case s.New == 0:
		f.note("%d samples of %d features; all reused, %d skipped", s.Samples, dim, s.Skipped)
	case s.Reused > 0:
		f.note("%d samples of %d features; %d reused, %d new, %d skipped; %.0f images/s", s.Samples, dim, s.Reused, s.New, s.Skipped, s.ImagesPerSecond())
	default:
		f.note("%d samples of %d features, %d skipped; %.0f images/s", s.Samples, dim, s.Skipped, s.ImagesPerSecond())
	}
	fmt.Fprintln(f.stdout, out)
	return nil
}
