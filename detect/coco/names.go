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
// extension; or it is an id in digits. Digits that are the id of one image and the file
// name of another are taken for what all of the names can be; if that is both or neither,
// they are not of one image.
func (r *Results) MapNames(gt *Dataset) (unknown []string) {
	if r.Names == nil {
		return nil
	}
	names, missing := newNames(gt), map[string]bool{}
	names.decide(r.Names)
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
	first  meaning
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

// meaning is what digits are that are the id of an image and the file name of another.
type meaning int

const (
	ofFile meaning = iota
	ofID
	ofNone
)

// decide finds out what digits mean in a list of names.
func (n *names) decide(list []string) {
	files, ids, differ := true, true, false
	for _, name := range list {
		if name == "" {
			continue
		}
		file, isFile := n.file(name)
		id, isID := n.id(name)
		files, ids = files && isFile, ids && isID
		differ = differ || isFile && isID && file != id
	}
	switch {
	case !differ || files && !ids:
		n.first = ofFile
	case ids && !files:
		n.first = ofID
	default:
		n.first = ofNone
	}
}

// find returns the id of the one image that a name means.
func (n *names) find(name string) (int64, bool) {
	file, isFile := n.file(name)
	id, isID := n.id(name)
	switch {
	case isFile && isID && file != id:
		return [...]int64{ofFile: file, ofID: id, ofNone: 0}[n.first], n.first != ofNone
	case isID:
		return id, true
	}
	return file, isFile
}

// file returns the id of the one image whose file a name means. A name with an extension
// is not taken for that of a file with another one.
func (n *names) file(name string) (int64, bool) {
	base := forms(name)[1]
	for l, form := range []string{name, base, base} {
		if i, ok := n.levels[l][form]; ok {
			if i < 0 {
				return 0, false
			}
			return n.images[i].ID, true
		}
	}
	return 0, false
}

// id returns the id that the digits of a name are.
func (n *names) id(name string) (int64, bool) {
	id, err := strconv.ParseInt(name, 10, 64)
	return id, err == nil && n.ids[id]
}
