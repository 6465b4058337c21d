package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// The flags of verbs that run a network over images.

func dataFlags() []cli.Flag {
	return []cli.Flag{
		text("data", "", "the images: a folder, archive, list or `FILE`, or -", "d"),
		text("root", "", "the `FOLDER` where the paths of a list begin (default: the list's)"),
	}
}

func runFlags() []cli.Flag {
	return []cli.Flag{
		number("batch-size", 32, "images a run of the network", "b"),
		number("workers", 0, "goroutines that read and decode; 0: one a core", "j"),
		number("threads", 0, "threads of the network; 0: one a core"),
		text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
		text("precision", "fp32", "of the arithmetic: fp32, fp16, or tf32 on CUDA"),
	}
}

func skipFlags() []cli.Flag {
	return []cli.Flag{
		text("on-error", "skip", "what an unusable image does: skip or fail"),
		text("max-skipped", "100%", "more skipped images than this `SHARE` are an error"),
	}
}

func outputFlags() []cli.Flag {
	return []cli.Flag{
		libraryFlag(),
		text("config", "", "YAML `FILE` of these flags, such as an args.yaml"),
		jsonFlag(),
		text("progress", "auto", "how progress is shown: auto, bar, jsonl or none"),
		toggle("quiet", "no notes and no progress", "q"),
	}
}

// network is a model that runs over images: what verbs that have one share.
type network struct {
	*env
	c       *cli.Context
	model   *onnx.Model
	sum     string // the model's SHA-256
	spec    onnx.Spec
	assumed bool
	batch   int // images a run
	listing *featurize.Listing
	told    int // of the listing's notes
	library runtime.Library
	session *runtime.Session
	dims    []int // of one row of the output
}

// required finds a flag without which the verb means nothing.
func (n *network) required(usage string, names ...string) error {
	for _, name := range names {
		if n.c.String(name) == "" {
			return &usageError{msg: "--" + name + " is missing", hint: usage}
		}
	}
	return nil
}

// oneOf wants a flag to have one of some values.
func (n *network) oneOf(name string, may ...string) error {
	if v := n.c.String(name); !slices.Contains(may, v) {
		return &usageError{msg: fmt.Sprintf("--%s is %q, expected %s", name, v, strings.Join(may, " or "))}
	}
	return nil
}

// check looks at the flags alone, and takes the batch size from them.
func (n *network) check() error {
	if err := n.oneOf("precision", "fp32", "fp16", "tf32"); err != nil {
		return err
	}
	if err := n.checkDevice(); err != nil {
		return err
	}
	if n.batch = n.c.Int("batch-size"); n.batch < 1 || n.batch > 4096 {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 1 to 4096", n.batch)}
	}
	if err := n.checkCounts(); err != nil {
		return err
	}
	return n.checkRoot()
}

func (n *network) checkCounts() error {
	for _, name := range []string{"workers", "threads", "pre-resize"} {
		if v := n.c.Int(name); v < 0 || v > 1<<14 {
			return &usageError{msg: fmt.Sprintf("--%s is %d", name, v)}
		}
	}
	return nil
}

func (n *network) checkDevice() error {
	if kind, id, numbered := strings.Cut(n.c.String("device"), ":"); !slices.Contains([]string{"auto", "cpu", "cuda"}, kind) || numbered && (kind != "cuda" || !isNumber("-"+id)) {
		return &usageError{msg: fmt.Sprintf("--device is %q, expected auto, cpu, cuda or cuda:N", n.c.String("device"))}
	}
	return nil
}

func (n *network) checkRoot() error {
	if data := n.c.String("data"); n.c.String("root") != "" && !featurize.IsList(data) {
		return &usageError{msg: fmt.Sprintf("--root goes with a list file (.csv, .jsonl), and --data is %q", data)}
	}
	return nil
}

// cores is a flag's number of goroutines, where 0 is one a core.
func (n *network) cores(flag string) int {
	if v := n.c.Int(flag); v > 0 {
		return v
	}
	return runtime.Cores()
}

// checkSkips looks at the flags about unusable images.
func (n *network) checkSkips() error {
	if err := n.oneOf("on-error", "skip", "fail"); err != nil {
		return err
	}
	_, err := n.maxSkipped()
	return err
}

func (n *network) maxSkipped() (float64, error) {
	v := n.c.String("max-skipped")
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

// tolerate ends a command whose images are unusable more often than the flags
// allow.
func (n *network) tolerate(failed []featurize.Failure, images int) error {
	limit, err := n.maxSkipped()
	switch {
	case err != nil:
		return err
	case len(failed) > 0 && n.c.String("on-error") == "fail":
		return fmt.Errorf("%q: %s: %w", failed[0].Path, failed[0].Reason, featurize.ErrData)
	case float64(len(failed)) > limit*float64(images):
		return hinted{fmt.Errorf("%d of %d images are unusable, the first is %q: %s: %w", len(failed), images, failed[0].Path, failed[0].Reason, featurize.ErrData), "--max-skipped says how many may be"}
	}
	return nil
}

// load reads the model's structure and what it expects.
func (n *network) load() error {
	var err error
	if n.model, err = n.openModel(n.c.String("model")); err != nil {
		return err
	}
	if n.spec, n.assumed, err = n.modelSpec(n.c, n.model); err != nil {
		return err
	}
	const most = 4 << 30 // bytes of a batch
	if h, w := n.spec.InputSize[0], n.spec.InputSize[1]; n.batch > most/(3*h*w) {
		return &usageError{
			msg:  fmt.Sprintf("--batch-size is %d with images of %dx%d, expected at most %d of them", n.batch, h, w, max(1, most/(3*h*w))),
			hint: "a batch holds 4 GiB of pixels at most",
		}
	}
	return nil
}

// source lists what --data names.
func (n *network) source() error {
	var err error
	config := featurize.SourceConfig{Root: n.c.String("root")}
	if n.c.String("data") == "-" {
		config.Stdin = interruptibleReader(n.c.Context, os.Stdin)
	}
	n.listing, err = featurize.Source(n.c.Context, n.c.String("data"), config)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--data names a folder of class folders, an archive or a list"}
	}
	return err
}

// interruptibleReader reads r and ends with ctx, also while r has nothing to
// give.
func interruptibleReader(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	return out
}

// tellNotes passes on what the listing has to say, once; a stream has more of
// it at its end.
func (n *network) tellNotes() {
	for _, note := range n.listing.Notes[n.told:] {
		n.warn("%s", note)
	}
	n.told = len(n.listing.Notes)
}

// open finds the library, opens a session with one value of the model as its
// output and learns its shape. Where the file does not say that the value is
// to be pooled, the session does, and is opened a second time.
func (n *network) open(value string, pool bool) error {
	var err error
	if n.sum, err = n.model.SHA256(); err != nil {
		return err
	}
	if n.library, err = runtime.Find(n.c.String("onnxruntime")); err != nil {
		return err
	}
	for model := n.model; ; model = n.model.WithRank(value, 4) {
		g, err := model.ForImages(n.spec, onnx.ImageConfig{Outputs: []string{value}, Pool: pool})
		if errors.Is(err, onnx.ErrInputs) {
			return err
		}
		if err != nil {
			return &usageError{msg: err.Error(), hint: "rtx inspect shows the model"}
		}
		if n.session, err = runtime.Open(g, runtime.Options{
			Library: n.library, Threads: n.c.Int("threads"), Device: n.c.String("device"), Precision: n.c.String("precision"),
		}); err != nil {
			return err
		}
		if n.dims, err = n.row(); err != nil {
			n.session.Close()
			return err
		}
		if !pool || len(n.dims) != 3 || model != n.model {
			break
		}
		n.session.Close()
	}
	if device, why := n.session.Device(); device == "cpu" && n.c.String("device") == "auto" {
		n.note("on the CPU: %s", why)
	}
	return nil
}

// row is the shape of one row of the session's output. A model that was made
// for one batch size, and runs with no other, gets that.
func (n *network) row() ([]int, error) {
	dims, err := n.session.Dims(n.c.Context, n.batch)
	if size := n.model.FixedBatch(); errors.Is(err, runtime.ErrModel) && size > 0 && size != n.batch {
		n.warn("%s takes batches of %d images only, not of %d", n.model.Path(), size, n.batch)
		n.batch = size
		dims, err = n.session.Dims(n.c.Context, n.batch)
	}
	if err != nil {
		return nil, err
	}
	return dims[0][1:], nil
}

// extractor carries images through the network.
func (n *network) extractor() *featurize.Extractor {
	transform := featurize.TransformOf(n.spec)
	transform.Geometry.PreResize = n.c.Int("pre-resize")
	transform.Decode.ExifRotate = n.c.Bool("exif-rotate")
	row := 1
	for _, d := range n.dims {
		row *= d
	}
	return &featurize.Extractor{Network: n.session, Transform: transform, BatchSize: n.batch, RowSize: row, Workers: n.cores("workers")}
}

// config holds what the network's output depends on, beside the images.
func (n *network) config() map[string]any {
	s := n.spec
	decoder, version := pixels.JPEGDecoder()
	device, _ := n.session.Device()
	kind, _, _ := strings.Cut(device, ":")
	normalization := "none"
	switch {
	case s.Normalized:
		normalization = "in the network"
	case len(s.Mean) > 0 || len(s.Std) > 0:
		normalization = fmt.Sprintf("mean %v, std %v", s.Mean, s.Std)
	}
	return map[string]any{
		"model": n.sum, "row": fmt.Sprint(n.dims),
		"input_size": fmt.Sprintf("%dx%d", s.InputSize[0], s.InputSize[1]), "resize": fmt.Sprint(s.Resize), "crop": s.Crop,
		"interpolation": s.Interpolation, "pre_resize": fmt.Sprint(n.c.Int("pre-resize")), "range": fmt.Sprint(s.Range),
		"channels": s.Channels, "clamp": fmt.Sprint(s.Clamp), "normalization": normalization,
		"exif_rotate": fmt.Sprint(n.c.Bool("exif-rotate")), "precision": n.c.String("precision"),
		"batch_size": fmt.Sprint(n.batch), "jpeg_decoder": decoder + " " + version, "pixels": pixels.Version,
		"onnxruntime": n.library.Version, "device": kind,
	}
}

// specOrigin says where the spec is from: the model's file, or assumptions.
func (n *network) specOrigin() string {
	if n.assumed {
		return "assumed"
	}
	return "model"
}

// tellFailures lists the first unusable images; more names the file that lists
// all, if there is one.
func (n *network) tellFailures(failed []featurize.Failure, more string) {
	for i, bad := range failed {
		if i == 5 {
			n.note("... and %d more%s", len(failed)-i, more)
			break
		}
		n.note("skipped %q: %s", bad.Path, bad.Reason)
	}
}
