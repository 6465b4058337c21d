package cli

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"path/filepath"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// frostNote tells what is not as in the published benchmarks.
const frostNote = "Frost is a computed texture, where the published benchmarks have photographs: its figures are comparable between models, and not with published ones."

// corruptionPage is what is needed to tell the figures.
type corruptionPage struct {
	*corruptionResult
	model, data, command string
	images               int
	notes                []string
	strips               []report.Picture
}

// contents are the files of OUT.
func (p *corruptionPage) contents() []output.Content {
	return []output.Content{
		{Name: corruptFiles[0], Write: table(p.csvRows())},
		{Name: corruptFiles[1], Write: p.curves().SVG},
		{Name: corruptFiles[2], Write: p.page().HTML},
	}
}

// page is corruptions.html.
func (p *corruptionPage) page() *report.Page {
	rows, facts := p.rows(hundredths), []report.Fact{
		{Name: "data", Value: p.data}, {Name: "images", Value: strconv.Itoa(p.images)},
		{Name: "constants", Value: p.Table}, {Name: "corrupted", Value: p.Applied}, {Name: "seed", Value: strconv.FormatUint(p.Seed, 10)},
	}
	for _, row := range p.summary() {
		facts = append(facts, report.Fact{Name: row[0], Value: row[1] + " %"})
	}
	note := "In percent; mean is over the severities."
	if b := p.Baseline; b != nil {
		note += fmt.Sprintf(" CE are the errors over all severities relative to those of %s; mCE is their mean, and the relative mCE is of what corruptions add to the errors.", filepath.Base(b.Model.File))
	}
	return &report.Page{
		Title:  fmt.Sprintf("How does %s do on corrupted images of %s?", p.model, filepath.Base(filepath.Clean(p.data))),
		Answer: fmt.Sprintf("%s %% on clean images, %s %% in the mean over %d corruptions.", hundredths(p.Clean), hundredths(p.Mean), len(p.Kinds)),
		Facts:  facts,
		Sections: []report.Section{
			{Title: "By corruption and severity", Table: &report.Grid{Header: rows[0], Rows: rows[1:]}, Note: note},
			{Title: "Curves", Figures: []report.Figure{{SVG: p.curves().SVG, Caption: "Severity 0 is the clean image."}}},
			{Title: "Samples", Pictures: p.strips, Note: "Images of these data: clean, then at severity 1 to 5, each as the network gets it or, of a detector, before it is scaled. " + frostNote},
		},
		Notes: p.notes, Commands: []string{p.command}, Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}},
	}
}

// curves are a chart for each group of corruptions.
func (p *corruptionPage) curves() *report.Drawing {
	label := map[string]string{"top1": "top-1 accuracy", "ap": "AP of boxes"}[p.Metric]
	var drawings []*report.Drawing
	for _, group := range []string{"noise", "blur", "weather", "digital"} {
		chart := report.Chart{Title: group, X: report.Axis{Label: "severity", Whole: true, Low: 0, High: corrupt.Severities}, Y: report.Axis{Label: label, Percent: true}}
		for _, k := range p.Kinds {
			if k.Group != group {
				continue
			}
			line := report.Group{Name: string(k.Kind), Joined: true, Points: []report.Point{{X: 0, Y: float64(p.Clean), Tooltip: "clean: " + p.Clean.percent()}}}
			for _, s := range k.Severities {
				line.Points = append(line.Points, report.Point{X: float64(s.Severity), Y: float64(s.Value), Tooltip: fmt.Sprintf("%s at severity %d: %s", k.Kind, s.Severity, s.Value.percent())})
			}
			chart.Groups = append(chart.Groups, line)
		}
		if chart.Groups != nil {
			drawings = append(drawings, chart.Draw())
		}
	}
	return report.Stack("Under corruptions", drawings...)
}

// strips draws an image for each kind of the plan: clean, and at each severity of the
// plan, side by side. prepare brings a decoded image to what is corrupted.
func strips(ctx context.Context, samples []featurize.Sample, decode pixels.DecodeConfig, plan []corrupt.Corruption, prepare func(*pixels.Image) (*pixels.Image, error)) ([]report.Picture, error) {
	d := pixels.NewDecoder(decode)
	defer d.Close()
	var pictures []report.Picture
	next := 0
	for len(plan) > 0 {
		n := 1
		for n < len(plan) && plan[n].Kind == plan[0].Kind {
			n++
		}
		var clean *pixels.Image
		var name string
		for tries := 0; clean == nil && tries < len(samples); tries++ {
			s := samples[next%len(samples)]
			next += max(1, len(samples)/len(corrupt.Kinds())) // images of several classes
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if s.Read == nil {
				continue
			}
			data, err := s.Read(nil)
			img := &pixels.Image{}
			if err == nil {
				_, err = d.Decode(img, data)
			}
			if err == nil {
				clean, err = prepare(img)
			}
			if err == nil {
				name = s.Path
			}
		}
		if clean == nil {
			return nil, nil
		}
		picture, err := strip(clean, name, plan[:n])
		if err != nil {
			return nil, err
		}
		pictures, plan = append(pictures, picture), plan[n:]
	}
	return pictures, nil
}

// strip draws an image, clean and corrupted. Small images are enlarged, large ones are
// made small.
func strip(clean *pixels.Image, name string, plan []corrupt.Corruption) (report.Picture, error) {
	const gap, least, most = 4, 96, 224
	scale, side := 1, min(max(clean.Width, clean.Height), most)
	for side*(scale+1) <= least+least/2 {
		scale++
	}
	w, h := clean.Width, clean.Height
	if longer := max(w, h); longer > most {
		w, h = max(1, w*most/longer), max(1, h*most/longer)
	}
	sheet := image.NewNRGBA(image.Rect(0, 0, (len(plan)+1)*(w*scale+gap)-gap, h*scale))
	for i := range sheet.Pix {
		sheet.Pix[i] = 255
	}
	var resampler pixels.Resampler
	rgb := make([]uint8, w*h*3)
	for i := range len(plan) + 1 {
		img := &pixels.Image{Width: clean.Width, Height: clean.Height, Pix: append([]uint8(nil), clean.Pix...)}
		if i > 0 {
			if err := plan[i-1].Apply(img, name); err != nil {
				return report.Picture{}, err
			}
		}
		if err := resampler.Apply(rgb, img, pixels.Geometry{Width: w, Height: h}); err != nil {
			return report.Picture{}, err
		}
		for y := range h * scale {
			for x := range w * scale {
				at := sheet.Pix[sheet.PixOffset(i*(w*scale+gap)+x, y):]
				copy(at[:3], rgb[(y/scale*w+x/scale)*3:])
			}
		}
	}
	var data bytes.Buffer
	err := draw.JPEG(&data, sheet)
	return report.Picture{Data: data.Bytes(), Width: sheet.Rect.Dx(), Height: sheet.Rect.Dy(), Name: name, Caption: string(plan[0].Kind)}, err
}
