package cli

import (
	"bytes"
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
}

func (p *predictingObjects) settings() predictionSettings {
	return predictionSettings{
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
	if p.state, err = stateOf(p.folder); err != nil {
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

// yoloFiles writes labels/NAME.txt for every image that could be used: a line for each
// object, class cx cy w h conf, in fractions of the image. The class is the place
// in classes.txt, from 0 on.
func (p *predictingObjects) yoloFiles() ([]output.Content, error) {
	var classes bytes.Buffer
	place := map[int]int{} // of the detector's classes in the file
	for i, c := range p.detector.Classes() {
		if c.Name != "" {
			place[i] = len(place)
			fmt.Fprintln(&classes, c.Name)
		}
	}
	if err := os.MkdirAll(p.folder.Path("labels", ".rtx"), 0o777); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	for _, one := range p.results {
		if one.Error != "" {
			continue
		}
		file := output.Content{Name: path.Join("labels", p.names[string(one.Path)]+".txt"), Write: output.Bytes(yoloLines(one, place))}
		if err := p.folder.Write(context.Background(), file); err != nil {
			return nil, err
		}
	}
	return []output.Content{{Name: "classes.txt", Write: output.Bytes(classes.Bytes())}}, nil
}

// yoloLines are the lines of an image. The arithmetic is in float64; numbers have the
// digits of a float32.
func yoloLines(one detected, place map[int]int) []byte {
	var b []byte
	number := func(x float64) { b = append(append(b, ' '), strconv.FormatFloat(x, 'g', -1, 32)...) }
	for _, o := range one.Objects {
		class, named := place[o.Class]
		if !named {
			continue
		}
		b = strconv.AppendInt(b, int64(class), 10)
		x1, y1, x2, y2 := float64(o.Box[0]), float64(o.Box[1]), float64(o.Box[2]), float64(o.Box[3])
		w, h := float64(one.Width), float64(one.Height)
		for _, x := range []float64{(x1 + x2) / 2 / w, (y1 + y2) / 2 / h, (x2 - x1) / w, (y2 - y1) / h, float64(o.Score)} {
			number(x)
		}
		b = append(b, '\n')
	}
	return b
}

// picture draws an image with the objects that were found, if pictures are asked for.
func (p *predictingObjects) picture(ctx context.Context, one detected) error {
	if !p.o.Draw || one.Error != "" {
		return nil
	}
	var objects []draw.Object
	for _, o := range one.Objects {
		if o.Score >= p.drawn {
			objects = append(objects, draw.Object{Box: o.Box, Mask: o.Mask, Class: p.class(o.Class), Number: o.Class, Score: o.Score})
		}
	}
	m, err := draw.Objects(one.image, objects, draw.Config{Colours: p.colours})
	if err != nil {
		return fmt.Errorf("%q: %w", one.Path, err)
	}
	if err := os.MkdirAll(p.folder.Path("pictures", ".rtx"), 0o777); err != nil { // by which --overwrite knows the folder
		return fmt.Errorf("output: %w", err)
	}
	file := output.Content{Name: path.Join("pictures", p.names[string(one.Path)]+".jpg"), Write: func(w io.Writer) error { return draw.JPEG(w, m) }}
	return p.folder.Write(ctx, file)
}
