package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// evalDetector is eval with a detector.
func (e *env) evalDetector(c *cli.Context, o evalOptions, m *onnx.Model, kind string) error {
	v := &evaluatingObjects{
		detecting: detecting{network: network{env: e, networkOptions: o.network(), model: m}, kind: kind, form: o.Form},
		o:         o, command: commandLine(c),
	}
	if err := v.checkDetector(c); err != nil {
		return err
	}
	labels, err := readLabels(o.Labels)
	if err != nil {
		return err
	}
	if v.seen, err = seenBy(m); err != nil {
		return err
	}
	if v.truth, err = v.readTruth(c.Context, v.dataOptions, o.Split); err != nil {
		return err
	}
	defer v.truth.set.Close()
	if err := v.openDetector(c.Context, detectorConfig{val: true, labels: labels}); err != nil {
		return err
	}
	defer v.close()
	if err := v.matchClasses(); err != nil {
		return err
	}
	return v.judge(c.Context)
}

// checkDetector looks at the options alone.
func (v *evaluatingObjects) checkDetector(c *cli.Context) error {
	if err := required("rtx eval -m DETECTOR.onnx -d DATA", "data", v.Data); err != nil {
		return err
	}
	if v.kind == "imported" {
		if err := importedOnly(c); err != nil {
			return err
		}
	}
	if err := v.checkSkips(); err != nil {
		return err
	}
	if v.o.Groups {
		return &usageError{msg: "--groups is of classifiers, and the model is a detector", hint: "leave it out"}
	}
	if err := v.checkCorrupt(); err != nil {
		return err
	}
	v.batch = 1
	if err := v.networkOptions.check(); err != nil {
		return err
	}
	return v.checkObjects(c)
}

// matchClasses finds the detector's classes among those of the data, by name.
func (v *evaluatingObjects) matchClasses() error {
	v.categories = map[int]int64{}
	var strange, absent []string
	have := map[string]bool{}
	for i, c := range v.detector.Classes() {
		if c.Name == "" {
			continue
		}
		have[c.Name] = true
		if category := v.truth.categoryOf(c.Name); category != nil {
			v.categories[i] = category.ID
		} else {
			strange = append(strange, c.Name)
		}
	}
	for _, name := range v.truth.classNames() {
		if !have[name] {
			absent = append(absent, name)
		}
	}
	if len(v.categories) == 0 {
		hint := suggest(absent[0], strange, "rtx inspect shows the classes of the model; --labels names those of a detector of another tool")
		return hinted{fmt.Errorf("none of the %d classes of %q, such as %q, is a class of %q, such as %q: %w", len(strange), v.model.Name(), firstName(strange), v.Data, firstName(absent), featurize.ErrData), hint}
	}
	if len(strange) > 0 {
		v.warn("%d classes of %s are not in %s, and what is found of them is left out: %s", len(strange), v.model.Name(), v.Data, someOf(strange))
	}
	if len(absent) > 0 {
		v.warn("%d classes of %s are not known to %s, and nothing of them can be found: %s", len(absent), v.Data, v.model.Name(), someOf(absent))
	}
	return nil
}

func firstName(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// imageFiles are the files of the images, and of each, by its path, the images of the
// data that it is.
func (v *evaluatingObjects) imageFiles() (samples []featurize.Sample, place map[string][]int64) {
	place = map[string][]int64{}
	for i, s := range v.truth.samples {
		if s.Read == nil {
			s.Read = lost
		}
		if place[s.Path] == nil {
			samples = append(samples, s)
		}
		place[s.Path] = append(place[s.Path], v.truth.Images[i].ID)
	}
	return samples, place
}

// detect runs the detector over the images of the split. With a folder it goes on where an
// earlier command was ended.
func (v *evaluatingObjects) detect(ctx context.Context) error {
	samples, place := v.imageFiles()
	v.size = func(s featurize.Sample) (int, int) { return v.truth.sizeOf(s.Path) }
	keep := func(one detected) error {
		for _, id := range place[string(one.Path)] {
			v.found = append(v.found, v.detections(id, one)...)
		}
		return nil
	}
	var err error
	if v.folder == nil {
		err = v.detectAll(ctx, each(samples), 0, len(samples), func(one detected) error { return errors.Join(v.mayFail(one), keep(one)) })
	} else {
		err = v.detectFolder(ctx, samples, keep)
	}
	if errors.As(err, new(signalled)) {
		partly := partial{err, v.result("rtx.eval/1", "interrupted", v.o.Out, object{{"n", v.done}})}
		if v.folder == nil {
			return hinted{partly, startsOver}
		}
		return goOn(partly, v.o.Overwrite)
	}
	if err != nil {
		return err
	}
	if v.done == len(v.failed) {
		return v.noneUsable()
	}
	return v.tolerate(v.failed, v.done)
}

// mayFail ends the command at an image that cannot be used, where --on-error asks for it.
func (v *evaluatingObjects) mayFail(one detected) error {
	if one.Error != "" && v.OnError == "fail" {
		return fmt.Errorf("%q: %s: %w", one.Path, one.Error, featurize.ErrData)
	}
	return nil
}

// detectFolder is detect with a folder, whose state it keeps.
func (v *evaluatingObjects) detectFolder(ctx context.Context, samples []featurize.Sample, keep func(detected) error) error {
	if err := v.folder.Begin(v.settings(), v.o.Overwrite); err != nil {
		return err
	}
	state, err := stateOf[detected](v.folder, "detected.jsonl")
	if err != nil {
		return err
	}
	defer state.file.Close()
	seen := map[string]bool{}
	for _, one := range state.seen {
		seen[string(one.Path)] = true
		v.count(one)
		if err := keep(one); err != nil {
			return err
		}
	}
	if n := len(state.seen); n > 0 {
		v.note("going on after %d of %d images", n, len(samples))
	}
	total := len(samples)
	rest := slices.DeleteFunc(samples, func(s featurize.Sample) bool { return seen[s.Path] })
	return v.detectAll(ctx, each(rest), len(state.seen), total, func(one detected) error {
		if err := v.mayFail(one); err != nil {
			return err
		}
		one.image = nil
		return errors.Join(keep(one), state.add(one))
	})
}

// detections are what was found in an image of the data.
func (v *evaluatingObjects) detections(image int64, one detected) (found []coco.Detection) {
	for _, o := range one.Objects {
		if id, known := v.categories[o.Class]; known {
			b := cocoBox(o.Box)
			found = append(found, coco.Detection{
				ImageID: image, CategoryID: id, Score: float64(o.Score), Mask: o.Mask,
				Box: [4]float64{float64(b[0]), float64(b[1]), float64(b[2]), float64(b[3])},
			})
		}
	}
	return found
}

// detectorSettings are what the detections of a model depend on, beside the data.
type detectorSettings struct {
	Model   string   `json:"model"` // SHA-256
	Library string   `json:"library"`
	Device  string   `json:"device"`
	Decoder string   `json:"decoder"`
	Exif    bool     `json:"exif_rotate"`
	Form    string   `json:"form"`
	Classes []string `json:"classes"`
	Input   string   `json:"input"` // flags that change how images are fed
	Images  string   `json:"images"`
}

func (v *evaluatingObjects) detectorSettings() *detectorSettings {
	return &detectorSettings{
		Model: v.sum, Library: v.library.Version, Device: v.deviceKind(), Decoder: pixels.JPEGDecoderKey(), Exif: v.ExifRotate,
		Form: v.form, Classes: v.classNames(), Input: v.pixelText(), Images: identity(v.truth.samples),
	}
}
