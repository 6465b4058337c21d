package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// predictionsLayout is that of the folders of predict. Labels and pictures are folders
// with a file for each image.
func predictionsLayout(format string) output.Layout {
	files := map[string][]string{
		"jsonl": {"predictions.jsonl"}, "coco": {"predictions.json", "categories.json", "images.json"}, "yolo": {"classes.txt"},
	}[format]
	return output.Layout{
		Kind:  "predictions",
		Files: slices.Concat([]string{"args.yaml"}, files, []string{"predict.json"}),
		Parts: []string{"labels", "pictures"}, Working: []string{"detected.jsonl"},
	}
}

// predictionSettings are what predictions depend on.
type predictionSettings struct {
	Model   string  `json:"model"` // SHA-256
	Library string  `json:"library"`
	Device  string  `json:"device"`
	Decoder string  `json:"decoder"`
	Exif    bool    `json:"exif_rotate"`
	Score   float32 `json:"score"`
	Format  string  `json:"format"`
	Draw    bool    `json:"draw"`
	Data    string  `json:"data"`

	Form    string   `json:"form"`
	Classes []string `json:"classes"`
	Input   string   `json:"input"` // flags that change how images are fed
	Truth   string   `json:"truth"` // of a detection data set, whose ids and sizes of images count
}

func (p *predictingObjects) settings() predictionSettings {
	ids := ""
	if p.truth != nil {
		named := truth{Dataset: p.truth.Dataset}
		named.Annotations = nil
		ids = named.identity()
	}
	return predictionSettings{
		Form: p.form, Classes: p.classNames(), Input: p.pixelText(), Truth: ids,
		Model: p.sum, Library: p.library.Version, Device: p.deviceKind(), Decoder: pixels.JPEGDecoderKey(), Exif: p.ExifRotate,
		Score: p.least, Format: p.format(), Draw: p.o.Draw, Data: identity(p.listing.Samples),
	}
}

// fillFolder makes the folder OUT, or goes on with it.
func (p *predictingObjects) fillFolder(ctx context.Context) (err error) {
	args, err := recordedOptions(&p.o)
	if err != nil {
		return err
	}
	if p.folder, err = output.Open(p.o.Out, predictionsLayout(p.format())); err != nil {
		return err
	}
	defer p.folder.Close()
	p.folder.Keep(slices.Concat(p.model.Files(), []string{p.Model, p.Data, p.config}, p.o.Images)...)
	if err := p.folder.Begin(p.settings(), p.o.Overwrite); err != nil {
		return err
	}
	if p.folder.Done() {
		return p.tellDone()
	}
	if p.state, err = stateOf[detected](p.folder, "detected.jsonl"); err != nil {
		return err
	}
	defer p.state.file.Close()
	p.names, p.colours = localNames(p.listing.Samples), draw.NewColours(p.classNames()...)
	if err := p.detectRest(ctx); err != nil {
		return err
	}
	if p.done == len(p.failed) {
		return p.noneFound()
	}
	own := p.figures()
	contents := []output.Content{{Name: "args.yaml", Write: output.Bytes(args)}}
	more, err := p.contents()
	if err != nil {
		return err
	}
	contents = append(contents, more...)
	head := append(p.result("rtx.predict/1", "done", p.o.Out, own), object{{"rtx", buildVersion()}, {"config", p.settings()}}...)
	contents = append(contents, output.Content{Name: "predict.json", Write: output.JSON(head)})
	if err := p.folder.Put(ctx, contents...); err != nil {
		return goOn(err, p.o.Overwrite)
	}
	return p.tell("done", own)
}

// detectRest runs the detector over the images that no earlier command has seen.
func (p *predictingObjects) detectRest(ctx context.Context) error {
	seen := map[string]bool{}
	for _, one := range p.state.seen {
		seen[string(one.Path)] = true
		p.count(one)
		p.results = append(p.results, one)
	}
	rest := func(yield func(featurize.Sample, error) bool) {
		for _, s := range p.listing.Samples {
			if !seen[s.Path] && !yield(s, nil) {
				return
			}
		}
	}
	if n := len(p.state.seen); n > 0 {
		p.note("going on after %d of %d images", n, len(p.listing.Samples))
	}
	err := p.detectAll(ctx, rest, len(p.state.seen), len(p.listing.Samples), func(one detected) error {
		if err := p.picture(ctx, one); err != nil {
			return err
		}
		one.image = nil
		p.results = append(p.results, one)
		return p.state.add(one)
	})
	if errors.As(err, new(signalled)) {
		return goOn(partial{err, p.result("rtx.predict/1", "interrupted", p.o.Out, p.figures())}, p.o.Overwrite)
	}
	return err
}

// tellDone tells what a folder holds that is done.
func (p *predictingObjects) tellDone() error {
	data, err := os.ReadFile(p.folder.Path("predict.json"))
	var old struct {
		Images, Failed, Objects int
		Speed                   float64 `json:"images_per_second"`
	}
	if err == nil {
		err = json.Unmarshal(data, &old)
	}
	if err != nil {
		return fmt.Errorf("output %q: predict.json: %w: %w", p.folder.Path(), err, output.ErrConfig)
	}
	p.done, p.objects = old.Images, old.Objects
	own := p.figures()
	for i := range own {
		switch own[i].Key {
		case "failed":
			own[i].Value = old.Failed
		case "images_per_second":
			own[i].Value = old.Speed
		}
	}
	return p.tell("cached", own)
}

// localNames gives every sample the name of its files in a folder: its path without
// suffix, or with it where another has the same.
func localNames(samples []featurize.Sample) map[string]string {
	names, taken := map[string]string{}, map[string]bool{}
	for _, s := range samples {
		name := path.Clean(filepath.ToSlash(s.Path))
		if !filepath.IsLocal(name) || name == "." {
			name = path.Base(name)
		}
		short := strings.TrimSuffix(name, path.Ext(name))
		for i := 1; taken[short] || short == ""; i++ {
			if short = name; i > 1 {
				short = name + "-" + strconv.Itoa(i)
			}
		}
		taken[short] = true
		names[s.Path] = short
	}
	return names
}

// contents are the files of the format.
func (p *predictingObjects) contents() ([]output.Content, error) {
	switch p.format() {
	case "coco":
		return p.cocoFiles()
	case "yolo":
		return p.yoloFiles()
	}
	return []output.Content{{Name: "predictions.jsonl", Write: func(w io.Writer) error {
		for _, one := range p.results {
			text, err := json.Marshal(p.line(one))
			if err == nil {
				_, err = w.Write(append(text, '\n'))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}
