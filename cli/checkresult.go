package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// checkResult is what rtx.detect.check/1 says, beside what every result says. Lists of
// examples are of a hundred at most; counts are of all.
type checkResult struct {
	Unusable string         `json:"unusable"` // why nothing can be done with the data; "" where something can
	Format   string         `json:"format"`
	Images   int            `json:"images"`
	Objects  int            `json:"objects"`
	Classes  int            `json:"classes"`
	Splits   []checkedSplit `json:"splits"`
	PerClass []checkedClass `json:"per_class"`
	Boxes    checkedBoxes   `json:"boxes"`
	Findings []checkedFlaw  `json:"findings"`
	Odd      []checkedOdd   `json:"odd"`
	Base     checkedBase    `json:"base"`
	Files    checkedFiles   `json:"files"`
	Notes    []string       `json:"notes"`
}

type checkedSplit struct {
	Name       string           `json:"name"` // "" for images of no split
	Images     int              `json:"images"`
	Lost       int              `json:"lost"`
	Unreadable int              `json:"unreadable"`
	Empty      int              `json:"empty"`
	Objects    int              `json:"objects"`
	Crowds     int              `json:"crowds"`
	Difficult  int              `json:"difficult"`
	Masks      int              `json:"masks"`
	Most       int              `json:"most"` // objects in an image
	PerImage   checkedHistogram `json:"per_image"`
}

type checkedClass struct {
	ID      int64          `json:"id"`
	Name    string         `json:"name"`
	Objects int            `json:"objects"`
	Images  int            `json:"images"`
	InSplit map[string]int `json:"in_split"`
	Small   int            `json:"small"`
	Medium  int            `json:"medium"`
	Large   int            `json:"large"`
	Only    string         `json:"only_in"` // the split that has all of its objects; "" where several have some
}

// checkedHistogram counts values from each edge to below the next; the last edge is null
// where there is none.
type checkedHistogram struct {
	Edges  []share `json:"edges"`
	Counts []int   `json:"counts"`
}

type checkedBoxes struct {
	Small    int              `json:"small"`
	Medium   int              `json:"medium"`
	Large    int              `json:"large"`
	Side     checkedSide      `json:"side"`     // square root of the area, in pixels
	Relative checkedHistogram `json:"relative"` // of that over that of the image
	Aspect   checkedHistogram `json:"aspect"`   // width over height
}

type checkedSide struct {
	P5  float64 `json:"p5"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

type checkedFlaw struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	Text  string `json:"text"`
	First string `json:"first"`
}

type checkedOdd struct {
	Kind     string       `json:"kind"`
	Count    int          `json:"count"`
	Text     string       `json:"text"`
	Examples []checkedBox `json:"examples"`
}

type checkedBox struct {
	Path  featurize.JSONPath `json:"path"`
	Class string             `json:"class"`
	Box   [4]float64         `json:"box"` // x1, y1, x2, y2
}

type checkedBase struct {
	AtZero        int    `json:"at_zero"`
	AtOne         int    `json:"at_one"`
	AtEnd         int    `json:"at_end"`
	AtEndMinusOne int    `json:"at_end_minus_one"`
	Guess         string `json:"guess"`
}

type checkedFiles struct {
	Read       int           `json:"read"`
	Unreadable int           `json:"unreadable"`
	Lost       int           `json:"lost"`
	Misfits    int           `json:"sizes_differ"`
	Turned     int           `json:"turned"`
	Copies     int           `json:"copies"`       // images that another one before them is
	Across     int           `json:"split_copies"` // groups of copies in several splits
	BadFiles   []failure     `json:"unreadable_files"`
	LostFiles  []string      `json:"lost_files"`
	Sizes      []checkedSize `json:"sizes"`
	Groups     []checkedCopy `json:"copy_groups"`
}

type checkedSize struct {
	Path featurize.JSONPath `json:"path"`
	Said [2]int             `json:"said"` // width and height in the annotations
	Is   [2]int             `json:"is"`
}

type checkedCopy struct {
	By     string               `json:"by"` // file, bytes, pixels or look
	Across bool                 `json:"across_splits"`
	Paths  []featurize.JSONPath `json:"paths"`
	Splits []string             `json:"splits"`
}

const mostExamples = 100

// result puts a report into the words of the schema.
func (k *checking) result(r *data.Report) *checkResult {
	c := &checkResult{
		Format: k.set.Format, Images: len(k.set.Images), Objects: r.Boxes.Objects, Classes: len(r.Classes), Splits: []checkedSplit{}, PerClass: []checkedClass{}, Findings: []checkedFlaw{}, Odd: []checkedOdd{}, Notes: []string{},
		Boxes: checkedBoxes{r.Boxes.Small, r.Boxes.Medium, r.Boxes.Large, checkedSide{r.Boxes.Side[0], r.Boxes.Side[1], r.Boxes.Side[2]}, histogramOf(r.Boxes.Relative), histogramOf(r.Boxes.Aspect)},
		Base:  checkedBase(r.Base),
	}
	if err := r.Unusable(); err != nil {
		c.Unusable = err.Error()
	}
	for _, s := range r.Splits {
		c.Splits = append(c.Splits, checkedSplit{s.Name, s.Images, s.Lost, s.Unreadable, s.Empty, s.Objects, s.Crowds, s.Difficult, s.Masks, s.Most, histogramOf(s.PerImage)})
	}
	for _, one := range r.Classes {
		in := map[string]int{}
		for i, n := range one.InSplit {
			in[r.Splits[i].Name] = n
		}
		c.PerClass = append(c.PerClass, checkedClass{one.ID, one.Name, one.Objects, one.Images, in, one.Small, one.Medium, one.Large, one.Only})
	}
	for _, f := range r.Findings {
		c.Findings = append(c.Findings, checkedFlaw{string(f.Kind), f.Count, f.Kind.Text(), f.First})
	}
	for _, o := range r.Odd {
		one := checkedOdd{string(o.Kind), o.Count, o.Kind.Text(), []checkedBox{}}
		for _, w := range o.Where[:min(mostExamples, len(o.Where))] {
			img := &k.set.Images[w.Image]
			object := img.Objects[w.Object]
			one.Examples = append(one.Examples, checkedBox{featurize.JSONPath(img.Path), k.set.Classes[object.Class].Name, object.Box})
		}
		c.Odd = append(c.Odd, one)
	}
	c.Files = k.files(&r.Files)
	c.Notes = append(c.Notes, k.notes()...)
	return c
}

// notes are those of the set that are no flaws.
func (k *checking) notes() (notes []string) {
	return k.set.Notes[:max(0, len(k.set.Notes)-len(k.set.Findings))]
}

func (k *checking) files(f *data.FileCheck) checkedFiles {
	path := func(i int) featurize.JSONPath { return featurize.JSONPath(k.set.Images[i].Path) }
	c := checkedFiles{
		Read: f.Read, Unreadable: len(f.Unreadable), Lost: len(f.Lost), Misfits: len(f.Sizes), Turned: len(f.Turned),
		BadFiles: []failure{}, LostFiles: []string{}, Sizes: []checkedSize{}, Groups: []checkedCopy{},
	}
	for _, b := range f.Unreadable[:min(mostExamples, len(f.Unreadable))] {
		c.BadFiles = append(c.BadFiles, failure{path(b.Image), b.Reason})
	}
	for _, i := range f.Lost[:min(mostExamples, len(f.Lost))] {
		c.LostFiles = append(c.LostFiles, k.set.Images[i].Name)
	}
	for _, s := range f.Sizes[:min(mostExamples, len(f.Sizes))] {
		img := &k.set.Images[s.Image]
		c.Sizes = append(c.Sizes, checkedSize{path(s.Image), [2]int{img.Width, img.Height}, [2]int{s.Width, s.Height}})
	}
	groups := slices.Clone(f.Copies)
	slices.SortStableFunc(groups, func(a, b data.CopyGroup) int { return -cmp.Compare(flag(a.Across), flag(b.Across)) })
	for _, g := range groups {
		c.Copies += len(g.Images) - 1
		c.Across += flag(g.Across)
		if len(c.Groups) == mostExamples {
			continue
		}
		one := checkedCopy{By: string(g.By), Across: g.Across}
		for _, i := range g.Images {
			one.Paths, one.Splits = append(one.Paths, path(i)), append(one.Splits, k.set.Images[i].Split)
		}
		c.Groups = append(c.Groups, one)
	}
	return c
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func histogramOf(h data.Histogram) (c checkedHistogram) {
	for _, e := range h.Edges {
		if math.IsInf(e, 0) {
			e = math.NaN()
		}
		c.Edges = append(c.Edges, share(e))
	}
	c.Counts = h.Counts
	return c
}

// fields is the result with its keys in order.
func (r *checkResult) fields() object {
	return object{
		{"unusable", r.Unusable}, {"format", r.Format}, {"images", r.Images}, {"objects", r.Objects}, {"classes", r.Classes}, {"splits", r.Splits}, {"per_class", r.PerClass},
		{"boxes", r.Boxes}, {"findings", r.Findings}, {"odd", r.Odd}, {"base", r.Base}, {"files", r.Files}, {"notes", r.Notes},
	}
}

// splitName is what a split is called for people.
func splitName(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// unsplit reports whether there are no splits.
func (r *checkResult) unsplit() bool { return len(r.Splits) == 1 && r.Splits[0].Name == "" }

// classRows is per_class.csv, with its header.
func (r *checkResult) classRows() [][]string {
	head := []string{"id", "class", "objects", "images"}
	splits := r.Splits
	if r.unsplit() {
		splits = nil
	}
	for _, s := range splits {
		head = append(head, "objects_"+splitName(s.Name))
	}
	rows := [][]string{append(head, "small", "medium", "large", "only_in")}
	for _, c := range r.PerClass {
		row := []string{strconv.FormatInt(c.ID, 10), c.Name, strconv.Itoa(c.Objects), strconv.Itoa(c.Images)}
		for _, s := range splits {
			row = append(row, strconv.Itoa(c.InSplit[s.Name]))
		}
		rows = append(rows, append(row, strconv.Itoa(c.Small), strconv.Itoa(c.Medium), strconv.Itoa(c.Large), c.Only))
	}
	return rows
}

// classTable is the table of the classes for people, with its header: their names first.
func (r *checkResult) classTable() [][]string {
	rows := r.classRows()
	for _, row := range rows {
		row[0], row[1] = row[1], row[0]
	}
	for i, name := range rows[0] {
		rows[0][i] = strings.Replace(strings.TrimPrefix(name, "objects_"), "_", " ", 1)
	}
	return rows
}

// splitRows is the table of the splits, with its header. Columns of zeros are left out.
func (r *checkResult) splitRows() [][]string {
	rows := [][]string{{"split", "images", "without objects", "objects", "per image", "most", "masks", "crowds", "difficult", "lost", "unreadable"}}
	for _, s := range r.Splits {
		mean := fmt.Sprintf("%.1f", float64(s.Objects)/float64(max(1, s.Images)))
		name := splitName(s.Name)
		if r.unsplit() {
			name = "all"
		}
		row := []string{name, strconv.Itoa(s.Images), strconv.Itoa(s.Empty), strconv.Itoa(s.Objects), mean, strconv.Itoa(s.Most)}
		for _, n := range []int{s.Masks, s.Crowds, s.Difficult, s.Lost, s.Unreadable} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	for column := len(rows[0]) - 1; column > 5; column-- {
		if !slices.ContainsFunc(rows[1:], func(row []string) bool { return row[column] != "0" }) {
			for i := range rows {
				rows[i] = slices.Delete(rows[i], column, column+1)
			}
		}
	}
	return rows
}

// flaw is a line of the list of what is wrong or odd: how many there are of what, and the
// first of them.
type flaw struct{ text, first string }

// flaws lists what is wrong or odd.
func (r *checkResult) flaws() (all []flaw) {
	add := func(n int, text, first string) {
		if n > 0 {
			all = append(all, flaw{fmt.Sprintf("%d %s", n, text), first})
		}
	}
	for _, f := range r.Findings {
		add(f.Count, f.Text, f.First)
	}
	thin := slices.ContainsFunc(r.Findings, func(f checkedFlaw) bool { return f.Kind == string(data.BoxThin) })
	for _, o := range r.Odd {
		if o.Kind == string(data.OddThin) && thin {
			continue // told already
		}
		e := o.Examples[0]
		add(o.Count, o.Text, fmt.Sprintf("%s: %q, %s", string(e.Path), e.Class, boxText(e.Box)))
	}
	if r.Base.Guess != "" {
		all = append(all, flaw{r.Base.Guess, fmt.Sprintf("%d sides at 0, %d at 1; %d at the right or lower border, %d a pixel before it", r.Base.AtZero, r.Base.AtOne, r.Base.AtEnd, r.Base.AtEndMinusOne)})
	}
	if len(r.Files.BadFiles) > 0 {
		add(r.Files.Unreadable, "image file(s) cannot be decoded", fmt.Sprintf("%s: %s", string(r.Files.BadFiles[0].Path), r.Files.BadFiles[0].Reason))
	}
	if len(r.Files.Groups) > 0 {
		g := r.Files.Groups[0]
		first := fmt.Sprintf("%s (%s) and %s (%s), by %s", string(g.Paths[0]), splitName(g.Splits[0]), string(g.Paths[1]), splitName(g.Splits[1]), g.By)
		add(r.Files.Copies, fmt.Sprintf("image(s) are copies of others; %d time(s) they are in several splits", r.Files.Across), first)
	}
	only, first := 0, ""
	for _, c := range r.PerClass {
		if c.Only == "" {
			continue
		}
		if only++; only == 1 {
			first = fmt.Sprintf("%q, with %d in %s", c.Name, c.Objects, c.Only)
		}
	}
	add(only, "class(es) have all of their objects in one split", first)
	return all
}

func boxText(b [4]float64) string {
	return fmt.Sprintf("%.5g,%.5g to %.5g,%.5g", b[0], b[1], b[2], b[3])
}

// tables writes the figures for people.
func (r *checkResult) tables(w io.Writer) error {
	const most = 40 // classes
	for _, row := range [][2]string{{"form", dataForms[r.Format]}, {"images", strconv.Itoa(r.Images)}, {"objects", strconv.Itoa(r.Objects)}, {"classes", strconv.Itoa(r.Classes)}, {"sizes", r.sizes()}} {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-7s  %s", row[0], row[1]), " "))
	}
	classes := r.classTable()
	if len(classes) > most+1 {
		rest := slices.Clone(r.PerClass)
		slices.SortStableFunc(rest, func(a, b checkedClass) int { return cmp.Compare(a.Objects, b.Objects) })
		some := *r
		some.PerClass = rest[:most/2]
		classes = some.classTable()
	}
	for _, rows := range [][][]string{r.splitRows(), classes} {
		fmt.Fprintln(w)
		if err := report.Table(w, rows); err != nil {
			return err
		}
	}
	if len(classes) < len(r.PerClass)+1 {
		fmt.Fprintf(w, "... the rarest %d of %d classes; --out lists all\n", len(classes)-1, len(r.PerClass))
	}
	fmt.Fprintln(w)
	flaws := r.flaws()
	for _, f := range flaws {
		fmt.Fprintf(w, "%s: %s\n", f.text, f.first)
	}
	if len(flaws) == 0 {
		fmt.Fprintln(w, "no flaws were found")
	}
	return nil
}

var dataForms = map[string]string{data.COCO: "COCO", data.LabelStudio: "Label Studio", data.VOC: "Pascal VOC", data.YOLO: "YOLO", data.Masks: "masks in a folder for each image"}

// sizes is COCO's sizes in words.
func (r *checkResult) sizes() string {
	if r.Objects == 0 {
		return ""
	}
	part := func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(r.Objects)) }
	return fmt.Sprintf("small %s, medium %s, large %s; median side %.0f pixels", part(r.Boxes.Small), part(r.Boxes.Medium), part(r.Boxes.Large), r.Boxes.Side.P50)
}
