package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/view"
)

// neighbours draws some images, each with its nearest neighbours.
func (p *plotting) neighbours() (*report.Drawing, object, error) {
	records := p.records()
	queries, err := p.queries(records)
	if err != nil {
		return nil, nil, err
	}
	found := make([][]view.Neighbour, len(queries))
	wanted := map[string]bool{}
	for i, row := range queries {
		if found[i], err = view.Neighbours(p.x, len(records), p.dim, row, p.c.Int("neighbours")); err != nil {
			return nil, nil, fmt.Errorf("%q: %w: %w", p.dir, err, featurize.ErrData)
		}
		wanted[records[row].Path] = true
		for _, f := range found[i] {
			wanted[records[f.Row].Path] = true
		}
	}
	data, root, err := p.data()
	if err != nil {
		return nil, nil, err
	}
	for _, r := range records { // of a folder, or of a list
		p.out.inputs = append(p.out.inputs, filepath.Join(data, r.Path), filepath.Join(cmp.Or(root, filepath.Dir(data)), r.Path))
	}
	thumbs, err := thumbnails(p.c.Context, data, root, wanted)
	if err != nil {
		return nil, nil, err
	}
	sheet := report.ContactSheet{Title: "Nearest neighbours by cosine", Apart: true, Notes: []string{
		"first the query, then its neighbours, the nearest first; below them class and cosine",
		"framed by a line: of the query's class; dashed: of another class",
	}}
	told, same, labelled := []object{}, 0, 0
	for i, row := range queries {
		thumbsOf, o, right, all := p.sheetRow(records, row, found[i], thumbs)
		sheet.Rows, told = append(sheet.Rows, thumbsOf), append(told, o)
		same, labelled = same+right, labelled+all
	}
	if labelled > 0 {
		p.say = fmt.Sprintf("%d of %d neighbours are of the query's class", same, labelled)
	}
	return sheet.Draw(), object{{"queries", told}, {"same_class", share(float64(same) / float64(labelled))}}, nil
}

// queries are the rows whose neighbours are shown: those of --query, or rows drawn
// at random, of different classes as far as there are enough.
func (p *plotting) queries(records []featurize.Record) ([]int, error) {
	var rows []int
	paths := make([]string, len(records))
	for i, r := range records {
		paths[i] = r.Path
	}
	for _, name := range p.c.StringSlice("query") {
		row := slices.Index(paths, name)
		if row < 0 {
			return nil, &usageError{msg: fmt.Sprintf("--query: the set %q has no image %q", p.dir, name), hint: suggest(name, paths, filepath.Join(p.dir, "manifest.jsonl")+" lists the paths")}
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		return rows, nil
	}
	if rows = spread(len(records), p.c.Int("queries"), uint64(p.c.Int("seed")), func(i int) string { return records[i].Class }); len(rows) == 0 {
		return nil, fmt.Errorf("the set %q has no samples: %w", p.dir, featurize.ErrData)
	}
	return rows, nil
}

// spread chooses at most k of n things at random: of different classes as far as there
// are enough.
func spread(n, k int, seed uint64, class func(i int) string) []int {
	seen, rows, later := map[string]bool{}, []int(nil), []int(nil)
	for _, row := range rand.New(rand.NewPCG(seed, 0)).Perm(n) {
		if seen[class(row)] {
			later = append(later, row)
		} else {
			seen[class(row)] = true
			rows = append(rows, row)
		}
	}
	rows = append(rows, later...)
	return rows[:min(k, len(rows))]
}

// sheetRow is a query and its neighbours, as thumbnails and as JSON. Of the
// labelled neighbours, same are of the query's class.
func (p *plotting) sheetRow(records []featurize.Record, row int, found []view.Neighbour, thumbs map[string]image.Image) (thumbsOf []report.Thumbnail, o object, same, labelled int) {
	query := records[row]
	thumbsOf = []report.Thumbnail{{Image: thumbs[query.Path], Label: query.Class, Note: "query"}}
	list := []object{}
	for _, f := range found {
		r := records[f.Row]
		t := report.Thumbnail{Image: thumbs[r.Path], Label: r.Class, Note: fmt.Sprintf("%.3f", f.Cosine)}
		line := object{{"path", r.Path}, {"class", r.Class}, {"cosine", f.Cosine}}
		if query.Label >= 0 && r.Label >= 0 {
			labelled++
			t.Frame = report.OtherClass
			if query.Label == r.Label {
				t.Frame = report.SameClass
				same++
			}
			line = append(line, object{{"same_class", query.Label == r.Label}}...)
		}
		thumbsOf, list = append(thumbsOf, t), append(list, line)
	}
	return thumbsOf, object{{"path", query.Path}, {"class", query.Class}, {"neighbours", list}}, same, labelled
}

const whereImages = "--data names the images that the set was made from, and --root the folder of a list's"

// data is where the images are: where the flags say, or else where the run.json and
// args.yaml of the set say.
func (p *plotting) data() (data, root string, err error) {
	if data := p.c.String("data"); data != "" {
		return data, p.c.String("root"), nil
	}
	file := filepath.Join(p.dir, "run.json")
	var run struct{ Data string }
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &run)
	}
	if err != nil {
		return "", "", hinted{fmt.Errorf("%q does not tell where the images are: %w: %w", file, err, featurize.ErrFormat), whereImages}
	}
	if run.Data == "" || run.Data == "-" {
		return "", "", hinted{fmt.Errorf("%q does not tell where the images are (data is %q): %w", file, run.Data, featurize.ErrData), whereImages}
	}
	args := struct{ Root string }{p.c.String("root")}
	if text, err := os.ReadFile(filepath.Join(p.dir, "args.yaml")); err == nil && args.Root == "" {
		if err := yaml.Unmarshal(text, &args); err != nil {
			return "", "", hinted{fmt.Errorf("%q: args.yaml: %w: %w", p.dir, err, featurize.ErrFormat), whereImages}
		}
	}
	return run.Data, args.Root, nil
}
