package featurize

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ErrObjects is wrapped by the error of a source that is a data set for detection or
// instance segmentation: boxes or masks say what its images show, and its folders are no
// classes. Such an error wraps ErrData as well. Package detect/data reads these.
var ErrObjects = errors.New("a data set of objects in images")

// markers are the files that tell a data set for detection from class folders.
type markers struct {
	texts []string // annotation files, one an image: .xml and .txt
	lists []string // annotation files of many images, named as COCO's
	names []string // files that name YOLO's classes
}

// mostMarkers is how many of the annotation files of single images are kept: a few tell
// what they are as well as all.
const mostMarkers = 10_000

// see keeps the name of a file that is no image, if it may tell what the images are.
func (m *markers) see(name string) {
	if isHidden(name) {
		return
	}
	base := strings.ToLower(path.Base(name))
	switch ext := path.Ext(base); {
	case base == "data.yaml" || base == "data.yml" || base == "classes.txt" || base == "obj.names" || base == "_darknet.labels":
		m.names = append(m.names, name)
	case ext == ".xml" || ext == ".txt":
		if len(m.texts) < mostMarkers {
			m.texts = append(m.texts, name)
		}
	case base == "_annotations.coco.json", ext == ".json" && strings.HasPrefix(base, "instances_"):
		m.lists = append(m.lists, name)
	}
}

func (m *markers) add(other *markers) {
	m.texts = append(m.texts, other.texts...)
	m.lists = append(m.lists, other.lists...)
	m.names = append(m.names, other.names...)
}

// imagePaths are the images of a source, for markers to be compared with.
type imagePaths struct {
	folders map[string]int  // number of images that lie in a folder itself
	stems   map[string]bool // paths without their suffixes
}

// format names the form of the data set that markers beside some images tell, and what
// tells it; "" for class folders and other images. Names of folders alone tell nothing:
// there is an annotation file of an image, or a list of them where the images are.
func (m *markers) format(samples []Sample) string {
	in := imagePaths{map[string]int{}, map[string]bool{}}
	for _, s := range samples {
		in.folders[path.Dir(s.Path)]++
		in.stems[strings.TrimSuffix(s.Path, path.Ext(s.Path))] = true
	}
	for _, list := range m.lists {
		dir := path.Dir(list)
		if in.folders[dir] > 0 || strings.EqualFold(path.Base(dir), "annotations") {
			return fmt.Sprintf("in the form of COCO (%q)", list)
		}
	}
	for _, text := range m.texts {
		stem, isXML := strings.TrimSuffix(text, path.Ext(text)), strings.EqualFold(path.Ext(text), ".xml")
		switch {
		case isXML && in.stems[swapped(stem, "Annotations", "JPEGImages")]:
			return fmt.Sprintf("in the form of Pascal VOC (%q)", text)
		case !isXML && in.stems[swapped(stem, "labels", "images")]:
			return fmt.Sprintf("in the form of YOLO (%q)", text)
		}
	}
	if form := m.besideImages(in); form != "" {
		return form
	}
	return in.masks()
}

// besideImages recognises annotation files that lie beside their images in folders that
// are no class folders.
func (m *markers) besideImages(in imagePaths) string {
	for _, text := range m.texts {
		stem, isXML := strings.TrimSuffix(text, path.Ext(text)), strings.EqualFold(path.Ext(text), ".xml")
		if !in.stems[stem] || !in.flat() {
			continue
		}
		if isXML {
			return fmt.Sprintf("in the form of Pascal VOC (%q)", text)
		}
		if len(m.names) > 0 {
			return fmt.Sprintf("in the form of YOLO (%q, %q)", m.names[0], text)
		}
	}
	return ""
}

// flat reports whether all images lie in one folder, or in split folders.
func (in imagePaths) flat() bool {
	for dir := range in.folders {
		if len(in.folders) > 1 && splitOf[path.Base(dir)] == "" {
			return false
		}
	}
	return true
}

// masks recognises a folder for each of several images, with the image in images and a
// file for each object in masks.
func (in imagePaths) masks() string {
	some, images := "", 0
	for dir, n := range in.folders {
		parent, base := path.Split(dir)
		switch {
		case base == "images" && n == 1 && in.folders[parent+"masks"] > 0 && parent != "":
			if images++; some == "" || dir < some {
				some = dir
			}
		case base == "masks" && in.folders[parent+"images"] == 1 && parent != "":
		default:
			return ""
		}
	}
	if images < 2 {
		return ""
	}
	return fmt.Sprintf("with a folder of masks for each image (%q)", path.Join(path.Dir(some), "masks"))
}

// swapped is a path with another name in the place of its last folder of some name; ""
// if it has no such folder.
func swapped(name, folder, other string) string {
	parts := strings.Split(name, "/")
	for i := len(parts) - 2; i >= 0; i-- {
		if strings.EqualFold(parts[i], folder) {
			parts = slices.Clone(parts)
			parts[i] = other
			return strings.Join(parts, "/")
		}
	}
	return ""
}
