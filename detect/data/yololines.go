package data

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

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
	known := map[string]bool{}
	for i, n := range numbers {
		if n != i {
			r.find.add(ClassIDs, "class %d where %d would be next", n, i)
		}
		name := list.name("class "+strconv.Itoa(n), r.names[n])
		if known[name] {
			name = distinct(name, strconv.Itoa(n), known)
			r.find.add(ClassSameName, "%q", name)
		}
		known[name], index[n] = true, len(r.Classes)
		r.Classes = append(r.Classes, Class{ID: int64(n), Name: name})
	}
	list.cases()
	for i := range r.Images {
		for j := range r.Images[i].Objects {
			o := &r.Images[i].Objects[j]
			o.Class = index[o.Class]
		}
	}
}
