package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
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
		Flags: append([]cli.Flag{
			text("model", "", "the backbone, an ONNX `FILE`", "m"),
			text("data", "", "the images: a folder, archive, list or `FILE`, or -", "d"),
			text("root", "", "the `FOLDER` where the paths of a list begin (default: the list's)"),
			text("out", "", "the `FOLDER` of the feature set", "o"),
			text("layer", "features", "the `VALUE` of the graph to take; features finds it"),
			text("pool", "avg", "`HOW` a value [N,C,H,W] becomes features: avg or none"),
			number("batch-size", 32, "images a run of the network", "b"),
			number("workers", 0, "goroutines that read and decode; 0: one a core", "j"),
			number("threads", 0, "threads of the network; 0: one a core"),
			text("device", "auto", "auto, cpu, cuda or cuda:`N`"),
			text("precision", "fp32", "fp32, fp16, or tf32 on CUDA"),
			text("format", "npy", "`KIND` of file for the features: npy, npz, safetensors or parquet"),
			text("shard", "", "take share `I/N` of the images, into OUT/shard-I-of-N; none takes all (default: from SLURM_ARRAY_TASK_ID; /N: I from there or from JOB_COMPLETION_INDEX)"),
			text("on-error", "skip", "what an unusable image does: skip or fail"),
			text("max-skipped", "100%", "more skipped images than this `SHARE` are an error"),
			libraryFlag(),
			text("config", "", "YAML `FILE` of these flags, such as an args.yaml"),
			jsonFlag(),
			text("progress", "auto", "auto, bar, jsonl or none"),
			toggle("quiet", "no notes and no progress", "q"),
			toggle("overwrite", "start over where OUT holds something else"),
			toggle("verify", "compare the images' contents, not size and time, with those in OUT"),
		}, specFlags()...),
		Action: func(c *cli.Context) error { return e.featurize(c) },
	}
}

// featurizing is one call of the verb, as it is put together.
type featurizing struct {
	*env
	c         *cli.Context
	model     *onnx.Model
	spec      onnx.Spec
	assumed   bool
	layer     string
	out       string
	shard     *featurize.Shard // nil: all
	shardFrom string           // what says so
	listing   *featurize.Listing
	told      int // of the listing's notes
	library   runtime.Library
	session   *runtime.Session
	dims      []int
	args      []byte
	job       featurize.Job
}

func (e *env) featurize(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	f := &featurizing{env: e, c: c}
	if err := f.check(); err != nil {
		return err
	}
	if err := f.openModel(); err != nil {
		return err
	}
	var err error
	if f.listing, err = featurize.Source(c.Context, c.String("data"), featurize.SourceConfig{Root: c.String("root"), Stdin: os.Stdin}); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--data names a folder of class folders, an archive or a list"}
		}
		return err
	}
	defer f.listing.Close()
	if f.shard != nil {
		f.listing.Take(*f.shard)
	}
	f.tellNotes()
	if err := f.openSession(); err != nil {
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

// tellNotes passes on what the listing has to say, once; a stream has more of
// it at its end.
func (f *featurizing) tellNotes() {
	for _, n := range f.listing.Notes[f.told:] {
		f.warn("%s", n)
	}
	f.told = len(f.listing.Notes)
}

// check looks at the flags alone.
func (f *featurizing) check() error {
	for _, name := range []string{"model", "data", "out"} {
		if f.c.String(name) == "" {
			return &usageError{msg: "--" + name + " is missing", hint: "rtx featurize -m MODEL.onnx -d IMAGES -o FEATURES"}
		}
	}
	for name, may := range map[string][]string{"pool": {"avg", "none"}, "on-error": {"skip", "fail"}, "precision": {"fp32", "fp16", "tf32"}, "format": featurize.Formats} {
		if v := f.c.String(name); !slices.Contains(may, v) {
			return &usageError{msg: fmt.Sprintf("--%s is %q, expected %s", name, v, strings.Join(may, " or "))}
		}
	}
	if kind, id, numbered := strings.Cut(f.c.String("device"), ":"); !slices.Contains([]string{"auto", "cpu", "cuda"}, kind) || numbered && (kind != "cuda" || !isNumber("-"+id)) {
		return &usageError{msg: fmt.Sprintf("--device is %q, expected auto, cpu, cuda or cuda:N", f.c.String("device"))}
	}
	if b := f.c.Int("batch-size"); b < 1 || b > 4096 {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 1 to 4096", b)}
	}
	for _, name := range []string{"workers", "threads", "pre-resize"} {
		if v := f.c.Int(name); v < 0 || v > 1<<14 {
			return &usageError{msg: fmt.Sprintf("--%s is %d", name, v)}
		}
	}
	if data := f.c.String("data"); f.c.String("root") != "" && !featurize.IsList(data) {
		return &usageError{msg: fmt.Sprintf("--root goes with a list file (.csv, .jsonl), and --data is %q", data)}
	}
	if _, err := f.maxSkipped(); err != nil {
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

func (f *featurizing) maxSkipped() (float64, error) {
	v := f.c.String("max-skipped")
	number, percent := strings.CutSuffix(v, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, &usageError{msg: fmt.Sprintf("--max-skipped is %q, expected a share such as 1%% or 0.01", v)}
	}
	return x, nil
}

// openModel reads the model's structure and what it expects.
func (f *featurizing) openModel() error {
	var err error
	if f.model, err = onnx.Load(f.c.String("model")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return hinted{&usageError{msg: err.Error()}, "--model names an ONNX file"}
		}
		return err
	}
	if bad := f.model.Validate(); len(bad) > 0 {
		return fmt.Errorf("onnx: %q: %s: %w", f.model.Path(), bad[0], onnx.ErrFormat)
	}
	if f.spec, f.assumed, err = f.modelSpec(f.c, f.model); err != nil {
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

// openSession finds the library, opens the session and learns the shape of its
// output. Where the file does not say that an output is to be pooled, the
// session does, and is opened a second time.
func (f *featurizing) openSession() error {
	var err error
	if f.library, err = runtime.Find(f.c.String("onnxruntime")); err != nil {
		return err
	}
	pool := f.c.String("pool") == "avg"
	for model := f.model; ; model = f.model.WithRank(f.layer, 4) {
		g, err := model.ForImages(f.spec, onnx.ImageConfig{Outputs: []string{f.layer}, Pool: pool})
		if err != nil {
			return &usageError{msg: err.Error(), hint: "rtx inspect shows the model"}
		}
		if f.session, err = runtime.Open(g, runtime.Options{
			Library: f.library, Threads: f.c.Int("threads"), Device: f.c.String("device"), Precision: f.c.String("precision"),
		}); err != nil {
			return err
		}
		dims, err := f.session.Dims(f.c.Context, f.c.Int("batch-size"))
		if err != nil {
			f.session.Close()
			return err
		}
		f.dims = dims[0][1:]
		if !pool || len(f.dims) != 3 || model != f.model {
			break
		}
		f.session.Close()
	}
	if device, why := f.session.Device(); device == "cpu" && f.c.String("device") == "auto" {
		f.note("on the CPU: %s", why)
	}
	return nil
}

// prepare fills in the job.
func (f *featurizing) prepare() error {
	c := f.c
	sum, err := f.model.SHA256()
	if err != nil {
		return err
	}
	if f.args, err = resolved(c); err != nil {
		return err
	}
	limit, err := f.maxSkipped()
	if err != nil {
		return err
	}
	workers := c.Int("workers")
	if workers == 0 {
		workers = runtime.Cores()
	}
	transform := featurize.TransformOf(f.spec)
	transform.Geometry.PreResize = c.Int("pre-resize")
	transform.Decode.ExifRotate = c.Bool("exif-rotate")
	f.job = featurize.Job{
		Out: f.out, Listing: f.listing, Format: c.String("format"), RowDims: f.dims, Config: f.config(sum),
		Open: func(context.Context) (*featurize.Extractor, error) {
			return &featurize.Extractor{Network: f.session, Transform: transform, BatchSize: c.Int("batch-size"), Workers: workers}, nil
		},
		Overwrite: c.Bool("overwrite"), Verify: c.Bool("verify"), FailFast: c.String("on-error") == "fail",
		LimitSkipped: limit < 1, MaxSkipped: limit,
		Files: func(s *featurize.Summary) (map[string][]byte, error) {
			f.tellNotes()
			run, err := json.MarshalIndent(f.record(sum, s), "", "  ")
			return map[string][]byte{"run.json": append(run, '\n'), "args.yaml": f.args}, err
		},
	}
	return nil
}

// config holds what the bytes of the features depend on, beside the images.
func (f *featurizing) config(model string) map[string]any {
	s := f.spec
	decoder, version := pixels.JPEGDecoder()
	device, _ := f.session.Device()
	kind, _, _ := strings.Cut(device, ":")
	normalization := "none"
	switch {
	case s.Normalized:
		normalization = "in the network"
	case len(s.Mean) > 0 || len(s.Std) > 0:
		normalization = fmt.Sprintf("mean %v, std %v", s.Mean, s.Std)
	}
	return map[string]any{
		"model": model, "layer": f.layer, "pool": f.c.String("pool"), "row": fmt.Sprint(f.dims),
		"input_size": fmt.Sprintf("%dx%d", s.InputSize[0], s.InputSize[1]), "resize": fmt.Sprint(s.Resize), "crop": s.Crop,
		"interpolation": s.Interpolation, "pre_resize": fmt.Sprint(f.c.Int("pre-resize")), "range": fmt.Sprint(s.Range),
		"channels": s.Channels, "clamp": fmt.Sprint(s.Clamp), "normalization": normalization,
		"exif_rotate": fmt.Sprint(f.c.Bool("exif-rotate")), "precision": f.c.String("precision"),
		"batch_size": fmt.Sprint(f.c.Int("batch-size")), "jpeg_decoder": decoder + " " + version,
		"onnxruntime": f.library.Version, "device": kind, "format": f.c.String("format"),
	}
}

// record is run.json: what the set was made with and what came out.
func (f *featurizing) record(model string, s *featurize.Summary) object {
	device, why := f.session.Device()
	decoder, version := pixels.JPEGDecoder()
	origin := "model"
	if f.assumed {
		origin = "assumed"
	}
	return object{
		{"schema", "rtx.run/1"}, {"verb", "featurize"}, {"status", "done"}, {"rtx", buildVersion()},
		{"finished", time.Now().UTC().Format(time.RFC3339)},
		{"model", object{{"file", f.model.Path()}, {"sha256", model}}}, {"data", f.c.String("data")},
		{"spec", origin}, {"resolved_spec", f.spec}, {"config", f.job.Config}, {"listing", f.listing.Identity()},
		{"shard", f.listing.Shard()}, {"shard_from", f.shardFrom},
		{"onnxruntime", f.library}, {"device", device}, {"device_why", why},
		{"decoder", object{{"jpeg", decoder}, {"version", version}}},
		{"counts", object{{"samples", s.Samples}, {"skipped", s.Skipped}, {"reused", s.Reused}, {"new", s.New}, {"classes", len(f.listing.Classes)}}},
		{"images_per_second", s.ImagesPerSecond()}, {"decoder_warnings", s.Warnings}, {"warnings", f.warnings},
	}
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
	for i, bad := range s.Failed {
		if i == 5 {
			f.note("... and %d more, see manifest.jsonl", len(s.Failed)-i)
			break
		}
		f.note("skipped %q: %s", bad.Path, bad.Reason)
	}
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
