package data

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// findLabelStudio finds Label Studio's own files.
func findLabelStudio(t *tree) *source {
	var found []string
	for _, p := range t.paths {
		if strings.EqualFold(path.Ext(p), ".json") && jsonForm(t, p) == LabelStudio {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &source{format: LabelStudio, files: found[:1], more: found[1:]}
}

func (s *Set) readLabelStudio(ctx context.Context, names []string) error {
	name := names[0]
	data, err := s.tree.read(name)
	if err != nil {
		return err
	}
	var tasks []studioTask
	if _, err := unmarshal(name, data, &tasks); err != nil {
		return err
	}
	results := make([][]studioResult, len(tasks))
	list := classList{s: s}
	found, ids := map[string]bool{}, map[string]bool{}
	for i := range tasks {
		ids[tasks[i].ID.key()] = true
		results[i] = s.studioResults(&tasks[i], name)
		for _, r := range results[i] {
			for _, l := range append(r.labels(), r.Value.labels()...) {
				found[list.name(name, l)] = true
			}
		}
	}
	delete(found, "")
	for i, class := range slices.Sorted(maps.Keys(found)) {
		s.Classes = append(s.Classes, Class{ID: int64(i + 1), Name: class})
	}
	r := &studioReader{Set: s, class: list.index(), name: name, find: newLocator(s.tree, path.Dir(name)), seen: map[string]bool{}, unique: len(ids) == len(tasks)}
	list.cases()
	for i := range tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.task(&tasks[i], i, results[i])
	}
	if len(s.Images) == 0 {
		return fmt.Errorf("data: %q: no task has an image, expected one in data or at image: %w", name, featurize.ErrData)
	}
	return nil
}

// studioResults are what was drawn in an image.
func (s *Set) studioResults(t *studioTask, name string) (all []studioResult) {
	kept := 0
	for _, a := range t.Annotations {
		if a.Cancelled {
			continue
		}
		if kept++; kept == 1 {
			all = a.Result
		}
	}
	if kept > 1 {
		s.find.add(ImageAnnotators, "%s: task %s", name, t.ID.raw)
	}
	if t.Annotations != nil {
		return all
	}
	for _, key := range slices.Sorted(maps.Keys(t.fields)) {
		var list []studioResult
		if json.Unmarshal(t.fields[key], &list) != nil {
			continue
		}
		for _, r := range list {
			if r.Width.given() {
				all = append(all, r)
			}
		}
	}
	return all
}

// studioReader reads the tasks of a file.
type studioReader struct {
	*Set
	class map[string]int
	name  string
	find  *locator
	seen  map[string]bool

	unique bool // every task has an id of its own
}

func (r *studioReader) task(t *studioTask, at int, results []studioResult) {
	address := t.image()
	if address == "" {
		r.Set.find.add(ImageLost, "%s: task %d has no image", r.name, at+1)
		return
	}
	if r.seen[address] { // of another annotator in JSON-MIN
		r.Set.find.add(ImageAnnotators, "%s: %q", r.name, address)
		return
	}
	r.seen[address] = true
	img := Image{ID: int64(len(r.Images) + 1), Name: address}
	if id, ok := t.ID.integer(); ok && r.unique {
		img.ID = id
	}
	r.attach(&img, r.find, r.name)
	img.Name = path.Base(img.Path)
	for _, d := range results {
		if d.Width.size() > 0 {
			img.Width, img.Height = d.Width.size(), d.Height.size()
			break
		}
	}
	if len(results) > 0 || img.open == nil {
		r.known(&img, r.name)
	} else { // the file says nothing of the size of an image without results
		img.Width, img.Height, _, _ = img.fileSize()
	}
	for i := range results {
		r.result(&img, &results[i], fmt.Sprintf("%s: task %d, result %d", r.name, at+1, i+1))
	}
	r.Images = append(r.Images, img)
}

// result reads a rectangle or a polygon.
func (r *studioReader) result(img *Image, d *studioResult, where string) {
	v := &d.Value
	if v.X == nil && v.Points == nil {
		v = &d.studioValue
	}
	labels := append(d.labels(), d.Value.labels()...)
	find := &r.Set.find
	switch {
	case d.Type == "choices" || d.Type == "textarea" || len(d.Choices)+len(d.Value.Choices) > 0: // of the whole image
		return
	case len(d.BrushLabels)+len(d.Value.BrushLabels)+len(d.EllipseLabels)+len(d.Value.EllipseLabels)+len(d.KeypointLabels)+len(d.Value.KeypointLabels) > 0:
		find.add(MaskNotRead, "%s", where)
		return
	case len(labels) == 0:
		find.add(ObjectNoClass, "%s: no label", where)
		return
	}
	o := Object{}
	for i, l := range labels { // an object of several labels is one of each
		at, ok := r.class[featurize.ClassOfLabel(strings.TrimSpace(l))]
		if !ok {
			find.add(ObjectNoClass, "%s: label %q", where, l)
			continue
		}
		o.Class = at
		if i == 0 && !r.shape(&o, v, img, where) {
			return
		}
		img.Objects = append(img.Objects, o)
	}
}

// shape makes a box, and of a polygon a mask; false: the object is dropped.
func (r *studioReader) shape(o *Object, v *studioValue, img *Image, where string) bool {
	w, h := float64(img.Width)/100, float64(img.Height)/100
	switch {
	case v.Points != nil:
		var list []float64
		for _, p := range v.Points {
			if len(p) == 2 {
				list = append(list, p[0]*w, p[1]*h)
			}
		}
		lists := r.polygons([][]float64{list}, where)
		if len(lists) == 0 {
			return false
		}
		o.Mask = &Mask{Polygons: lists}
		o.Box, _ = o.Mask.bounds()
	case v.X == nil || v.Y == nil || v.Width == nil || v.Height == nil:
		r.Set.find.add(ObjectMalformed, "%s: neither a rectangle nor a polygon", where)
		return false
	default:
		x, y, bw, bh := *v.X*w, *v.Y*h, *v.Width*w, *v.Height*h
		o.Box = [4]float64{x, y, x + bw, y + bh}
		if v.Rotation != 0 { // about the upper left corner, clockwise
			s, c := math.Sincos(v.Rotation * math.Pi / 180)
			o.Box = rotated(x+(bw*c-bh*s)/2, y+(bw*s+bh*c)/2, bw, bh, v.Rotation*math.Pi/180)
			r.Set.find.add(BoxRotated, "%s", where)
		}
	}
	if !r.fit(&o.Box, img, where) {
		return false
	}
	o.Area = o.area()
	return true
}
