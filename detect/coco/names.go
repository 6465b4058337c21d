package coco

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// MapNames replaces the names of images in the results by the ids of gt, and returns
// those that are not of one image of gt, sorted; if there are none, Names becomes nil.
// A name is a file name as gt has it, one without folders, or one without folders and
// extension; or it is an id in digits.
func (r *Results) MapNames(gt *Dataset) (unknown []string) {
	if r.Names == nil {
		return nil
	}
	names, missing := newNames(gt), map[string]bool{}
	for i, name := range r.Names {
		if name == "" {
			continue
		}
		if id, ok := names.find(name); ok {
			r.Detections[i].ImageID, r.Names[i] = id, ""
		} else if !missing[name] {
			missing[name] = true
			unknown = append(unknown, name)
		}
	}
	if unknown == nil {
		r.Names = nil
	}
	slices.Sort(unknown)
	return unknown
}

// names find the images that a name may mean.
type names struct {
	ids    map[int64]bool
	levels [3]map[string]int // as they are, without folders, without extensions: into Images; -1: of several
	images []Image
}

func newNames(gt *Dataset) *names {
	n := &names{ids: make(map[int64]bool, len(gt.Images)), images: gt.Images}
	for l := range n.levels {
		n.levels[l] = make(map[string]int, len(gt.Images))
	}
	for i, image := range gt.Images {
		n.ids[image.ID] = true
		for l, name := range forms(image.FileName) {
			if _, ok := n.levels[l][name]; ok {
				n.levels[l][name] = -1
			} else {
				n.levels[l][name] = i
			}
		}
	}
	return n
}

// forms are a file name as it is, without folders, and without its extension.
func forms(name string) [3]string {
	base := path.Base(strings.ReplaceAll(name, "\\", "/"))
	return [3]string{name, base, strings.TrimSuffix(base, path.Ext(base))}
}

// find returns the id of the one image that a name means. A name with an extension is
// not taken for that of a file with another one.
func (n *names) find(name string) (int64, bool) {
	base := forms(name)[1]
	for l, form := range []string{name, base, base} {
		if i, ok := n.levels[l][form]; ok {
			if i < 0 {
				return 0, false
			}
			return n.images[i].ID, true
		}
	}
	id, err := strconv.ParseInt(name, 10, 64)
	return id, err == nil && n.ids[id]
}
