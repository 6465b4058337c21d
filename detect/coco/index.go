package coco

import (
	"cmp"
	"fmt"
	"slices"
)

// index is a data set and detections put in the order in which they are judged: by
// category, then image, and the detections of both by falling score. Those beyond the
// largest number of detections are left out, and so is what is of no known category.
type index struct {
	gt *Dataset
	dt []Detection
	c  Config

	categories []int32 // into gt.Categories, by rising id
	images     []int32 // into gt.Images, by rising id

	objects []object
	found   []found
	groups  []group
	first   []int32 // [K+1] the first group of each category

	strays Strays
}

// object is an annotation.
type object struct {
	at    int32 // into gt.Annotations
	crowd bool
	area  float64
	box   [4]float64
}

// found is a detection.
type found struct {
	at    int32 // into dt
	rank  int32 // among those of its image and category, from 0 on
	image int32
	score float64
	area  float64
	box   [4]float64
}

// group is what there is of a category in an image: objects[g0:g1], found[d0:d1].
type group struct {
	image          int32 // into index.images
	g0, g1, d0, d1 int32
}

// Strays count what is left out, as pycocotools does without a word.
type Strays struct {
	Detections  int // of categories that are not in the data set
	Annotations int // of categories or images that are not in the data set
}

func newIndex(gt *Dataset, dt []Detection, c Config) (*index, error) {
	x := &index{gt: gt, dt: dt, c: c}
	var image, category map[int64]int32
	var err error
	if x.images, image, err = ranks("image", len(gt.Images), func(i int) int64 { return gt.Images[i].ID }); err != nil {
		return nil, err
	}
	if x.categories, category, err = ranks("category", len(gt.Categories), func(i int) int64 { return gt.Categories[i].ID }); err != nil {
		return nil, err
	}
	annotations, err := x.readAnnotations(image, category)
	if err != nil {
		return nil, err
	}
	detections, err := x.readDetections(image, category)
	if err != nil {
		return nil, err
	}
	x.group(x.sorted(annotations), x.sorted(detections))
	return x, nil
}

// ranks returns the order of n things by their ids, and the place of each id in it.
func ranks(of string, n int, id func(int) int64) (order []int32, place map[int64]int32, err error) {
	order = make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(id(int(a)), id(int(b))) })
	place = make(map[int64]int32, n)
	for p, i := range order {
		if p > 0 && id(int(i)) == id(int(order[p-1])) {
			return nil, nil, &InputError{Of: of, Index: int(i), Detail: fmt.Sprintf("id %d", id(int(i))), Err: ErrDuplicateID}
		}
		place[id(int(i))] = int32(p)
	}
	return order, place, nil
}

// entry is an annotation or a detection, before they are sorted.
type entry struct{ at, category, image int32 }

func (x *index) readAnnotations(image, category map[int64]int32) ([]entry, error) {
	a := x.gt.Annotations
	if _, _, err := ranks("annotation", len(a), func(i int) int64 { return a[i].ID }); err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(a))
	for i := range a {
		if b := a[i].Box; !finite(b[0]+b[1]+b[2]+b[3]) || !finite(a[i].Area) {
			return nil, &InputError{Of: "annotation", Index: i, Detail: fmt.Sprintf("box %v, area %v", b, a[i].Area), Err: ErrNotFinite}
		}
		im, ok := image[a[i].ImageID]
		k, known := category[a[i].CategoryID]
		if !ok || !known {
			x.strays.Annotations++
			continue
		}
		if x.c.Masks {
			detail, err := checkMask(a[i].Mask, &x.gt.Images[x.images[im]])
			if err == nil && a[i].Mask == nil {
				detail, err = fmt.Sprintf("id %d", a[i].ID), ErrNoMask
			}
			if err != nil {
				return nil, &InputError{Of: "annotation", Index: i, Detail: detail, Err: err}
			}
		}
		entries = append(entries, entry{int32(i), k, im})
	}
	return entries, nil
}

func (x *index) readDetections(image, category map[int64]int32) ([]entry, error) {
	entries := make([]entry, 0, len(x.dt))
	for i := range x.dt {
		d := &x.dt[i]
		im, ok := image[d.ImageID]
		if !ok {
			return nil, &InputError{Of: "detection", Index: i, Detail: fmt.Sprintf("image_id %d", d.ImageID), Err: ErrUnknownImage}
		}
		if b := d.Box; !finite(b[0]+b[1]+b[2]+b[3]) || d.Score != d.Score || !finite(d.Area) {
			return nil, &InputError{Of: "detection", Index: i, Detail: fmt.Sprintf("box %v, score %v, area %v", b, d.Score, d.Area), Err: ErrNotFinite}
		}
		k, known := category[d.CategoryID]
		if !known {
			x.strays.Detections++
			continue
		}
		if x.c.Masks {
			if detail, err := checkMask(d.Mask, &x.gt.Images[x.images[im]]); err != nil {
				return nil, &InputError{Of: "detection", Index: i, Detail: detail, Err: err}
			}
		}
		entries = append(entries, entry{int32(i), k, im})
	}
	return entries, nil
}

// sorted puts entries in the order of categories, then images; those of both stay in
// their order.
func (x *index) sorted(e []entry) []entry {
	byImage := countingSort(e, len(x.images), func(e entry) int32 { return e.image })
	return countingSort(byImage, len(x.categories), func(e entry) int32 { return e.category })
}

func countingSort(e []entry, n int, key func(entry) int32) []entry {
	next := make([]int32, n+1)
	for _, v := range e {
		next[key(v)+1]++
	}
	for i := range n {
		next[i+1] += next[i]
	}
	out := make([]entry, len(e))
	for _, v := range e {
		out[next[key(v)]] = v
		next[key(v)]++
	}
	return out
}

// group lays out objects and found, from the sorted annotations and detections.
func (x *index) group(a, d []entry) {
	x.objects, x.found = make([]object, 0, len(a)), make([]found, 0, len(d))
	x.first = make([]int32, 0, len(x.categories)+1)
	for k := range x.categories {
		x.first = append(x.first, int32(len(x.groups)))
		for {
			image, ok := next(a, d, int32(k))
			if !ok {
				break
			}
			g := group{image: image, g0: int32(len(x.objects)), d0: int32(len(x.found))}
			na, nd := run(a, int32(k), image), run(d, int32(k), image)
			x.addObjects(a[:na])
			x.addFound(d[:nd])
			a, d = a[na:], d[nd:]
			g.g1, g.d1 = int32(len(x.objects)), int32(len(x.found))
			x.groups = append(x.groups, g)
		}
	}
	x.first = append(x.first, int32(len(x.groups)))
}

// next returns the first image of category k in a or d.
func next(a, d []entry, k int32) (image int32, ok bool) {
	for _, e := range [][]entry{a, d} {
		if len(e) > 0 && e[0].category == k && (!ok || e[0].image < image) {
			image, ok = e[0].image, true
		}
	}
	return image, ok
}

// run counts the first entries of a category and image.
func run(e []entry, category, image int32) int {
	n := 0
	for n < len(e) && e[n].category == category && e[n].image == image {
		n++
	}
	return n
}

func (x *index) addObjects(a []entry) {
	for _, e := range a {
		v := &x.gt.Annotations[e.at]
		x.objects = append(x.objects, object{at: e.at, crowd: v.Crowd, area: v.Area, box: v.Box})
	}
}

func (x *index) addFound(d []entry) {
	slices.SortStableFunc(d, func(a, b entry) int { return cmp.Compare(x.dt[b.at].Score, x.dt[a.at].Score) })
	for rank, e := range d[:min(len(d), x.c.MaxDets[len(x.c.MaxDets)-1])] {
		v := &x.dt[e.at]
		x.found = append(x.found, found{at: e.at, rank: int32(rank), image: e.image, score: v.Score, area: v.area(), box: v.Box})
	}
}
