package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/view"
)

func plotCommand(e *env) *cli.Command {
	out := func() []cli.Flag {
		return []cli.Flag{text("out", "", "the drawing, a `FILE` .svg or .png", "o"), toggle("overwrite", "replace a file that is there"), jsonFlag(), toggle("quiet", "no notes", "q")}
	}
	return &cli.Command{
		Name: "plot", Usage: "draw a feature set, or what models see in images",
		Subcommands: []*cli.Command{
			{
				Name: "scatter", Usage: "the samples along the two principal components", ArgsUsage: "DIR",
				Description: "DIR is a feature set. Each class has a colour and a form; the axes say how much of the\n" +
					"features' variance they show. The sign of an axis is such that its largest entry is positive.",
				Flags:  out(),
				Action: func(c *cli.Context) error { return e.plot(c, (*plotting).scatter) },
			},
			{
				Name: "neighbours", Usage: "a contact sheet of images and their nearest neighbours", ArgsUsage: "DIR",
				Description: "DIR is a feature set; neighbours are those whose features have the largest cosine, among\n" +
					"all samples of the set. Frames tell whether they are of the same class.",
				Flags: append([]cli.Flag{
					&cli.StringSliceFlag{Name: "query", Usage: "the `PATH` of an image in the manifest; may be repeated (default: chosen by --seed)"},
					number("queries", 6, "images to choose where none is named, at most `N`, of different classes where there are so many"),
					number("neighbours", 8, "neighbours of each, at most `N`"),
					number("seed", 0, "the seed of the choice"),
					text("data", "", "the images: a folder, archive, list or `FILE` (default: what DIR was made from)", "d"),
					text("root", "", "the `FOLDER` that the paths of a list are relative to (default: as DIR was made, or the list's)"),
				}, out()...),
				Action: func(c *cli.Context) error { return e.plot(c, (*plotting).neighbours) },
			},
			plotGradientsCommand(e),
			plotInversionCommand(e),
			plotAttackCommand(e),
		},
	}
}

// plotting is one call of the verb.
type plotting struct {
	*env
	c   *cli.Context
	dir string
	set *featurize.Set
	x   []float32 // [N,D]
	dim int       // D
	say string    // a summary for people
	out target
}

func (e *env) plot(c *cli.Context, draw func(*plotting) (*report.Drawing, object, error)) error {
	if err := e.begin(c); err != nil {
		return err
	}
	p := &plotting{env: e, c: c, dir: c.Args().First()}
	p.out = target{"out", c.String("out"), c.Bool("overwrite"), []string{c.String("data")}}
	if err := p.check(); err != nil {
		return err
	}
	if err := p.load(); err != nil {
		return err
	}
	drawing, own, err := draw(p)
	if cause := context.Cause(c.Context); err != nil && errors.As(cause, new(signalled)) {
		return partial{hinted{cause, startsOver}, e.result("rtx.plot/1", "interrupted", p.out.name, nil)}
	}
	if err != nil {
		return err
	}
	return p.write(drawing, own)
}

// check checks the command line.
func (p *plotting) check() error {
	usage := fmt.Sprintf("rtx plot %s FEATURES -o FILE.svg, where rtx featurize made the folder FEATURES", p.c.Command.Name)
	if n := p.c.NArg(); n != 1 {
		return &usageError{msg: fmt.Sprintf("%d feature sets are named, expected one", n), hint: usage}
	}
	switch out := p.c.String("out"); strings.ToLower(filepath.Ext(out)) {
	case ".svg", ".png":
	default:
		if out == "" {
			return &usageError{msg: "--out is missing", hint: usage}
		}
		return &usageError{msg: fmt.Sprintf("--out is %q, expected a name that ends with .svg or .png", out)}
	}
	for _, name := range []string{"queries", "neighbours"} {
		if findFlag(p.c.Command.Flags, name) != nil && p.c.Int(name) < 1 {
			return &usageError{msg: fmt.Sprintf("--%s is %d, expected 1 or more", name, p.c.Int(name))}
		}
	}
	return p.out.check()
}

// load reads the whole set.
func (p *plotting) load() error {
	var err error
	if p.set, err = featurize.OpenSet(p.dir); err != nil {
		return hinted{err, "a feature set is the folder that rtx featurize -o names"}
	}
	defer p.set.Close()
	p.dim = 1
	for _, d := range p.set.Dims {
		p.dim *= d
	}
	p.x = make([]float32, p.set.Len()*p.dim)
	return p.set.Read(p.x, 0)
}

// write writes the drawing and prints the result.
func (p *plotting) write(d *report.Drawing, own object) error {
	name, draw := p.out.name, d.SVG
	if strings.EqualFold(filepath.Ext(name), ".png") {
		draw = d.PNG
	}
	if err := p.out.write(p.c.Context, draw); err != nil {
		return err
	}
	if p.json {
		p.print(p.result("rtx.plot/1", "done", name, append(object{{"kind", p.c.Command.Name}, {"samples", p.set.Len()}, {"dim", p.dim}}, own...)))
		return nil
	}
	if p.say != "" {
		p.note("%s", p.say)
	}
	fmt.Fprintln(p.stdout, name)
	return nil
}

// maxTooltips is the largest number of points whose paths an SVG shows as tooltips;
// with more it would become too large.
const maxTooltips = 5000

// scatter draws the samples along their first two principal components.
func (p *plotting) scatter() (*report.Drawing, object, error) {
	n := p.set.Len()
	pca, err := view.PCA(p.c.Context, p.x, n, p.dim, 2)
	if err != nil {
		if p.c.Context.Err() == nil {
			err = fmt.Errorf("%q: %w: %w", p.dir, err, featurize.ErrData)
		}
		return nil, nil, err
	}
	chart := report.Chart{
		Title: fmt.Sprintf("%d samples of %d features", n, p.dim), Groups: make([]report.Group, len(p.set.Classes)),
		X: report.Axis{Label: fmt.Sprintf("first component, %.1f %% of the variance", 100*pca.Ratio[0])},
		Y: report.Axis{Label: fmt.Sprintf("second component, %.1f %% of the variance", 100*pca.Ratio[1])},
	}
	for i, name := range p.set.Classes {
		chart.Groups[i].Name = name
	}
	unlabelled := report.Group{Name: "without a label"}
	for row, r := range p.records() {
		point := report.Point{X: pca.Projected[2*row], Y: pca.Projected[2*row+1]}
		if n <= maxTooltips {
			point.Tooltip = r.Path
		}
		g := &unlabelled
		if r.Label >= 0 {
			g = &chart.Groups[r.Label]
		}
		g.Points = append(g.Points, point)
	}
	if len(unlabelled.Points) > 0 {
		chart.Groups = append(chart.Groups, unlabelled)
	}
	p.say = fmt.Sprintf("%d samples of %d features; two components hold %.1f %% of the variance", n, p.dim, 100*(pca.Ratio[0]+pca.Ratio[1]))
	return chart.Draw(), object{{"classes", len(p.set.Classes)}, {"explained_variance", pca.Variance}, {"explained_variance_ratio", pca.Ratio}}, nil
}

// records are the lines of the manifest that have a row, by row.
func (p *plotting) records() []featurize.Record {
	var records []featurize.Record
	for _, r := range p.set.Records {
		if r.Row >= 0 {
			records = append(records, r)
		}
	}
	return records
}
