package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// The flags of verbs that run a network over images.

type dataOptions struct {
	Data     string `flag:"data"`
	Root     string `flag:"root"`
	LabelKey string `flag:"label-key"`
}

func dataFlags() []cli.Flag {
	return []cli.Flag{
		text("data", "", "the images: a folder, archive, list or `FILE`, or -", "d"),
		text("root", "", "the `FOLDER` that the paths of a list are relative to (default: the list's)"),
		text("label-key", "", "the `KEY` of the label in the .json members of a WebDataset; a.b is b in a (default: labels are .cls members)"),
	}
}

type runOptions struct {
	BatchSize int    `flag:"batch-size"`
	Workers   int    `flag:"workers"`
	Threads   int    `flag:"threads"`
	Device    string `flag:"device"`
	Precision string `flag:"precision"`
}

func runFlags() []cli.Flag {
	return []cli.Flag{
		number("batch-size", 32, "images per run of the network", "b"),
		number("workers", 0, "goroutines that read and decode images; 0: one per core", "j"),
		number("threads", 0, "threads that compute; 0: one per core"),
		text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
		text("precision", "fp32", "precision of the arithmetic: fp32, fp16, or tf32 on CUDA"),
	}
}

// detectorOptions say of a detector of another tool what its file does not.
type detectorOptions struct {
	Form   string `flag:"form"`
	Labels string `flag:"labels"`
}

func detectorFlags() []cli.Flag {
	return []cli.Flag{
		text("form", "", "`WHICH` outputs a detector of another tool has, where several fit: "+formNames()),
		text("labels", "", "`FILE` of the names of the classes of a detector of another tool, in their order, one a line"),
	}
}

func formNames() string {
	var names []string
	for _, f := range foreign.Forms {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

type skipOptions struct {
	OnError    string `flag:"on-error"`
	MaxSkipped string `flag:"max-skipped"`
}

func skipFlags() []cli.Flag {
	return []cli.Flag{
		text("on-error", "skip", "what to do about an unusable image: skip or fail"),
		text("max-skipped", "100%", "fail if more than this `SHARE` of the images is skipped"),
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

// networkOptions are those of verbs that run a network over images.
type networkOptions struct {
	Model string `flag:"model"`
	dataOptions
	runOptions
	skipOptions
	Engine  string `flag:"engine"`
	Library string `flag:"onnxruntime"`
	specOptions
}

// network is a model that runs over images: what verbs that have one share.
type network struct {
	*env
	networkOptions
	model      *onnx.Model
	sum        string // the model's SHA-256
	spec       onnx.Spec
	assumed    bool
	batch      int // images a run
	listing    *featurize.Listing
	objects    bool // the images may be those of a data set for detection
	told       int  // of the listing's notes
	toldLabels bool // the LabelNote has been told
	library    runtime.Library
	session    *runtime.Images
}

// check looks at the options alone.
func (o *networkOptions) check() error {
	if err := oneOf("precision", o.Precision, "fp32", "fp16", "tf32"); err != nil {
		return err
	}
	if err := o.checkDevice(); err != nil {
		return err
	}
	if o.BatchSize < 1 || o.BatchSize > 4096 {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 1 to 4096", o.BatchSize)}
	}
	if err := o.checkCounts(); err != nil {
		return err
	}
	return o.checkRoot()
}

func (o *networkOptions) checkCounts() error {
	for _, count := range []struct {
		flag string
		n    int
	}{{"workers", o.Workers}, {"threads", o.Threads}, {"pre-resize", o.PreResize}} {
		if count.n < 0 || count.n > 1<<14 {
			return &usageError{msg: fmt.Sprintf("--%s is %d", count.flag, count.n)}
		}
	}
	return nil
}

func (o *runOptions) checkDevice() error {
	if kind, id, numbered := strings.Cut(o.Device, ":"); !slices.Contains([]string{"auto", "cpu", "cuda"}, kind) || numbered && (kind != "cuda" || !isNumber("-"+id)) {
		return &usageError{msg: fmt.Sprintf("--device is %q, expected auto, cpu, cuda or cuda:N", o.Device)}
	}
	return nil
}

func (o *dataOptions) checkRoot() error {
	if o.Root != "" && !featurize.IsList(o.Data) {
		return &usageError{msg: fmt.Sprintf("--root goes with a list file (.csv, .jsonl), and --data is %q", o.Data)}
	}
	return nil
}

// cores is a number of goroutines or threads, where 0 is one a core.
func cores(n int) int {
	if n > 0 {
		return n
	}
	return runtime.Cores()
}

// checkSkips looks at the flags about unusable images.
func (o skipOptions) checkSkips() error {
	if err := oneOf("on-error", o.OnError, "skip", "fail"); err != nil {
		return err
	}
	_, err := o.maxSkipped()
	return err
}

// maxSkipped is the share of the images that may be unusable.
func (o skipOptions) maxSkipped() (float64, error) {
	number, percent := strings.CutSuffix(o.MaxSkipped, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, &usageError{msg: fmt.Sprintf("--max-skipped is %q, expected a share such as 1%% or 0.01", o.MaxSkipped)}
	}
	return x, nil
}

// tolerate ends a command whose images are unusable more often than the flags
// allow.
func (o skipOptions) tolerate(failed []featurize.Failure, images int) error {
	limit, err := o.maxSkipped()
	switch {
	case err != nil:
		return err
	case len(failed) > 0 && o.OnError == "fail":
		return fmt.Errorf("%q: %s: %w", failed[0].Path, failed[0].Reason, featurize.ErrData)
	case float64(len(failed)) > limit*float64(images):
		return hinted{fmt.Errorf("%d of %d images are unusable, the first is %q: %s: %w", len(failed), images, failed[0].Path, failed[0].Reason, featurize.ErrData), "--max-skipped says how many may be"}
	}
	return nil
}

// load reads the model's structure and what it expects.
func (n *network) load() error {
	var err error
	if n.model == nil {
		if n.model, err = n.openModel(n.Model); err != nil {
			return err
		}
	}
	if n.spec, n.assumed, err = n.modelSpec(n.inputOptions, n.Model, n.model); err != nil {
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
func (n *network) source(ctx context.Context) error {
	var err error
	config := featurize.SourceConfig{Root: n.Root, LabelKey: n.LabelKey, Objects: n.objects}
	if n.Data == "-" {
		config.Stdin = interruptibleReader(ctx, os.Stdin)
	}
	n.listing, err = featurize.Source(ctx, n.Data, config)
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

// tellLabels warns, once, where the labels of classes are not the numbers that they are
// called.
func (n *network) tellLabels() {
	if note := n.listing.LabelNote(); note != "" && !n.toldLabels {
		n.warn("%s", note)
		n.toldLabels = true
	}
}

// open finds the library and opens a session with one value of the model as its
// output.
func (n *network) open(ctx context.Context, value string, pool bool) error {
	var err error
	if n.sum, err = n.model.SHA256(); err != nil {
		return err
	}
	if n.library, err = runtime.Find(n.Library); err != nil {
		return err
	}
	config := runtime.ImagesConfig{Value: value, Pool: pool, BatchSize: n.batch}
	if n.session, err = runtime.OpenImages(ctx, n.model, n.spec, config, n.sessionOptions()); err != nil {
		return err
	}
	if n.model.BatchDependent() && n.batch > 1 {
		n.note("%s quantises by the range of each batch; it runs over one image at a time, so that none depends on others", n.model.Name())
		n.batch = 1
	}
	if size := n.session.BatchSize; size != n.batch {
		n.warn("%s takes batches of %d images only, not of %d", n.model.Name(), size, n.batch)
		n.batch = size
	}
	if device, why := n.session.Device(); device == "cpu" && n.Device == "auto" && !noGPU(why) {
		n.note("on the CPU: %s%s", why, cudaHint(n.library, why))
	}
	return nil
}

// sessionOptions say how onnxruntime runs.
func (n *network) sessionOptions() runtime.Options {
	return runtime.Options{Library: n.library, Threads: n.Threads, Device: n.Device, Precision: n.Precision}
}

// extractor carries images through the session, where there is one.
func (n *network) extractor() *featurize.Extractor {
	e := &featurize.Extractor{Transform: n.transform(), BatchSize: n.batch, Workers: cores(n.Workers)}
	if n.session != nil {
		e.Network, e.RowSize = n.session, n.session.RowSize()
	}
	return e
}

// transform is what is done to images before the network gets them.
func (n *network) transform() featurize.Transform {
	t := featurize.TransformOf(n.spec)
	t.Geometry.PreResize, t.Decode.ExifRotate = n.PreResize, n.ExifRotate
	return t
}

// computation is what the network's output depends on beside the images.
func (n *network) computation() featurize.Computation {
	device, _ := n.session.Device()
	return n.computationOn(n.session.Row, device)
}

// computationOn is the computation of rows of a shape on a device.
func (n *network) computationOn(row []int, device string) featurize.Computation {
	kind, _, _ := strings.Cut(device, ":")
	return featurize.Computation{
		Model: n.sum, Row: fmt.Sprint(row), Preparation: featurize.PreparationOf(n.spec, n.transform()),
		Precision: n.Precision, BatchSize: n.batch, Library: n.library.Version, Device: kind,
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

// tellDecoder warns of what the decoder put up with, and of how many images.
func (n *network) tellDecoder(images map[string]int) {
	for _, text := range slices.Sorted(maps.Keys(images)) {
		n.warn("%d images: %s", images[text], text)
	}
}
