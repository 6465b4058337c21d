package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// detectorKind says what finds objects in images: "imported" models have a Spec that
// says it; "foreign" ones are recognised by their outputs. It is "" for all others. The
// error is of a detector that cannot be run.
func detectorKind(m *onnx.Model, form string) (kind string, err error) {
	if spec, _, err := m.Spec(); err == nil && spec.Detect != nil {
		return "imported", nil
	}
	if m.Metadata(onnx.SpecKey) != "" {
		return "", nil
	}
	if form != "" {
		if err := oneOf("form", form, strings.Split(formNames(), ", ")...); err != nil {
			return "", err
		}
	}
	_, err = foreign.As(m, foreign.Form(form))
	var missing *foreign.MissingError
	switch {
	case err == nil || errors.As(err, new(*onnx.InputConflict)):
		return "foreign", nil
	case form != "":
		return "", choice(err)
	case errors.As(err, &missing):
		if _, no := m.ClassOutput(); no != nil { // else it is a classifier first
			return "", choice(err)
		}
	}
	return "", nil
}

// choice adds the flags that may help to the error of a detector that lacks something.
func choice(err error) error {
	var missing *foreign.MissingError
	switch {
	case !errors.As(err, &missing):
		return err
	case len(missing.Forms) > 0:
		return hinted{err, "--form " + string(missing.Forms[0]) + " says which, if you know it"}
	case strings.Contains(missing.Missing, "names"):
		return hinted{err, "--labels FILE names the classes, one a line"}
	}
	return err
}

// namesDetector reports whether --model names a detector, and is silent about it.
func (e *env) namesDetector(model, form string) bool {
	if model == "" {
		return false
	}
	silent := &env{stdout: io.Discard, stderr: io.Discard, json: true, progress: "none", warnings: []string{}}
	m, err := silent.openModel(model)
	if err != nil {
		return false
	}
	kind, err := detectorKind(m, form)
	return kind != "" || err != nil
}

// classifiersOnly refuses flags that mean nothing for a detector.
func classifiersOnly(c *cli.Context) error {
	return classifiersFlags(c, "top-k", "resize", "crop", "interpolation", "force-input", "pre-resize")
}

// importedOnly refuses flags that mean nothing for a detector whose Spec says all.
func importedOnly(c *cli.Context) error {
	return classifiersFlags(c, "normalize", "input-size", "range", "channels", "form", "labels")
}

func classifiersFlags(c *cli.Context, flags ...string) error {
	for _, flag := range flags {
		if c.IsSet(flag) {
			return &usageError{msg: fmt.Sprintf("--%s goes with other models, and %q is a detector", flag, c.String("model")), hint: "leave it out; the file of the detector says how it takes images"}
		}
	}
	return nil
}

// detectorsOnly refuses flags that mean nothing for a classifier.
func detectorsOnly(c *cli.Context) error {
	for _, flag := range []string{"format", "score", "draw", "form", "labels", "against", "metric", "voc-rounding"} {
		if c.IsSet(flag) {
			return &usageError{msg: fmt.Sprintf("--%s goes with detectors, and %q is a classifier", flag, c.String("model")), hint: "leave it out"}
		}
	}
	return nil
}

// openDetect makes a detector of the model; closer frees it. Tests replace it.
var openDetect = func(ctx context.Context, d *detecting, c detectorConfig) (detect.Detector, io.Closer, error) {
	if d.kind == "foreign" {
		return d.openForeign(c)
	}
	return d.openImported()
}

// detectorConfig says which detections are wanted.
type detectorConfig struct {
	val    bool     // as the detector's package does it to evaluate, with low scores, too
	labels []string // the names of the classes; nil: those of the file
}

// openDetector makes a detector of the model.
func (d *detecting) openDetector(ctx context.Context, c detectorConfig) (err error) {
	if d.sum, err = d.model.SHA256(); err != nil {
		return err
	}
	d.detector, d.closer, err = openDetect(ctx, d, c)
	return err
}

// openImported makes a detector of a model whose Spec is that of a detector.
func (d *detecting) openImported() (detect.Detector, io.Closer, error) {
	var err error
	if d.library, err = runtime.Find(d.Library); err != nil {
		return nil, nil, err
	}
	detector, err := detect.Open(d.model, func(m *onnx.Model) (detect.Network, error) { return runtime.OpenGraph(m, d.sessionOptions()) })
	if err != nil {
		return nil, nil, err
	}
	return detector, detector, nil
}

// openForeign makes a detector of a model of another tool.
func (d *detecting) openForeign(c detectorConfig) (detect.Detector, io.Closer, error) {
	m, err := foreign.As(d.model, foreign.Form(d.form))
	var conflict *onnx.InputConflict
	if errors.As(err, &conflict) && d.Range != "" {
		err = nil // the flag settles it
	}
	if err != nil {
		return nil, nil, err
	}
	if err := d.override(&m.Spec); err != nil {
		return nil, nil, err
	}
	if d.InputSize != "" && m.Fit.Size != [2]int{} && !m.Fit.Open && m.Fit.Size != m.Spec.InputSize {
		return nil, nil, &usageError{msg: fmt.Sprintf("--input-size is %s, and %s takes images of %dx%d only", d.InputSize, d.model.Name(), m.Fit.Size[0], m.Fit.Size[1]), hint: "leave --input-size out"}
	}
	d.tellForeign(m, c.labels != nil)
	graph, err := m.Graph()
	if err != nil {
		return nil, nil, err
	}
	config := foreign.Config{Val: c.val, Labels: c.labels}
	if d.scored {
		config.Score = scoreBelow(d.least) // those of the score itself are kept, too
	}
	if d.library, err = runtime.Find(d.Library); err != nil {
		return nil, nil, err
	}
	network, err := runtime.OpenGraph(graph, d.sessionOptions())
	if err != nil {
		return nil, nil, err
	}
	detector, err := m.Open(network, config)
	if err != nil {
		network.Close()
		return nil, nil, choice(err)
	}
	return detector, network, nil
}

// tellScore warns where an imported detector itself leaves out objects that are asked for.
func (d *detecting) tellScore() {
	if d.kind != "imported" {
		return
	}
	spec, _, err := d.model.Spec()
	if err == nil && float64(d.least) < spec.Detect.Test.Score {
		d.warn("%s finds only objects whose score is above %g; rtx export --score makes a file of it that finds others, too", d.model.Name(), spec.Detect.Test.Score)
	}
}

// scoreBelow is the next lower score. A detector computes scores in float32.
func scoreBelow(score float32) float64 { return float64(math.Nextafter32(score, -1)) }

// tellForeign says what a model of another tool is taken for.
func (d *detecting) tellForeign(m *foreign.Model, labelled bool) {
	d.note("%s is %s", d.model.Name(), m.What)
	if len(m.Known) > 0 {
		d.note("it tells: %s", strings.Join(m.Known, "; "))
	}
	assumed := slices.DeleteFunc(slices.Clone(m.Assumed), func(a string) bool {
		return d.settled(a) || labelled && strings.Contains(a, "their numbers") || labelled && strings.Contains(a, "their names")
	})
	if len(assumed) > 0 {
		d.assumed = true
		d.warn("%s has no Spec; assumed: %s (flags override it)", d.model.Name(), strings.Join(assumed, "; "))
	}
}

// deviceKind is the kind of device that was asked for.
func (d *detecting) deviceKind() string {
	kind, _, _ := strings.Cut(d.Device, ":")
	return kind
}
