package data

import (
	"context"
	"fmt"
	"maps"
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
	if err := r.base(); err != nil {
		return err
	}
	r.classes()
	r.images()
	return ctx.Err()
}

// base finds out whether corners count from 1, as VOC's do, or from 0, as some tools
// write them.
func (r *vocReader) base() error {
	all, fractions := 0, 0
	for _, f := range r.files {
		for i := range f.Objects {
			b, ok := f.Objects[i].corners()
			if ok && finite(b[:]) {
				if all++; max(b[0], b[1], b[2], b[3]) <= 1.01 {
					fractions++
				}
			}
			if ok && (b[0] < 1 || b[1] < 1) {
				r.find.add(BoxesFromZero, "%s: object %d: xmin %v, ymin %v", f.name, i+1, b[0], b[1])
				r.fromZero = true
			}
		}
	}
	if all >= 5 && fractions == all {
		return fmt.Errorf("data: %q: all %d boxes lie within the first pixel, as fractions of the image's size do, expected pixels: %w", r.files[0].name, all, featurize.ErrData)
	}
	return nil
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
