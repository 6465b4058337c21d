package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// The verbs that draw what networks see in images: a sheet with a row for each image
// and a column for each model.

// modelPlotFlags are those of the verbs, around flags of their own.
func modelPlotFlags(own ...cli.Flag) []cli.Flag {
	return slices.Concat(dataFlags(), []cli.Flag{
		text("out", "", "the drawing, a `FILE` .png, .svg or .html", "o"),
		number("images", 6, "images to choose, at most `N`, of different classes where there are so many"),
		number("seed", 0, "the seed of the choice"),
	}, own, []cli.Flag{
		text("engine", "auto", "what computes: ort (onnxruntime), tape (pure Go) or auto"),
	}, adaptRunFlags(), outputFlags(), []cli.Flag{
		toggle("overwrite", "replace a file that is there"),
	}, specFlags())
}

// modelPlotOptions are those that all of the verbs have.
type modelPlotOptions struct {
	networkOptions
	Out       string `flag:"out"`
	Images    int    `flag:"images"`
	Seed      int    `flag:"seed"`
	Overwrite bool   `flag:"overwrite"`
}

// modelPlot is one call of a verb.
type modelPlot struct {
	*env
	modelPlotOptions
	kind    string // of plot
	command string
	models  []string
	names   []string // of the models
	to      target
	sheet   report.ContactSheet
	table   report.Grid
	told    []object // of the models, for JSON
	listing *featurize.Listing
}

// seenModel is a model of the sheet.
type seenModel struct {
	*network
	name     string
	training string // standard, or the norm and the eps of adversarial training
	net      *graph.Network
	engine   string
	x        finetune.Executor
	images   []float32 // [N,3,H,W], as the network takes them
	labels   []int     // of the data
	classes  []int     // of the network; -1: it has no class of that name
}

// plotModels runs a verb. value says which value of a model is wanted of the network,
// and look makes the pictures of a model, one or more for each image, and the cells of
// its line in the table.
func (e *env) plotModels(c *cli.Context, title string, notes []string, columns []string, value func(*onnx.Model) (string, error), look func(ctx context.Context, p *modelPlot, m *seenModel) ([][]report.Thumbnail, []any, error)) error {
	if err := e.begin(c); err != nil {
		return err
	}
	p := &modelPlot{env: e, kind: c.Command.Name, command: commandLineOf("plot "+c.Command.Name, c), models: c.Args().Slice()}
	readOptions(c, &p.modelPlotOptions)
	p.to = target{"out", p.Out, p.Overwrite, append(slices.Clone(p.models), p.Data)}
	if err := p.check(); err != nil {
		return err
	}
	p.names = backboneNames(p.models)
	p.sheet = report.ContactSheet{Title: title, Notes: notes, Apart: true}
	p.table.Texts = []int{1}
	p.table.Header = append([]string{"model", "training"}, columns...)
	for i := range p.models {
		err := p.add(c.Context, i, value, look)
		if errors.As(err, new(signalled)) {
			return partial{hinted{err, startsOver}, e.result("rtx.plot/1", "interrupted", p.Out, nil)}
		}
		if err != nil {
			return err
		}
	}
	return p.write(c.Context)
}

// check checks the command line.
func (p *modelPlot) check() error {
	usage := fmt.Sprintf("rtx plot %s MODEL... -d IMAGES -o FILE.png", p.kind)
	if len(p.models) == 0 {
		return &usageError{msg: "no model is named", hint: usage}
	}
	if err := required(usage, "data", p.Data, "out", p.Out); err != nil {
		return err
	}
	if !slices.Contains([]string{".png", ".svg", ".html"}, strings.ToLower(filepath.Ext(p.Out))) {
		return &usageError{msg: fmt.Sprintf("--out is %q, expected a name that ends with .png, .svg or .html", p.Out)}
	}
	if p.Images < 1 || p.Images > 1000 {
		return &usageError{msg: fmt.Sprintf("--images is %d, expected 1 to 1000", p.Images)}
	}
	if err := oneOf("engine", p.Engine, "auto", "ort", "tape"); err != nil {
		return err
	}
	for _, check := range []func() error{p.checkDevice, p.checkCounts, p.checkRoot, p.to.check} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// add adds the column of a model.
func (p *modelPlot) add(ctx context.Context, i int, value func(*onnx.Model) (string, error), look func(context.Context, *modelPlot, *seenModel) ([][]report.Thumbnail, []any, error)) error {
	options := p.networkOptions
	options.Model = p.models[i]
	m := &seenModel{network: &network{env: p.env, networkOptions: options, batch: p.Images}, name: p.names[i]}
	if err := m.load(); err != nil {
		return err
	}
	if err := p.images(ctx, m); err != nil {
		return err
	}
	b := report.Backbone{}
	p.tellTraining(&b, m.Model, m.spec)
	if m.training = b.Training(); m.training == "" {
		m.training = "not known"
	}
	name, err := value(m.model)
	if err != nil {
		return fmt.Errorf("%q: %w", m.Model, err)
	}
	model, err := m.model.WithSpec(m.spec)
	if err != nil {
		return err
	}
	var values []string
	if name != "" {
		values = append(values, name)
	}
	if m.net, err = graph.Read(model, values...); err != nil {
		return untrainable{err}
	}
	if m.engine, err = m.findEngine("the computation"); err != nil {
		return err
	}
	if m.x, err = m.executor(m.engine); err != nil {
		return err
	}
	defer m.x.Close()
	if err := finetune.Load(m.net, m.x); err != nil {
		return err
	}
	p.note("%s: %d images", m.name, len(m.labels))
	thumbs, cells, err := look(ctx, p, m)
	if err != nil {
		return err
	}
	for row, own := range thumbs {
		for _, t := range own {
			t.Label = m.name
			p.sheet.Rows[row] = append(p.sheet.Rows[row], t)
		}
	}
	p.table.Rows = append(p.table.Rows, append([]string{m.name, m.training}, texts(cells)...))
	o := object{{"model", m.Model}, {"name", m.name}, {"training", m.training}, {"value", name}, {"engine", m.engine}}
	for k, v := range cells {
		o = append(o, object{{strings.ReplaceAll(strings.ToLower(p.table.Header[2+k]), " ", "_"), v}}...)
	}
	p.told = append(p.told, o)
	return nil
}

// texts are cells of a table.
func texts(cells []any) (out []string) {
	for _, c := range cells {
		if v, ok := c.(float64); ok {
			out = append(out, fmt.Sprintf("%.3f", v))
		} else {
			out = append(out, fmt.Sprint(c))
		}
	}
	return out
}

// images reads the chosen images as a network takes them. The first model of the sheet
// chooses them.
func (p *modelPlot) images(ctx context.Context, m *seenModel) error {
	if p.listing == nil {
		if err := p.choose(ctx, m.network); err != nil {
			return err
		}
	}
	data, err := augment.Open(ctx, p.listing, m.transform(), augment.Config{BGR: m.spec.Channels == "bgr", Workers: cores(m.Workers), Unlabelled: true, ValFraction: -1})
	if err != nil {
		return err
	}
	defer data.Close()
	if failed := data.Check().Failed; len(failed) > 0 {
		return fmt.Errorf("%q: %s: %w", failed[0].Path, failed[0].Reason, featurize.ErrData)
	}
	rows := make([]int, len(p.listing.Samples))
	for i := range rows {
		rows[i] = i
	}
	b := finetune.NewBatch(rows...)
	if err := data.Load(ctx, finetune.Training, 0, b); err != nil {
		return err
	}
	m.images = slices.Clone(b.Inputs[graph.Images])
	names, err := m.model.Classes()
	if err != nil {
		return err
	}
	for i, s := range p.listing.Samples {
		m.labels, m.classes = append(m.labels, s.Label), append(m.classes, -1)
		if s.Class != "" {
			m.classes[i] = slices.Index(names, s.Class)
		}
		if len(p.sheet.Rows) <= i {
			first := report.Thumbnail{Image: m.picture(m.images, i), Label: s.Class, Note: "image"}
			if first.Label == "" {
				first.Label = filepath.Base(s.Path)
			}
			p.sheet.Rows = append(p.sheet.Rows, []report.Thumbnail{first})
		}
	}
	return nil
}

// picture is image i of [N,3,H,W], in [0,1] and in the network's order of channels.
func (m *seenModel) picture(images []float32, i int) image.Image {
	h, w := m.spec.InputSize[0], m.spec.InputSize[1]
	planes := images[i*3*h*w:][:3*h*w]
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for k := range h * w {
		for c := range 3 {
			from := c
			if m.spec.Channels == "bgr" {
				from = 2 - c
			}
			out.Pix[4*k+c] = uint8(255*planes[from*h*w+k] + .5)
		}
		out.Pix[4*k+3] = 255
	}
	return out
}

// choose chooses images: of the test split where there is one, of as many classes as
// there are.
func (p *modelPlot) choose(ctx context.Context, n *network) error {
	if p.Data == "-" {
		return &usageError{msg: "--data is -, expected a source that can be read several times", hint: "write the archive to a file"}
	}
	if err := n.source(ctx); err != nil {
		return err
	}
	defer n.listing.Close()
	n.tellNotes()
	if err := p.to.spareImages(n.listing); err != nil {
		return err
	}
	all := slices.Clone(n.listing.Samples)
	if slices.ContainsFunc(all, func(s featurize.Sample) bool { return s.Split == "test" }) {
		all = slices.DeleteFunc(all, func(s featurize.Sample) bool { return s.Split != "test" })
	}
	if len(all) == 0 {
		return fmt.Errorf("%q has no images: %w", p.Data, featurize.ErrData)
	}
	chosen := spread(len(all), p.Images, uint64(p.Seed), func(i int) string { return all[i].Class })
	slices.Sort(chosen)
	p.listing = &featurize.Listing{Classes: n.listing.Classes}
	for _, i := range chosen {
		s := all[i]
		contents, err := s.Read(nil)
		if err != nil {
			return fmt.Errorf("%q: %w: %w", s.Path, err, featurize.ErrData)
		}
		s.Split, s.Read = "", func(dst []byte) ([]byte, error) { return append(dst, contents...), nil }
		p.listing.Samples = append(p.listing.Samples, s)
	}
	return nil
}

// write writes the drawing and prints the result.
func (p *modelPlot) write(ctx context.Context) error {
	d := p.sheet.Draw()
	draw := d.PNG
	switch strings.ToLower(filepath.Ext(p.Out)) {
	case ".svg":
		draw = d.SVG
	case ".html":
		draw = func(w io.Writer) error { return p.page(w, d) }
	}
	if err := p.to.write(ctx, draw); err != nil {
		return err
	}
	if p.json {
		p.print(p.result("rtx.plot/1", "done", p.Out, object{{"kind", p.kind}, {"images", len(p.listing.Samples)}, {"models", p.told}}))
		return nil
	}
	if err := report.Table(p.stdout, append([][]string{p.table.Header}, p.table.Rows...)); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, p.Out)
	return nil
}

// page is the HTML page of the sheet.
func (p *modelPlot) page(w io.Writer, d *report.Drawing) error {
	page := report.Page{
		Title: p.sheet.Title, Facts: []report.Fact{{Name: "images", Value: fmt.Sprintf("%d of %s", len(p.listing.Samples), p.Data)}},
		Sections: []report.Section{{Table: &p.table, Figures: []report.Figure{{SVG: d.SVG}}}},
		Notes:    p.warnings, Commands: []string{p.command}, Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}},
	}
	return page.HTML(w)
}
