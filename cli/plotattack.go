package cli

import (
	"context"
	"fmt"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/visual"
)

func plotAttackCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "attack", Usage: "what attacks on models make of images", ArgsUsage: "MODEL...",
		Description: "Each image is attacked within the radius by projected gradient descent, from the image\n" +
			"itself, by steps of 2.5 radii / steps, away from the image's class where the model has one of\n" +
			"that name, else from the class that it predicts. Beside the attacked image stands its\n" +
			"difference from the image: 0 is grey, and three standard deviations are black or white.",
		Flags: modelPlotFlags(
			text("attack", "l2:0.5", "attack within `NORM:EPS`, in [0,1] pixel units, such as l2:0.5 or linf:4/255"),
			number("steps", 20, "gradient steps of the attack"),
		),
		Action: func(c *cli.Context) error { return e.plotAttack(c) },
	}
}

func (e *env) plotAttack(c *cli.Context) error {
	threat, err := attack.ParseThreat(c.String("attack"))
	if err != nil || threat.Eps == 0 {
		return &usageError{msg: fmt.Sprintf("--attack is %q, expected a norm and a radius above 0", c.String("attack")), hint: "l2:0.5 and linf:4/255 are"}
	}
	steps := c.Int("steps")
	if steps < 1 || steps > 100_000 {
		return &usageError{msg: fmt.Sprintf("--steps is %d, expected 1 to 100000", steps)}
	}
	config := attack.Config{Threat: threat, Steps: steps, Keep: attack.Last}
	title := fmt.Sprintf("Images attacked within %s", threat)
	notes := []string{"first the image, then for each model the attacked image and its difference from the image:", "0 is grey, and three standard deviations are black or white", "below: the class that the model predicts, before and after"}
	return e.plotModels(c, title, notes, []string{"changed", "distance"}, logitsOf, func(ctx context.Context, _ *modelPlot, m *seenModel) ([][]report.Thumbnail, []any, error) {
		p, err := attack.NewPerturber(m.net, graph.Config{Batch: len(m.labels)}, config)
		if err != nil {
			return nil, nil, err
		}
		_, before, err := visual.Gradients(ctx, m.net, m.x, m.images, m.classes)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", m.Model, err)
		}
		labels := append([]int(nil), before...)
		for i, class := range m.classes {
			if class >= 0 {
				labels[i] = class
			}
		}
		run := func(p *graph.Program, in, out map[string][]float32) error { return m.x.Run(ctx, p, in, out) }
		attacked, err := p.Perturb(run, m.images, labels, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", m.Model, err)
		}
		_, after, err := visual.Gradients(ctx, m.net, m.x, attacked, labels)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", m.Model, err)
		}
		name, err := m.className()
		if err != nil {
			return nil, nil, err
		}
		var thumbs [][]report.Thumbnail
		changed, distance, size := 0, 0.0, len(attacked)/len(labels)
		for i := range labels {
			from, to := m.images[i*size:][:size], attacked[i*size:][:size]
			difference := make([]float32, size)
			for k := range difference {
				difference[k] = to[k] - from[k]
			}
			predicted := name(before[i]) + " (same)"
			if before[i] != after[i] {
				changed++
				predicted = name(before[i]) + " > " + name(after[i])
			}
			if m.spec.ChannelCount() == 1 { // three equal planes count once
				to, from = to[:size/3], from[:size/3]
			}
			distance += threat.Norm.Distance(to, from) / float64(len(labels))
			thumbs = append(thumbs, []report.Thumbnail{
				{Image: m.picture(attacked, i), Note: predicted},
				{Image: m.picture(visual.Picture(difference), 0), Note: "difference"},
			})
		}
		return thumbs, []any{fmt.Sprintf("%d of %d", changed, len(labels)), distance}, nil
	})
}
