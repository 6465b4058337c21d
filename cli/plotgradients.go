package cli

import (
	"context"
	"fmt"
	"strconv"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune/visual"
	"github.com/robust-transfer/rtx/onnx"
)

func plotGradientsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "gradients", Usage: "how the loss of models changes with each pixel", ArgsUsage: "MODEL...",
		Description: "The gradient of the cross-entropy with respect to each image: of the image's class where\n" +
			"the model has one of that name, else of the class that it predicts. 0 is grey, and three standard\n" +
			"deviations of an image's gradient are black or white.",
		Flags:  modelPlotFlags(),
		Action: func(c *cli.Context) error { return e.plotGradients(c) },
	}
}

func (e *env) plotGradients(c *cli.Context) error {
	notes := []string{"first the image, then the gradient with respect to each pixel: 0 is grey,", "and three standard deviations are black or white", "below: the class whose cross-entropy it is, with ? where it is the predicted one"}
	return e.plotModels(c, "Gradients with respect to the image", notes, []string{"L2 norm", "own class"}, logitsOf, func(ctx context.Context, _ *modelPlot, m *seenModel) ([][]report.Thumbnail, []any, error) {
		gradients, predicted, err := visual.Gradients(ctx, m.net, m.x, m.images, m.classes)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", m.Model, err)
		}
		name, err := m.className()
		if err != nil {
			return nil, nil, err
		}
		var thumbs [][]report.Thumbnail
		norm, own, size := 0.0, 0, len(gradients)/len(predicted)
		for i, class := range m.classes {
			g := gradients[i*size:][:size]
			norm += visual.Norm(g) / float64(len(predicted))
			mark := ""
			if class < 0 {
				class, mark = predicted[i], "?"
			} else {
				own++
			}
			thumbs = append(thumbs, []report.Thumbnail{{Image: m.picture(visual.Picture(g), 0), Note: name(class) + mark}})
		}
		return thumbs, []any{norm, fmt.Sprintf("%d of %d", own, len(predicted))}, nil
	})
}

// logitsOf is the value of a model's logits.
func logitsOf(m *onnx.Model) (string, error) {
	o, err := m.ClassOutput()
	if err == nil && o.Holds != onnx.Logits {
		err = fmt.Errorf("the graph holds %s and no logits: %w", o.Holds, onnx.ErrNoLogits)
	}
	return o.Value, err
}

// className names the classes of the model, by their places where it names none.
func (m *seenModel) className() (func(class int) string, error) {
	names, err := m.model.Classes()
	return func(class int) string {
		if class < len(names) {
			return names[class]
		}
		return strconv.Itoa(class)
	}, err
}
