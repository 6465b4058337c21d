package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
)

func predictCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "predict",
		Usage:     "tell the classes of images, or the objects in them",
		ArgsUsage: "[IMAGE...]",
		Description: "A line of JSON for each image, in order: path, label, probability and the most\n" +
			"probable labels in top; class where the data tell it; or path and error. A multi-label\n" +
			"model, which ends with a sigmoid for each class, adds labels: those of probability 0.5\n" +
			"or more; label is the most probable. One sigmoid is the probability of the second of two\n" +
			"classes: of two names, or of NAME and \"not NAME\" where the file names one. DATA is what\n" +
			"featurize takes. With --json the lines are one object's predictions.\n" +
			"A detector tells the objects in each image: label, score, box x1, y1, x2, y2 in pixels,\n" +
			"and mask where it has masks. Detectors that other tools exported to ONNX are known by\n" +
			"their outputs: YOLO, DETR, torchvision's and TensorFlow's. With --format coco the folder\n" +
			"OUT gets predictions.json, a list of COCO results, categories.json and images.json; with\n" +
			"--format yolo it gets labels/NAME.txt, of lines class cx cy w h score, and classes.txt. DATA\n" +
			"may be a data set for detection, whose ids are taken then. Boxes are of the pixels of the\n" +
			"image file, which EXIF turns only with --exif-rotate, or where only that gives an image\n" +
			"the size that the data set says. The same command goes on with an unfinished OUT.",
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the classifier: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the `FILE` that the lines go to, instead of standard output; one that ends with .csv gets a table, of a multi-label model with the JSON lists labels and probabilities", "o"),
			number("top-k", 5, "labels in top, at most `N`"),
			text("format", "", "`HOW` the objects that a detector finds are written: jsonl, coco or yolo (default: jsonl); OUT is a folder for the last two"),
			text("score", "", "leave out objects with a score below `X` (default: 0.05; in pictures 0.5)"),
			toggle("draw", "write pictures of the images with the objects that were found, into the folder OUT/pictures"),
		}, detectorFlags(), runFlags(), outputFlags(), []cli.Flag{toggle("overwrite", "replace a file that is there")}, specFlags()),
		Action: func(c *cli.Context) error { return e.predict(c) },
	}
}

// predictOptions are those of the verb.
type predictOptions struct {
	Images []string // named as arguments
	Model  string   `flag:"model"`
	dataOptions
	Out    string `flag:"out"`
	TopK   int    `flag:"top-k"`
	Format string `flag:"format"`
	Score  string `flag:"score"`
	Draw   bool   `flag:"draw"`
	detectorOptions
	runOptions
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
	specOptions
}

// network are the options of what runs the network.
func (o *predictOptions) network() networkOptions {
	return networkOptions{Model: o.Model, dataOptions: o.dataOptions, runOptions: o.runOptions, Library: o.Library, specOptions: o.specOptions}
}

// predicting is one call of the verb.
type predicting struct {
	classifier
	o           predictOptions
	names       []string     // of the classes
	to          target       // of --out
	headed      bool         // the header of a CSV file is written
	out         *output.File // nil: standard output
	predictions []object     // for --json without a file
}

func (e *env) predict(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	o := predictOptions{Images: c.Args().Slice()}
	readOptions(c, &o)
	if value, set := fromEnvironment(findFlag(c.Command.Flags, "data")); set && value == o.Data && len(o.Images) > 0 {
		o.Data = "" // images that are named go before
	}
	ctx := c.Context
	p := &predicting{classifier: classifier{network: network{env: e, networkOptions: o.network()}}, o: o}
	if err := p.check(); err != nil {
		if e.namesDetector(o.Model, o.Form) {
			return e.predictObjects(c, o)
		}
		return err
	}
	var err error
	if p.model, err = p.openModel(p.Model); err != nil {
		return err
	}
	kind, err := detectorKind(p.model, o.Form)
	if err != nil {
		return err
	}
	if kind != "" {
		return e.predictObjects(c, o)
	}
	if err := detectorsOnly(c); err != nil {
		return err
	}
	if err := p.load(); err != nil {
		return err
	}
	if err := p.source(ctx); err != nil {
		return err
	}
	defer p.listing.Close()
	if err := p.spared(); err != nil {
		return err
	}
	p.tellNotes()
	total := len(p.listing.Samples) // 0: a stream
	if total > 0 {
		p.batch = min(p.batch, total)
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer p.session.Close()
	p.names = p.labels()
	if o.Out != "" {
		if p.out, err = p.to.create(); err != nil {
			return err
		}
	}
	err = p.predictAll(ctx, p.listing.All(), total, min(o.TopK, len(p.names)), p.emit)
	p.tellNotes()
	return p.finish(err)
}

// check looks at the options alone.
func (p *predicting) check() error {
	if err := p.o.checkImages(); err != nil {
		return err
	}
	p.Data = p.o.Data
	if p.o.TopK < 1 {
		return &usageError{msg: fmt.Sprintf("--top-k is %d, expected 1 or more", p.o.TopK)}
	}
	if p.progress == "auto" && p.o.Out == "" {
		p.progress = "none" // the lines show how far it is
	}
	if p.o.Out != "" {
		p.to = target{"out", p.o.Out, p.o.Overwrite, slices.Concat([]string{p.Model, p.Data, p.config}, p.o.Images)}
		if err := p.to.check(); err != nil {
			return err
		}
	}
	p.batch = p.BatchSize
	return p.networkOptions.check()
}

// checkImages wants a model, and images by arguments or by --data. A folder that is the
// only argument is the data.
func (o *predictOptions) checkImages() error {
	const usage = "rtx predict -m MODEL.onnx IMAGE..., or -d IMAGES"
	if err := required(usage, "model", o.Model); err != nil {
		return err
	}
	if len(o.Images) == 1 && o.Data == "" && isFolder(o.Images[0]) {
		o.Data, o.Images = o.Images[0], nil
	}
	if images := len(o.Images); (o.Data == "") == (images == 0) {
		return &usageError{msg: fmt.Sprintf("--data is %q and %d images are named, expected one or the other", o.Data, images), hint: usage}
	}
	return nil
}

// source lists the images: those that the arguments name, or those of --data.
func (p *predicting) source(ctx context.Context) error { return p.network.images(ctx, p.o.Images) }

// images lists the images of some files, or those of --data where there are none.
func (n *network) images(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return n.source(ctx)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			return &usageError{msg: fmt.Sprintf("%q is a folder, expected images", name), hint: "--data takes folders, archives and lists"}
		}
	}
	n.listing = featurize.Images(files...)
	return nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// spared refuses an output file that is one of the model's or an image.
func (p *predicting) spared() error {
	if p.o.Out == "" {
		return nil
	}
	if err := p.to.spare(p.model.Files()...); err != nil {
		return err
	}
	return p.to.spareImages(p.listing)
}

// emit writes the predictions of a batch.
func (p *predicting) emit(batch []prediction) error {
	if p.out != nil && strings.EqualFold(filepath.Ext(p.o.Out), ".csv") {
		return p.emitCSV(batch)
	}
	var lines []byte
	for _, j := range batch {
		o := p.line(j)
		if p.out == nil && p.json {
			p.predictions = append(p.predictions, o)
			continue
		}
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		lines = append(append(lines, text...), '\n')
	}
	w := p.stdout
	if p.out != nil {
		w = p.out
	}
	if _, err := w.Write(lines); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// emitCSV writes the predictions of a batch as rows, the first one below a header.
func (p *predicting) emitCSV(batch []prediction) error {
	w := csv.NewWriter(p.out)
	if !p.headed {
		p.headed = true
		header := []string{"path", "label", "probability", "class", "error"}
		if p.output.MultiLabel() {
			header = append(header, "labels", "probabilities")
		}
		w.Write(header)
	}
	for _, j := range batch {
		row := []string{string(featurize.JSONPath(j.Path)), "", "", j.Class, ""}
		if j.err != nil {
			row[4] = j.err.Error()
		} else {
			row[1], row[2] = p.names[j.top[0].Class], strconv.FormatFloat(j.top[0].Probability, 'g', -1, 64)
		}
		if p.output.MultiLabel() {
			lists, err := p.listed(j)
			if err != nil {
				return err
			}
			row = append(row, lists...)
		}
		w.Write(row)
	}
	if w.Flush(); w.Error() != nil {
		return fmt.Errorf("output: %w", w.Error())
	}
	return nil
}

// listed are the labels from the threshold on and their probabilities, each a JSON
// list: names may hold any separator.
func (p *predicting) listed(j prediction) ([]string, error) {
	if j.err != nil {
		return []string{"", ""}, nil
	}
	labels, probabilities := []string{}, []float64{}
	for _, r := range j.yes {
		labels, probabilities = append(labels, p.names[r.Class]), append(probabilities, r.Probability)
	}
	row := make([]string, 2)
	for i, list := range []any{labels, probabilities} {
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		row[i] = string(text)
	}
	return row, nil
}

// line is a prediction as JSON.
func (p *predicting) line(j prediction) object {
	if j.err != nil {
		return object{{"path", featurize.JSONPath(j.Path)}, {"error", j.err.Error()}}
	}
	o := object{{"path", featurize.JSONPath(j.Path)}, {"label", p.names[j.top[0].Class]}}
	if j.Class != "" {
		o = append(o, object{{"class", j.Class}}...)
	}
	var top []object
	for _, r := range j.top {
		top = append(top, object{{"label", p.names[r.Class]}, {"probability", r.Probability}})
	}
	o = append(o, object{{"probability", j.top[0].Probability}, {"top", top}}...)
	if p.output.MultiLabel() {
		labels := []string{}
		for _, r := range j.yes {
			labels = append(labels, p.names[r.Class])
		}
		o = append(o, object{{"labels", labels}}...)
	}
	return o
}

// endLines ends the file of the lines, if there is one: it is whole after no error, keeps
// what it has after an interruption, and is gone after another error. where says where
// the lines are that were written.
func endLines(out *output.File, err error) (where string, _ error) {
	where = "the lines that were written are whole"
	switch {
	case out == nil:
	case err == nil:
		err = out.Commit()
	case errors.As(err, new(signalled)):
		name, kept := out.Keep()
		where, err = fmt.Sprintf("the lines so far are in %q", name), errors.Join(err, kept)
	default:
		out.Discard()
	}
	return where, err
}

// finish completes the output and prints the result.
func (p *predicting) finish(err error) error {
	var sig signalled
	interrupted := errors.As(err, &sig)
	if err == nil && p.done == len(p.failed) {
		err = p.noneUsable()
	}
	where, err := endLines(p.out, err)
	status := "done"
	if interrupted {
		status = "interrupted"
	}
	own := object{{"images", p.done}, {"failed", len(p.failed)}, {"images_per_second", p.imagesPerSecond()}, {"model", object{{"file", p.model.Path()}, {"sha256", p.sum}}}, {"spec", p.specOrigin()}}
	if p.out == nil {
		own = append(own, object{{"predictions", append([]object{}, p.predictions...)}}...)
	}
	result := p.result("rtx.predict/1", status, p.o.Out, own)
	switch {
	case interrupted:
		return hinted{partial{err, result}, where}
	case err != nil:
		return err
	case p.json:
		p.print(result)
	default:
		p.note("%d images, %d of them cannot be used; %.0f images/s", p.done, len(p.failed), p.imagesPerSecond())
		if p.out != nil {
			fmt.Fprintln(p.stdout, p.o.Out)
		}
	}
	if n := len(p.failed); n > 0 && p.json {
		return silent{p.someUnusable()}
	} else if n > 0 {
		return p.someUnusable()
	}
	return nil
}
