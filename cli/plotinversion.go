package cli

import (
	"context"
	"fmt"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune/visual"
	"github.com/robust-transfer/rtx/onnx"
)

func plotInversionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "inversion", Usage: "images recovered from the features of models", ArgsUsage: "MODEL...",
		Description: "Each image is recovered from a feature map alone: beginning with grey noise, or with\n" +
			"another image, pixels are changed by gradient descent until the features are those of the\n" +
			"image. Features of adversarially trained networks hold what people see in the image. RMSE is\n" +
			"the root mean square of the difference of pixels in [0,1]; the distance of features is a\n" +
			"fraction of their L2 norm.",
		Flags: modelPlotFlags(
			text("layer", "", "the `VALUE` of the graph to invert (default: the last feature map)"),
			number("steps", 300, "steps of gradient descent"),
			text("start", "grey", "what to begin with: grey, or an image `FILE`"),
		),
		Action: func(c *cli.Context) error { return e.plotInversion(c) },
	}
}

func (e *env) plotInversion(c *cli.Context) error {
	layer, start, steps := c.String("layer"), c.String("start"), c.Int("steps")
	if steps < 1 || steps > 1_000_000 {
		return &usageError{msg: fmt.Sprintf("--steps is %d, expected 1 to 1000000", steps)}
	}
	value := func(m *onnx.Model) (string, error) {
		if layer != "" {
			return layer, nil
		}
		return lastMap(m)
	}
	notes := []string{"first the image, then what gradient descent recovers from each model's features", "below: the RMSE of pixels in [0,1]"}
	return e.plotModels(c, "Images recovered from features", notes, []string{"RMSE", "features apart"}, value, func(ctx context.Context, p *modelPlot, m *seenModel) ([][]report.Thumbnail, []any, error) {
		progress := newProgress(e)
		progress.noun = "steps of " + m.name
		defer progress.end()
		v, err := visual.NewInverter(m.net, m.x, visual.Config{Batch: len(m.labels), Steps: steps, Progress: func(done int, _ []float64) { progress.update(done, steps) }})
		if err != nil {
			return nil, nil, err
		}
		from, err := m.starts(start, uint64(p.Seed))
		if err != nil {
			return nil, nil, err
		}
		progress.update(0, steps)
		all, err := v.Invert(ctx, m.images, from)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", m.Model, err)
		}
		var thumbs [][]report.Thumbnail
		var rmse, apart float64
		for _, one := range all {
			thumbs = append(thumbs, []report.Thumbnail{{Image: m.picture(one.Image, 0), Note: fmt.Sprintf("RMSE %.3f", one.RMSE)}})
			rmse, apart = rmse+one.RMSE/float64(len(all)), apart+one.Distance/float64(len(all))
		}
		return thumbs, []any{rmse, apart}, nil
	})
}

// lastMap is the last feature map of a model, else its features.
func lastMap(m *onnx.Model) (string, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return "", err
	}
	if n := len(spec.Stages); n > 0 {
		return spec.Stages[n-1].Value, nil
	}
	if stages, err := m.Stages(); err == nil {
		return stages[len(stages)-1].Value, nil
	}
	return spec.Feature, nil
}

// starts are what images are recovered from: grey noise, or all the same image.
func (m *seenModel) starts(start string, seed uint64) ([]float32, error) {
	n := len(m.labels)
	size := len(m.images) / n
	if start == "grey" {
		return visual.GreyNoise(n, size, seed), nil
	}
	t := m.transform()
	d := pixels.NewDecoder(t.Decode)
	defer d.Close()
	contents, err := featurize.Images(start).Samples[0].Read(nil)
	if err != nil {
		return nil, &usageError{msg: "--start: " + err.Error(), hint: "grey, or the name of an image file"}
	}
	var img pixels.Image
	var r pixels.Resampler
	rgb := make([]uint8, size)
	if _, err := d.Decode(&img, contents); err != nil {
		return nil, fmt.Errorf("--start %q: %w: %w", start, err, featurize.ErrData)
	}
	if err := r.Apply(rgb, &img, t.Geometry); err != nil {
		return nil, fmt.Errorf("--start %q: %w: %w", start, err, featurize.ErrData)
	}
	out := make([]float32, 0, n*size)
	for range n {
		for c := range 3 {
			from := c
			if m.spec.Channels == "bgr" {
				from = 2 - c
			}
			for k := range size / 3 {
				out = append(out, float32(rgb[3*k+from])/255)
			}
		}
	}
	return out, nil
}
