package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/usage"
)

// deployFlags are those of export that say what a detector's file does.
func deployFlags() []cli.Flag {
	return []cli.Flag{
		text("masks", "", "detector: masks within their `BOX`es, or pasted into the image: box or image (default: box)"),
		number("batch", 0, "detector: take up to `N` images of one size, and pad the outputs (default: one image)"),
		text("score", "", "detector: keep objects whose score is above `P` (default: as the model says)"),
		text("nms", "", "detector: of two boxes of a class drop the worse one where they overlap by more than `IOU` (default: as the model says)"),
		number("keep", 0, "detector: keep the best `N` objects of an image (default: as the model says)"),
		text("categories", "", "detector: write the classes as a list of COCO's categories to this `FILE`"),
		text("triton", "", "write the config.pbtxt of a Triton server to this `FILE`"),
	}
}

// detectorOnly are flags of export that go with detectors alone.
var detectorOnly = []string{"masks", "batch", "score", "nms", "keep", "categories"}

// deployConfig reads the flags that say what a detector's file does.
func deployConfig(c *cli.Context) (d detect.DeployConfig, err error) {
	d = detect.DeployConfig{Masks: c.String("masks"), Batch: c.Int("batch"), Keep: c.Int("keep")}
	for name, to := range map[string]**float64{"score": &d.Score, "nms": &d.NMS} {
		if !c.IsSet(name) {
			continue
		}
		v, bad := strconv.ParseFloat(c.String(name), 64)
		if bad != nil {
			err = &usageError{msg: fmt.Sprintf("--%s is %q, expected a number between 0 and 1", name, c.String(name))}
		}
		*to = &v
	}
	return d, err
}

// exportDetector makes the file of a detector that its flags ask for.
func exportDetector(c *cli.Context, m *onnx.Model) (*onnx.Model, error) {
	for _, name := range []string{"outputs", "embed-preprocess", "precision", "opset"} {
		if c.IsSet(name) {
			return nil, &usageError{msg: fmt.Sprintf("--%s goes with classifiers, and %q is a detector", name, c.Args().First()), hint: "leave it out"}
		}
	}
	core, err := detect.Core(m)
	if err == nil && c.Bool("fold-bn") {
		core, err = core.FoldBatchNorm()
	}
	if err != nil {
		return nil, err
	}
	config, err := deployConfig(c)
	if err != nil {
		return nil, err
	}
	deployed, err := detect.Deploy(core, config)
	if errors.Is(err, onnx.ErrFormat) { // it is the model's fault, not that of the flags
		return nil, err
	}
	if err != nil {
		return nil, &usageError{msg: err.Error(), hint: "rtx help export"}
	}
	return deployed, nil
}

// isDetector tells whether a model's Spec is that of a detector.
func isDetector(m *onnx.Model) bool {
	spec, _, err := m.Spec()
	return err == nil && spec.Detect != nil
}

// beside is a file that describes an exported model to others.
type beside struct {
	to    target
	write func(io.Writer) error
}

// newBesides makes the files that the flags ask for, and checks where they go.
func newBesides(c *cli.Context, m *onnx.Model, out target) (all []beside, err error) {
	texts := []struct {
		flag string
		make func() ([]byte, error)
	}{
		{"categories", func() ([]byte, error) { return usage.Categories(m) }},
		{"triton", func() ([]byte, error) {
			text, err := usage.Triton(m, filepath.Base(out.name))
			return []byte(text), err
		}},
	}
	taken := []string{out.name, c.String("use")}
	for _, t := range texts {
		file := c.String(t.flag)
		if file == "" {
			continue
		}
		text, err := t.make()
		if err != nil {
			return nil, err
		}
		b := beside{target{t.flag, file, out.overwrite, append(slices.Clone(taken), out.inputs...)}, output.Bytes(text)}
		if err := b.to.check(); err != nil {
			return nil, err
		}
		all, taken = append(all, b), append(taken, file)
	}
	return all, nil
}

// deployable makes one file of a detector that was imported: what its checkpoint holds,
// and what chooses boxes. Another model, and a detector that is one file already, stay
// as they are.
func deployable(m *onnx.Model) (*onnx.Model, error) {
	if !isCore(m) {
		return m, nil
	}
	return detect.Deploy(m, detect.DeployConfig{})
}
