package data

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// yoloNames finds the list of classes in data.yaml.
var yoloNames = regexp.MustCompile(`(?m)^(names|nc)\s*:`)

// findYOLO finds text files for images: with a data.yaml, a classes.txt or obj.names, or
// only by their contents.
func findYOLO(t *tree) *source {
	var yamls, lists []string
	labels := 0
	for _, p := range t.paths {
		base := strings.ToLower(path.Base(p))
		switch path.Ext(base) {
		case ".yaml", ".yml":
			if yoloNames.Match(t.head(p, 64<<10)) {
				yamls = append(yamls, p)
			}
		case ".names":
			lists = append(lists, p)
		case ".txt":
			if base == "classes.txt" || base == "_darknet.labels" {
				lists = append(lists, p)
			} else if labels == 0 && (t.images[stem(p)] != nil || strings.Contains("/"+p, "/labels/")) && isLabels(t.head(p, 512)) {
				labels++
			}
		}
	}
	if labels == 0 {
		return nil
	}
	for _, found := range [][]string{yamls, lists} {
		if len(found) > 0 {
			slices.SortStableFunc(found, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
			return &source{format: YOLO, files: found[:1]}
		}
	}
	return &source{format: YOLO}
}

// isLabels reports whether the first line of a text is one of YOLO's.
func isLabels(head []byte) bool {
	line, _, _ := strings.Cut(strings.TrimSpace(string(head)), "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return false
	}
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err != nil {
			return len(head) == 512 && len(fields) > 5 && f == fields[len(fields)-1] // cut
		}
	}
	return true
}

// yoloReader reads the text files of a set.
type yoloReader struct {
	*Set
	names     map[int]string
	keypoints int               // numbers of keypoints at the end of each line
	used      map[string]string // the image of each text file
	lists     map[string]bool   // text files that are lists of images
	pixels    int               // lines whose numbers are no fractions
	lines     int
	firstBad  string
	highest   int
}

func (s *Set) readYOLO(ctx context.Context, from *source) error {
	r := &yoloReader{Set: s, names: map[int]string{}, used: map[string]string{}, lists: map[string]bool{}, highest: -1}
	parts, err := r.setup(from)
	if err != nil {
		return err
	}
	for _, p := range parts {
		for _, name := range p.images {
			img := Image{ID: int64(len(s.Images) + 1), Split: p.split, Name: name}
			f, _ := s.tree.file(name)
			img.setFile(f)
			s.Images = append(s.Images, img)
		}
	}
	if len(s.Images) == 0 {
		return fmt.Errorf("data: %q: no image file, expected images beside labels: %w", s.tree.name, featurize.ErrData)
	}
	if err := s.readSizes(ctx); err != nil {
		return err
	}
	if len(s.Images) == 0 {
		return fmt.Errorf("data: %q: no image of which the size can be read (the first: %s): %w", s.tree.name, s.find[ImageUnread].First, featurize.ErrData)
	}
	for i := range s.Images {
		if i%100 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.labels(&s.Images[i]); err != nil {
			return err
		}
	}
	if 2*r.pixels > r.lines {
		return fmt.Errorf("data: %s: expected fractions of the image's width and height, and so it is in %d of %d lines: %w", r.firstBad, r.pixels, r.lines, featurize.ErrData)
	}
	r.lost()
	r.classList()
	return nil
}

// setup finds the classes and the images of each split.
func (r *yoloReader) setup(from *source) ([]yoloPart, error) {
	if len(from.files) == 0 {
		return r.allImages(), nil
	}
	file := from.files[0]
	data, err := r.tree.read(file)
	if err != nil {
		return nil, err
	}
	if ext := strings.ToLower(path.Ext(file)); ext == ".yaml" || ext == ".yml" {
		return r.yaml(file, data)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			r.names[len(r.names)] = line
		}
	}
	return r.allImages(), nil
}

// yoloPart is the images of a split.
type yoloPart struct {
	split  string
	images []string
}

// allImages are the images of the folders in which some have text files, in the splits
// that the folders name.
func (r *yoloReader) allImages() []yoloPart {
	by, labelled := map[string][]string{}, map[string]bool{}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && slices.ContainsFunc(labelFiles(p), r.tree.has) {
			labelled[path.Dir(p)] = true
		}
	}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && labelled[path.Dir(p)] {
			_, split := splitOfPath(path.Dir(p))
			by[split] = append(by[split], p)
		}
	}
	var parts []yoloPart
	for _, split := range sortedSplits(by) {
		parts = append(parts, yoloPart{split, by[split]})
	}
	return parts
}

// labelFiles are the places of an image's text file.
func labelFiles(image string) []string {
	name := strings.TrimSuffix(image, path.Ext(image)) + ".txt"
	all := []string{name}
	if i := strings.LastIndex("/"+name, "/images/"); i >= 0 {
		all = []string{("/" + name)[1:i+1] + "labels/" + name[i+len("images/"):], name}
	}
	return all
}

// labels reads the text file of an image.
func (r *yoloReader) labels(img *Image) error {
	name := ""
	for _, p := range labelFiles(img.Path) {
		if r.tree.has(p) && !r.lists[p] {
			name = p
			break
		}
	}
	if name == "" {
		r.find.add(ImageNoLabels, "%s", img.Path)
		return nil
	}
	if other := r.used[name]; other != "" && other != img.Path {
		r.find.add(ImageOneName, "%s: of %q and %q", name, other, img.Path)
	}
	r.used[name] = img.Path
	data, err := r.tree.read(name)
	if err != nil {
		return err
	}
	at := 0
	for line := range strings.Lines(string(data)) {
		at++
		if line = strings.TrimSpace(line); line != "" {
			r.line(img, line, fmt.Sprintf("%s:%d", name, at))
		}
	}
	return nil
}

// line reads an object: its class, and its centre, width and height or a polygon, as
// fractions of the image's size.
func (r *yoloReader) line(img *Image, line, where string) {
	fields := strings.Fields(line)
	values := make([]float64, len(fields))
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil && v == 0 {
			r.find.add(LineMalformed, "%s: %q is no number", where, f)
			return
		}
		values[i] = v
	}
	n := len(values)
	if r.keypoints > 0 && n == 5+r.keypoints {
		r.find.add(LabelKeypoints, "%s", where)
		values, n = values[:5], 5
	}
	if n != 5 && (n < 7 || n%2 == 0) {
		r.find.add(LineMalformed, "%s: %d numbers, expected a class and 4 of a box, or 6 or more of a polygon", where, n)
		return
	}
	r.lines++
	for _, v := range values[1:] {
		if v > 1.5 && v < 1e9 {
			if r.pixels++; r.firstBad == "" {
				r.firstBad = fmt.Sprintf("%s: found %v", where, v)
			}
			break
		}
	}
	class := int(values[0])
	if float64(class) != values[0] || class < 0 || len(r.names) > 0 && r.names[class] == "" {
		r.find.add(ObjectNoClass, "%s: class %s", where, fields[0])
		return
	}
	o := Object{Class: class} // its index comes later
	w, h := float64(img.Width), float64(img.Height)
	if v := values[1:]; n == 5 {
		o.Box = [4]float64{(v[0] - v[2]/2) * w, (v[1] - v[3]/2) * h, (v[0] + v[2]/2) * w, (v[1] + v[3]/2) * h}
	} else {
		for i := range v {
			v[i] *= []float64{w, h}[i%2]
		}
		lists := r.polygons([][]float64{v}, where)
		if len(lists) == 0 {
			return
		}
		o.Mask = &Mask{Polygons: lists}
		o.Box, _ = o.Mask.bounds()
	}
	if !r.fit(&o.Box, img, where) {
		return
	}
	r.highest = max(r.highest, class)
	o.Area = o.area()
	img.Objects = append(img.Objects, o)
}

// lost notes text files without an image, in the folders of the others.
func (r *yoloReader) lost() {
	dirs := map[string]bool{}
	for p := range r.used {
		dirs[path.Dir(p)] = true
	}
	for _, p := range r.tree.paths {
		if path.Ext(p) == ".txt" && dirs[path.Dir(p)] && r.used[p] == "" && !r.lists[p] && r.tree.images[stem(p)] == nil && isLabels(r.tree.head(p, 512)) {
			r.find.add(ImageLost, "of %s", p)
		}
	}
}

// classList makes the classes, whose numbers are their places in the list of names.
func (r *yoloReader) classList() {
	list := classList{s: r.Set}
	index := map[int]int{}
	if len(r.names) == 0 {
		for n := range r.highest + 1 {
			r.names[n] = strconv.Itoa(n)
			r.find.add(ClassUnnamed, "%d", n)
		}
	}
	numbers := make([]int, 0, len(r.names))
	for n := range r.names {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	known := map[string]int{}
	for i, n := range numbers {
		if n != i {
			r.find.add(ClassIDs, "class %d where %d would be next", n, i)
		}
		name := list.name("class "+strconv.Itoa(n), r.names[n])
		at, again := known[name]
		if again {
			r.find.add(ClassRepeated, "%q", name)
		} else {
			at = len(r.Classes)
			known[name] = at
			r.Classes = append(r.Classes, Class{ID: int64(n), Name: name})
		}
		index[n] = at
	}
	list.cases()
	for i := range r.Images {
		for j := range r.Images[i].Objects {
			o := &r.Images[i].Objects[j]
			o.Class = index[o.Class]
		}
	}
}
