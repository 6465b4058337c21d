package data

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// vocRoot is the root of VOC's XML files, with or without attributes.
var vocRoot = regexp.MustCompile(`<annotation[\s>]`)

// findVOC finds XML files that describe images.
func findVOC(t *tree) *source {
	var files []string
	for _, p := range t.paths {
		if !strings.EqualFold(path.Ext(p), ".xml") {
			continue
		}
		if len(files) > 0 || vocRoot.Match(t.head(p, 1024)) {
			files = append(files, p)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return &source{format: VOC, files: files}
}

// vocReader reads the XML files of a set.
type vocReader struct {
	*Set
	lists    map[string]vocList // by the folder that holds ImageSets
	files    []*vocFile
	of       map[*vocFile]string // the split of each
	fromZero bool                // corners count from 0, not from 1
	class    map[string]int
}

// vocList is the lists of ImageSets: the splits of images by their names, in order.
type vocList map[string][]string

func (s *Set) readVOC(ctx context.Context, names []string) error {
	r := &vocReader{Set: s, lists: map[string]vocList{}, of: map[*vocFile]string{}}
	for _, p := range s.tree.paths {
		if err := r.list(p); err != nil {
			return err
		}
	}
	var bad error
	for i, name := range names {
		if i%100 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		data, err := s.tree.read(name)
		if err != nil {
			return err
		}
		f, err := parseVOC(data)
		if err != nil {
			s.find.add(FileUnread, "%s: %v", name, err)
			bad = fmt.Errorf("data: %q: %w: %w", name, err, featurize.ErrData)
			continue
		}
		f.name = name
		r.files = append(r.files, f)
	}
	if len(r.files) == 0 {
		return bad
	}
	r.base()
	r.classes()
	r.images()
	return ctx.Err()
}

// list reads a list of ImageSets: Main, or Segmentation where there is no Main.
func (r *vocReader) list(p string) error {
	dir, base := path.Split(p)
	root, in, ok := strings.Cut("/"+dir, "/ImageSets/")
	if !ok || path.Ext(base) != ".txt" {
		return nil
	}
	root = strings.TrimPrefix(root, "/")
	if in != "Main/" && (in != "" && in != "Segmentation/" || len(r.lists[root]) > 0) {
		return nil
	}
	split := stem(base)
	if known := splitOf(split); known != "" {
		split = known
	} else if split != "trainval" && strings.Contains(split, "_") { // of one class, as in cat_train.txt
		return nil
	}
	data, err := r.tree.read(p)
	if err != nil {
		return err
	}
	if r.lists[root] == nil {
		r.lists[root] = vocList{}
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if featurize.IsImageName(line) {
			line = strings.TrimSuffix(line, path.Ext(line))
		}
		if line != "" {
			r.lists[root][split] = append(r.lists[root][split], line)
		}
	}
	return nil
}

// base finds out whether corners count from 1, as VOC's do, or from 0, as some tools
// write them.
func (r *vocReader) base() {
	for _, f := range r.files {
		for i := range f.Objects {
			b, ok := f.Objects[i].corners()
			if ok && (b[0] < 1 || b[1] < 1) {
				r.find.add(BoxesFromZero, "%s: object %d: xmin %v, ymin %v", f.name, i+1, b[0], b[1])
				r.fromZero = true
			}
		}
	}
}

// images goes through the lists, or through all files where there are none.
func (r *vocReader) images() {
	byName := map[string]*vocFile{}
	for _, f := range r.files {
		byName[f.name] = f
	}
	for _, f := range r.files {
		if _, listed := r.listOf(f.name); !listed {
			_, split := splitOfPath(path.Dir(f.name))
			r.of[f] = split
		}
	}
	used := map[*vocFile]bool{}
	for _, root := range slices.Sorted(maps.Keys(r.lists)) {
		list := r.lists[root]
		if len(list["train"])+len(list["val"]) > 0 {
			delete(list, "trainval") // which is both
		}
		for _, split := range sortedSplits(list) {
			for _, name := range list[split] {
				f := byName[path.Join(root, "Annotations", name+".xml")]
				if f == nil {
					r.find.add(ImageNoLabels, "%q in the list of %q", path.Join(root, name), split)
					continue
				}
				used[f] = true
				r.add(f, split)
			}
		}
	}
	slices.SortStableFunc(r.files, func(a, b *vocFile) int { return compareSplits(r.of[a], r.of[b]) })
	for _, f := range r.files {
		if _, listed := r.listOf(f.name); !listed {
			r.add(f, r.of[f])
		} else if !used[f] {
			r.find.add(ImageNoSplit, "%s", f.name)
		}
	}
	slices.SortStableFunc(r.Images, func(a, b Image) int { return compareSplits(a.Split, b.Split) })
	for i := range r.Images {
		r.Images[i].ID = int64(i + 1)
	}
	r.alone()
}

// listOf is the folder with the lists that an XML file is subject to.
func (r *vocReader) listOf(name string) (root string, ok bool) {
	root = strings.TrimSuffix(path.Dir(name), "Annotations")
	root = strings.TrimSuffix(root, "/")
	_, ok = r.lists[root]
	return root, ok && path.Base(path.Dir(name)) == "Annotations"
}

// alone notes image files without an XML file.
func (r *vocReader) alone() {
	described := map[string]bool{}
	dirs := map[string]bool{}
	for i := range r.Images {
		described[r.Images[i].Path] = true
		dirs[path.Dir(r.Images[i].Path)] = true
	}
	for _, f := range r.files { // those in no list, too
		described[stem(f.name)] = true
	}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && dirs[path.Dir(p)] && !described[p] && !described[stem(p)] {
			r.find.add(ImageNoLabels, "%s", p)
		}
	}
}

// classes collects the classes of the objects, which no file lists.
func (r *vocReader) classes() {
	list := classList{s: r.Set}
	for _, f := range r.files {
		for i := range f.Objects {
			o := &f.Objects[i]
			o.Name = list.name(f.name, o.Name)
		}
	}
	names := map[string]bool{}
	for _, f := range r.files {
		for i := range f.Objects {
			names[f.Objects[i].Name] = true
		}
	}
	delete(names, "")
	for i, name := range slices.Sorted(maps.Keys(names)) {
		r.Classes = append(r.Classes, Class{ID: int64(i + 1), Name: name})
	}
	r.class = list.index()
	list.cases()
}

// add adds the image of an XML file.
func (r *vocReader) add(f *vocFile, split string) {
	img := Image{Split: split, Width: number{raw: strings.TrimSpace(f.Width)}.size(), Height: number{raw: strings.TrimSpace(f.Height)}.size()}
	r.vocImage(&img, f)
	r.known(&img, f.name)
	var shapes *shapes
	if p := path.Join(path.Dir(path.Dir(f.name)), "SegmentationObject", stem(f.name)+".png"); r.tree.has(p) {
		file, _ := r.tree.file(p)
		shapes = newShapes(file)
	}
	for i := range f.Objects {
		o := Object{ID: int64(i + 1)}
		if !r.object(&o, &f.Objects[i], &img, fmt.Sprintf("%s: object %d", f.name, i+1)) {
			continue
		}
		if shapes != nil && o.Mask == nil {
			o.Mask = shapes.mask(i+1, o.Box)
		}
		o.ID = 0
		img.Objects = append(img.Objects, o)
	}
	r.Images = append(r.Images, img)
}

// vocImage finds the image file of an XML file: that of the same name. Only where there
// is none, the file name in it counts.
func (r *vocReader) vocImage(img *Image, f *vocFile) {
	find := newLocator(r.tree, path.Dir(f.name))
	own, said := stem(f.name), cleanName(f.Filename)
	suffix := path.Ext(said)
	if !featurize.IsImageName(said) {
		suffix = ".jpg"
	}
	img.Name = own + suffix
	hit, ok := find.find(img.Name)
	if base := path.Base(said); base != "" && base != "." && base != "/" && base != own && stem(base) != own {
		r.find.add(ImageFileName, "%s: filename %q", f.name, f.Filename)
	}
	if !ok && said != "" {
		if hit, ok = find.find(said); ok {
			img.Name = path.Base(said)
		}
	}
	if !ok {
		img.Path = img.Name
		r.find.add(ImageLost, "%s: %q", f.name, img.Name)
		return
	}
	if hit.suffix && featurize.IsImageName(said) {
		r.find.add(ImageSuffix, "%s: filename %q, the file is %q", f.name, f.Filename, hit.file.Path)
	}
	if len(hit.also) > 0 {
		r.find.add(ImageAmbiguous, "%s: %q or %q", f.name, hit.file.Path, hit.also[0])
	}
	img.Name = path.Base(hit.file.Path)
	img.setFile(hit.file)
}

// object reads an object; false: it is dropped.
func (r *vocReader) object(o *Object, v *vocObject, img *Image, where string) bool {
	class, ok := r.class[v.Name]
	if !ok {
		r.find.add(ObjectNoClass, "%s: no name", where)
		return false
	}
	o.Class = class
	if v.Difficult == "" {
		r.find.add(DifficultMissing, "%s", where)
	}
	if v.Truncated == "" {
		r.find.add(TruncatedMissing, "%s", where)
	}
	o.Difficult, o.Truncated = isSet(v.Difficult), isSet(v.Truncated)
	if lists := r.polygons(v.polygons(), where); len(lists) > 0 {
		o.Mask = &Mask{Polygons: lists}
	}
	if !r.vocBox(o, v, img, where) {
		return false
	}
	o.Area = o.area()
	return true
}

// vocBox reads the box of an object. The corners of VOC count pixels from 1 and are
// inclusive: the first pixel is the box 1, 1, 1, 1.
func (r *vocReader) vocBox(o *Object, v *vocObject, img *Image, where string) bool {
	b, ok := v.corners()
	switch {
	case ok:
		o.Box = b
		if !r.fromZero {
			o.Box[0], o.Box[1] = b[0]-1, b[1]-1
		}
		if finite(b[:]) && slices.ContainsFunc(b[:], func(v float64) bool { return v != math.Trunc(v) }) {
			r.find.add(BoxesFloat, "%s: %v", where, b)
		}
	case len(v.Rotated) > 0:
		q := v.Rotated[0]
		w, h := parseFloat(strings.TrimSpace(q.W)), parseFloat(strings.TrimSpace(q.H))
		o.Box = rotated(parseFloat(strings.TrimSpace(q.CX)), parseFloat(strings.TrimSpace(q.CY)), w, h, parseFloat(strings.TrimSpace(q.Angle)))
		r.find.add(BoxRotated, "%s", where)
	default:
		r.find.add(BoxMissing, "%s", where)
		if o.Mask == nil {
			return false
		}
		o.Box, _ = o.Mask.bounds()
	}
	return r.fit(&o.Box, img, where)
}

// rotated is the upright box around a rotated one, which is given by its centre, its
// sides and an angle in radians.
func rotated(cx, cy, w, h, angle float64) [4]float64 {
	s, c := math.Sincos(angle)
	dx, dy := (math.Abs(w*c)+math.Abs(h*s))/2, (math.Abs(w*s)+math.Abs(h*c))/2
	return [4]float64{cx - dx, cy - dy, cx + dx, cy + dy}
}
