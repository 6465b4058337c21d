package data

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// ErrUnknown is wrapped by the error for data in which no data set for detection is
// recognised. It wraps featurize.ErrData.
var ErrUnknown = fmt.Errorf("no data set for detection: %w", featurize.ErrData)

// source is what a data set is read from.
type source struct {
	format string
	files  []string // annotation files, as their format needs them
	more   []string // those of other sets of the same form
}

// forms recognise a form of data sets in a tree, in this order: a set in several forms,
// as annotation tools export them, is read in the first.
var forms = []struct {
	format    string
	recognise func(t *tree) *source
}{
	{COCO, findCOCO},
	{LabelStudio, findLabelStudio},
	{VOC, findVOC},
	{YOLO, findYOLO},
	{Masks, findMasks},
}

// recognise opens the files of a data set and finds its form.
func recognise(ctx context.Context, name string, c Config) (*tree, *source, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	if !info.IsDir() && info.Mode().IsRegular() {
		switch strings.ToLower(filepath.Ext(name)) {
		case ".json":
			return recogniseJSON(ctx, name, c)
		case ".yaml", ".yml":
			return recogniseYAML(ctx, name)
		}
	}
	t, err := openTree(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	from, err := t.recognise()
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	return t, from, nil
}

// recognise finds the form of the set in a tree. What else there is, it notes.
func (t *tree) recognise() (*source, error) {
	var found []*source
	for _, f := range forms {
		if s := f.recognise(t); s != nil {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, t.unknown()
	}
	for _, more := range found[0].more {
		t.notes = append(t.notes, fmt.Sprintf("%q is another set of the form %s, which was not read", more, found[0].format))
	}
	for _, other := range found[1:] {
		t.notes = append(t.notes, fmt.Sprintf("%q holds a set of the form %s too, which was not read", t.name, other.format))
	}
	return found[0], nil
}

// unknown is the error for a tree without a data set. It says what was looked for.
func (t *tree) unknown() error {
	kinds := map[string]int{}
	for _, p := range t.paths {
		kinds[strings.ToLower(path.Ext(p))]++
	}
	images := 0
	for _, p := range t.images {
		images += len(p)
	}
	return fmt.Errorf("data: %q: expected COCO (annotations/instances_*.json or another .json with images, annotations and categories), "+
		"Label Studio (.json), VOC (.xml files of images), YOLO (labels/*.txt and data.yaml or classes.txt) or masks (*/images/* and */masks/*); "+
		"found %d image(s), %d .json, %d .xml, %d .txt: %w", t.name, images, kinds[".json"], kinds[".xml"], kinds[".txt"], ErrUnknown)
}

// findCOCO finds the annotation files of COCO's form. Where there are files called
// instances_*, others, which hold captions or keypoints of the same images, are not read.
// Files that are called as COCO's or Roboflow's are, and hold nothing known, are taken for
// damaged ones, so that a split is not lost.
func findCOCO(t *tree) *source {
	var named, other []string
	for _, p := range t.paths {
		if !strings.EqualFold(path.Ext(p), ".json") {
			continue
		}
		base := strings.ToLower(path.Base(p))
		switch {
		case strings.HasPrefix(base, "captions_"), strings.HasPrefix(base, "panoptic_"), strings.HasPrefix(base, "stuff_"), strings.HasPrefix(base, "image_info_"):
		case strings.HasPrefix(base, "instances_"):
			named = append(named, p)
		default:
			other = append(other, p)
		}
	}
	for _, list := range [][]string{named, other} {
		list = slices.DeleteFunc(list, func(p string) bool {
			base := strings.ToLower(path.Base(p))
			form := jsonForm(t, p)
			damaged := form == "" && (strings.HasPrefix(base, "instances_") || base == "_annotations.coco.json")
			return form != COCO && !damaged
		})
		if len(list) > 0 {
			return &source{format: COCO, files: list}
		}
	}
	return nil
}

// read reads a set of the form that was recognised.
func (s *Set) read(ctx context.Context, from *source) error {
	s.said = append(s.said, s.tree.notes...)
	var err error
	switch from.format {
	case COCO:
		err = s.readCOCO(ctx, from.files)
	case LabelStudio:
		err = s.readLabelStudio(ctx, from.files)
	case VOC:
		err = s.readVOC(ctx, from.files)
	case YOLO:
		err = s.readYOLO(ctx, from)
	case Masks:
		err = s.readMasks(ctx, from.files)
	}
	if err != nil {
		return err
	}
	if from.format == VOC || from.format == YOLO || from.format == Masks {
		s.numberByName()
	}
	s.complete()
	return nil
}

// complete notes what is the same in all forms.
func (s *Set) complete() {
	s.unused()
	s.repeated()
	s.strayMasks()
	for i := range s.Images {
		if len(s.Images[i].Objects) == 0 {
			s.find.add(ImageNoObjects, "%s", s.Images[i].Path)
		}
	}
	s.shared()
}

// shared notes images that are in two splits.
func (s *Set) shared() {
	split := map[string]string{}
	for i := range s.Images {
		img := &s.Images[i]
		if img.Read == nil {
			continue
		}
		other, known := split[img.Path]
		if known && other != img.Split {
			s.find.add(ImageShared, "%q in %q and %q", img.Path, other, img.Split)
		}
		split[img.Path] = img.Split
	}
}
