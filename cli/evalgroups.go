package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/cueconflict"
)

// groupResult is what rtx.eval/1 says of shape and texture. Shares are fractions.
type groupResult struct {
	Mapping   string       `json:"mapping"` // of the model's classes to the 16: imagenet, or name
	N         int          `json:"n"`       // images whose shape and texture are of two classes
	Agree     int          `json:"agree"`   // images whose cues agree, which are left out
	Shape     share        `json:"shape_accuracy"`
	Texture   share        `json:"texture_accuracy"`
	ShapeBias share        `json:"shape_bias"`
	PerShape  []groupShape `json:"per_shape"`
	Skipped   int          `json:"skipped"`
	Model     modelFile    `json:"model"`
}

// groupShape are the figures of the images of one shape.
type groupShape struct {
	Label     string `json:"label"`
	N         int    `json:"n"`
	Shape     share  `json:"shape_accuracy"`
	Texture   share  `json:"texture_accuracy"`
	ShapeBias share  `json:"shape_bias"`
}

// groupsLayout is that of the folders of eval --groups.
var groupsLayout = output.Layout{Kind: "evaluation of shape and texture", Files: []string{"args.yaml", "groups.csv", "eval.json"}}

// checkGroups refuses flags that mean nothing for shape and texture.
func checkGroups(c *cli.Context) error {
	for _, flag := range []string{"split", "corrupt", "corrupt-baseline", "attack", "predictions"} {
		if c.IsSet(flag) {
			return &usageError{msg: fmt.Sprintf("--%s is given with --groups, which judges all images of DATA by their names", flag), hint: "leave one of them out"}
		}
	}
	return nil
}

// evalGroups is eval of images whose names say a shape and a texture.
func (v *evaluating) evalGroups(ctx context.Context) error {
	if err := v.source(ctx); err != nil {
		return err
	}
	defer v.listing.Close()
	if err := v.open(ctx); err != nil {
		return err
	}
	defer v.session.Close()
	groups, imageNet, err := cueconflict.GroupsOf(v.classes, v.output.Classes())
	if err != nil {
		return hinted{fmt.Errorf("%q: %w: %w", v.model.Name(), err, featurize.ErrData), "classes are found by name among " + fmt.Sprint(cueconflict.Classes) + "; 1000 classes without names are taken for ImageNet's"}
	}
	if v.classes == nil {
		v.warn("%s names no classes; its 1000 are taken for ImageNet's in the usual order", v.model.Name())
	}
	samples, err := v.conflicts(groups)
	if err != nil {
		return err
	}
	if dir := v.o.Out; dir != "" {
		if v.folder, err = output.Open(dir, groupsLayout); err != nil {
			return err
		}
		defer v.folder.Close()
		v.folder.Keep(append(v.model.Files(), v.Model, v.Data, v.config)...)
	}
	settings := evaluationSettings{Computation: v.computation(), Logits: v.output.Value, Split: "groups", Data: identity(samples)}
	if v.folder != nil && !v.o.Overwrite {
		begun, err := v.folder.Compare(settings)
		if err != nil {
			return err
		}
		if begun && v.folder.Done() {
			there, err := readEvaluation[struct {
				Groups groupResult `json:"groups"`
			}](v.folder)
			if err != nil {
				return err
			}
			return v.reportGroups("cached", &there.Groups)
		}
	}
	var tally cueconflict.Tally
	probabilities := make([]float64, v.output.Classes())
	err = v.predictAll(ctx, each(samples), len(samples), len(probabilities), func(batch []prediction) error {
		for _, p := range batch {
			if p.err != nil {
				if v.OnError == "fail" {
					return fmt.Errorf("%q: %w: %w", p.Path, p.err, featurize.ErrData)
				}
				continue
			}
			for _, r := range p.top {
				probabilities[r.Class] = r.Probability
			}
			shape, texture, _ := cueconflict.Parse(p.Path)
			tally.Add(shape, texture, groups.Decide(probabilities))
		}
		return nil
	})
	if err != nil {
		return nothingWritten(err)
	}
	if v.done == len(v.failed) {
		return v.noneUsable()
	}
	if err := v.tolerate(v.failed, v.done); err != nil {
		return err
	}
	r := newGroupResult(&tally)
	r.Mapping, r.Skipped, r.Model = "name", len(v.failed), modelFile{v.model.Path(), v.sum}
	if imageNet {
		r.Mapping = "imagenet"
	}
	if v.folder != nil {
		if err := v.folder.Begin(settings, v.o.Overwrite); err != nil {
			return err
		}
		head := append(v.result("rtx.eval/1", "done", v.folder.Path(), object{{"groups", r}}), object{{"rtx", buildVersion()}, {"config", settings}}...)
		err := v.folder.Put(ctx, output.Content{Name: "args.yaml", Write: output.Bytes(v.args)}, output.Content{Name: "groups.csv", Write: table(r.rows(share.fraction))}, output.Content{Name: "eval.json", Write: output.JSON(head)})
		if err != nil {
			return nothingWritten(err)
		}
	}
	return v.reportGroups("done", r)
}

// conflicts are the images whose names say a shape and a texture that the model knows.
func (v *evaluating) conflicts(groups cueconflict.Groups) ([]featurize.Sample, error) {
	if v.listing.Stream != nil {
		return nil, hinted{fmt.Errorf("%q can be read only in one go: %w", v.Data, featurize.ErrData), "unpack it, or make an uncompressed .tar or a .zip of it"}
	}
	var samples []featurize.Sample
	unnamed, unknown := 0, map[string]bool{}
	for _, s := range v.listing.Samples {
		shape, texture, ok := cueconflict.Parse(s.Path)
		if !ok {
			unnamed++
			continue
		}
		known := true
		for _, class := range []string{shape, texture} {
			if groups[class] == nil {
				unknown[class], known = true, false
			}
		}
		if known {
			samples = append(samples, s)
		}
	}
	if len(samples) == 0 {
		return nil, hinted{fmt.Errorf("none of the %d images of %q has the name of a shape and a texture that the model knows: %w", len(v.listing.Samples), v.Data, featurize.ErrData), "names are such as cat1-elephant3.png: the shape of a cat, the texture of an elephant"}
	}
	if unnamed > 0 {
		v.warn("%d images, whose names do not say a shape and a texture, are passed over", unnamed)
	}
	if len(unknown) > 0 {
		var names []string
		for _, class := range cueconflict.Classes {
			if unknown[class] {
				names = append(names, class)
			}
		}
		v.warn("%s does not know %s: images of these are passed over", v.model.Name(), someOf(names))
	}
	return samples, nil
}

func newGroupResult(t *cueconflict.Tally) *groupResult {
	all := t.All()
	r := &groupResult{N: all.N, Agree: t.Agree(), Shape: share(all.ByShape()), Texture: share(all.ByTexture()), ShapeBias: share(all.Bias()), PerShape: []groupShape{}}
	for _, c := range t.PerShape() {
		r.PerShape = append(r.PerShape, groupShape{c.Class, c.N, share(c.ByShape()), share(c.ByTexture()), share(c.Bias())})
	}
	return r
}

// rows are a table, a shape a line.
func (r *groupResult) rows(show func(share) string) [][]string {
	rows := [][]string{{"shape", "n", "shape_accuracy", "texture_accuracy", "shape_bias"}}
	for _, g := range slices.Concat(r.PerShape, []groupShape{{"all", r.N, r.Shape, r.Texture, r.ShapeBias}}) {
		rows = append(rows, []string{g.Label, strconv.Itoa(g.N), show(g.Shape), show(g.Texture), show(g.ShapeBias)})
	}
	return rows
}

// reportGroups tells what came out.
func (v *evaluating) reportGroups(status string, r *groupResult) error {
	if v.json {
		v.print(v.result("rtx.eval/1", status, v.o.Out, object{{"groups", r}}))
		return nil
	}
	if status == "cached" {
		v.note("nothing to do: %s holds this evaluation", v.o.Out)
	} else {
		v.tellFailures(v.failed, "")
	}
	if r.Agree > 0 {
		v.note("%d images have the shape and the texture of one class, and do not count", r.Agree)
	}
	return report.Table(v.stdout, r.rows(hundredths))
}
