package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
)

const (
	predictScore = 0.05 // of detections, where --score does not say another
	drawnScore   = 0.5  // of detections in pictures
)

// predictingObjects is one call of predict with a detector.
type predictingObjects struct {
	detecting
	o       predictOptions
	drawn   float32 // of detections that are drawn
	lines   target
	out     *output.File   // that the lines go to; nil: standard output, or a folder
	truth   *truth         // a detection data set that the images are of; nil: they are of none
	known   *objectImages  // its images
	folder  *output.Folder // of the other formats and of pictures
	state   *linesState[detected]
	names   map[string]string // of files in the folder, without suffix, by the path of the image
	colours draw.Colours
	listed  []object   // for --json without a file
	results []detected // for the files of the folder
}

// predictObjects is predict with a detector.
func (e *env) predictObjects(c *cli.Context, o predictOptions) error {
	ctx := c.Context
	p := &predictingObjects{detecting: detecting{network: network{env: e, networkOptions: o.network()}, form: o.Form}, o: o}
	if err := p.check(c); err != nil {
		return err
	}
	var err error
	if p.model, err = p.openModel(p.Model); err != nil {
		return err
	}
	if p.kind, err = detectorKind(p.model, o.Form); err != nil {
		return err
	}
	if p.kind == "imported" {
		if err := importedOnly(c); err != nil {
			return err
		}
	}
	labels, err := readLabels(o.Labels)
	if err != nil {
		return err
	}
	if err := p.listImages(ctx); err != nil {
		return err
	}
	defer p.closeImages()
	p.tellNotes()
	if err := p.spared(); err != nil {
		return err
	}
	if err := p.openDetector(ctx, detectorConfig{labels: labels}); err != nil {
		return err
	}
	defer p.close()
	if p.o.Score != "" {
		p.tellScore()
	}
	p.tellClasses()
	if p.intoFolder() {
		return p.fillFolder(ctx)
	}
	if p.o.Out != "" {
		if p.out, err = p.lines.create(); err != nil {
			return err
		}
	}
	err = p.detectAll(ctx, p.listing.All(), 0, len(p.listing.Samples), p.emit)
	p.tellNotes()
	return p.finishLines(err)
}

// intoFolder reports whether OUT is a folder.
func (p *predictingObjects) intoFolder() bool { return p.o.Draw || p.format() != "jsonl" }

func (p *predictingObjects) format() string {
	if p.o.Format == "" {
		return "jsonl"
	}
	return p.o.Format
}

// check looks at the options alone.
func (p *predictingObjects) check(c *cli.Context) error {
	if err := p.o.checkImages(); err != nil {
		return err
	}
	p.Data = p.o.Data
	if p.progress == "auto" && p.o.Out == "" {
		p.progress = "none" // the lines show how far it is
	}
	if err := oneOf("format", p.format(), "jsonl", "coco", "yolo"); err != nil {
		return err
	}
	if err := p.checkScore(); err != nil {
		return err
	}
	if err := classifiersOnly(c); err != nil {
		return err
	}
	if err := p.checkOut(); err != nil {
		return err
	}
	p.batch = 1
	return p.networkOptions.check()
}

// checkOut wants a folder where several files are made, and a file for JSON lines.
func (p *predictingObjects) checkOut() error {
	switch {
	case p.intoFolder() && p.o.Out == "":
		return &usageError{msg: "--out is missing: " + p.folderFlag() + " makes a folder of files", hint: "rtx predict -m DETECTOR.onnx -d IMAGES -o OUT " + p.folderFlag()}
	case p.intoFolder() && p.Data == "-":
		return &usageError{msg: "images on standard input give JSON lines only, not " + p.folderFlag(), hint: "leave --format and --draw out, or name a folder or an archive"}
	case p.intoFolder() || p.o.Out == "":
		return nil
	case strings.EqualFold(filepath.Ext(p.o.Out), ".csv"):
		return &usageError{msg: fmt.Sprintf("--out is %q: tables are of classifiers, and %s is a detector", p.o.Out, p.Model), hint: "--format jsonl, coco or yolo"}
	}
	p.lines = target{"out", p.o.Out, p.o.Overwrite, slices.Concat([]string{p.Model, p.Data, p.config}, p.o.Images)}
	return p.lines.check()
}

// folderFlag is the flag that asks for a folder.
func (p *predictingObjects) folderFlag() string {
	if p.format() == "jsonl" {
		return "--draw"
	}
	return "--format " + p.format()
}

// checkScore reads --score.
func (p *predictingObjects) checkScore() error {
	p.least, p.drawn, p.scored = predictScore, drawnScore, true
	if p.o.Score == "" {
		return nil
	}
	x, err := strconv.ParseFloat(p.o.Score, 32)
	if err != nil || math.IsNaN(x) || x < 0 || x > 1 {
		return &usageError{msg: fmt.Sprintf("--score is %q, expected a number from 0 to 1", p.o.Score)}
	}
	p.least, p.drawn = float32(x), float32(x)
	return nil
}

// spared refuses an output file that is one of the model's or an image.
func (p *predictingObjects) spared() error {
	if p.o.Out == "" || p.intoFolder() {
		return nil
	}
	if err := p.lines.spare(p.model.Files()...); err != nil {
		return err
	}
	return p.lines.spareImages(p.listing)
}

// emit writes the line of an image.
func (p *predictingObjects) emit(one detected) error {
	line := p.line(one)
	if p.out == nil && p.json {
		p.listed = append(p.listed, line)
		return nil
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	w := p.stdout
	if p.out != nil {
		w = p.out
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// finishLines completes the lines and prints the result.
func (p *predictingObjects) finishLines(err error) error {
	interrupted := errors.As(err, new(signalled))
	if err == nil && p.done == len(p.failed) {
		err = p.noneFound()
	}
	where, err := endLines(p.out, err)
	own := p.figures()
	if p.out == nil {
		own = append(own, object{{"predictions", append([]object{}, p.listed...)}}...)
	}
	if interrupted {
		return hinted{partial{err, p.result("rtx.predict/1", "interrupted", p.o.Out, own)}, where}
	}
	if err != nil {
		return err
	}
	return p.tell("done", own)
}

// noneFound is the error of a command without an image that can be used.
func (p *predictingObjects) noneFound() error {
	if len(p.failed) == 0 {
		return fmt.Errorf("%q has no images: %w", p.Data, featurize.ErrData)
	}
	return p.noneUsable()
}

// figures are what the result says of the run.
func (p *predictingObjects) figures() object {
	return object{
		{"images", p.done}, {"failed", len(p.failed)}, {"objects", p.objects}, {"images_per_second", p.imagesPerSecond()},
		{"model", object{{"file", p.model.Path()}, {"sha256", p.sum}}}, {"spec", p.specOrigin()}, {"format", p.format()}, {"score", p.least},
	}
}

// tell prints the result, and fails where images could not be used.
func (p *predictingObjects) tell(status string, own object) error {
	if p.json {
		p.print(p.result("rtx.predict/1", status, p.o.Out, own))
	} else {
		if status == "cached" {
			p.note("nothing to do: %s holds these predictions", p.o.Out)
		} else {
			p.note("%s in %s, %d of which cannot be used; %.1f images/s", counted(p.objects, "object"), counted(p.done, "image"), len(p.failed), p.imagesPerSecond())
		}
		if p.o.Out != "" {
			fmt.Fprintln(p.stdout, p.o.Out)
		}
	}
	switch n := len(p.failed); {
	case n > 0 && p.json:
		return silent{p.someUnusable()}
	case n > 0:
		return p.someUnusable()
	}
	return nil
}
