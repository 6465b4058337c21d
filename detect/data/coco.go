package data

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
)

// readCOCO reads the annotation files of a set, one or more a split.
func (s *Set) readCOCO(ctx context.Context, names []string) error {
	var files []*cocoFile
	for _, name := range names {
		f, err := s.parseCOCO(name)
		if err != nil {
			return err
		}
		files = append(files, f)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := nameSplits(files); err != nil {
		return err
	}
	classes := classList{s: s}
	tables := make([]map[string]string, len(files))
	for i, f := range files {
		tables[i] = s.cocoClasses(f, &classes)
	}
	index := classes.index()
	s.listed = classes.splits
	classes.remark()
	for i, f := range files {
		r := &cocoReader{Set: s, file: f, class: map[string]int{}, image: map[string]int{}}
		for id, name := range tables[i] {
			r.class[id] = index[name]
		}
		if err := r.images(); err != nil {
			return err
		}
		if err := r.objects(ctx); err != nil {
			return err
		}
		f.Images, f.Annotations = nil, nil
	}
	return nil
}

func (s *Set) parseCOCO(name string) (*cocoFile, error) {
	data, err := s.tree.read(name)
	if err != nil {
		return nil, err
	}
	f := &cocoFile{name: name, dir: path.Dir(name)}
	nan, err := unmarshal(name, data, f)
	if err != nil {
		return nil, err
	}
	if nan {
		s.find.add(NumberNaN, "%s", name)
	}
	if len(f.Images) == 0 {
		return nil, fmt.Errorf("data: %q: %q is empty or missing, expected a list of images: %w", name, "images", featurize.ErrData)
	}
	f.raw, f.split = splitOfFile(name)
	return f, nil
}

// nameSplits orders files by split. Splits that are called alike keep their years, as
// in train2014 and train2017.
func nameSplits(files []*cocoFile) error {
	count := map[string]int{}
	for _, f := range files {
		count[f.split]++
	}
	owner := map[string]string{}
	for _, f := range files {
		split := f.split
		if count[split] > 1 {
			split = f.raw
		}
		if other, taken := owner[split]; taken {
			return fmt.Errorf("data: %q and %q are both of the split %q, expected one annotation file a split: %w", other, f.name, split, featurize.ErrData)
		}
		owner[split] = f.name
		f.split, f.others = split, []string{f.raw, f.split}
	}
	slices.SortStableFunc(files, func(a, b *cocoFile) int { return compareSplits(a.split, b.split) })
	return nil
}

// cocoReader reads the images and objects of one file.
type cocoReader struct {
	*Set
	file  *cocoFile
	class map[string]int // index of the class of each id
	image map[string]int // index of the image of each id
	first int            // index of the first image of the file
	odd   oddBoxes
}

// images adds the images of the file.
func (r *cocoReader) images() error {
	r.first = len(r.Images)
	find := newLocator(r.tree, r.file.dir, r.file.others...)
	owner := map[string]string{}
	texts := 0
	for i := range r.file.Images {
		e := &r.file.Images[i]
		key := e.ID.key()
		if !e.ID.given() {
			return fmt.Errorf("data: %q: image %d (%q) has no id: %w", r.file.name, i, e.FileName, featurize.ErrData)
		}
		if e.FileName == "" && e.URL != "" {
			e.FileName = text(path.Join(path.Base(path.Dir(string(e.URL))), path.Base(string(e.URL))))
		}
		if e.FileName == "" {
			return fmt.Errorf("data: %q: image %s has no file_name: %w", r.file.name, key, featurize.ErrData)
		}
		if at, again := r.image[key]; again {
			if r.Images[at].Name != string(e.FileName) {
				return fmt.Errorf("data: %q: the image id %s is that of %q and of %q, expected one image an id: %w", r.file.name, key, r.Images[at].Name, e.FileName, featurize.ErrData)
			}
			r.find.add(ImageRepeated, "%s: image %s", r.file.name, key)
			continue
		}
		id, ok := e.ID.integer()
		if e.ID.text || !ok {
			r.find.add(ImageIDText, "%s: image id %q", r.file.name, e.ID.raw)
		}
		r.image[key] = len(r.Images)
		img := Image{ID: id, Name: string(e.FileName), Split: r.file.split, Width: e.Width.size(), Height: e.Height.size()}
		if !ok {
			texts++
			img.TextID = e.ID.raw
		}
		r.attach(&img, find, r.file.name)
		r.known(&img, r.file.name)
		if other, again := owner[img.Path]; again {
			r.find.add(ImageOneName, "%s: image %s has the file %q of image %s", r.file.name, key, img.Path, other)
		}
		owner[img.Path] = key
		r.Images = append(r.Images, img)
	}
	if texts > 0 {
		numberTexts(r.Images[r.first:])
	}
	return nil
}

// numberTexts gives the images whose ids are texts numbers that no other one has.
func numberTexts(images []Image) {
	taken := map[int64]bool{}
	for i := range images {
		taken[images[i].ID] = images[i].TextID == "" || taken[images[i].ID]
	}
	next := int64(1)
	for i := range images {
		if images[i].TextID == "" {
			continue
		}
		for taken[next] {
			next++
		}
		images[i].ID = next
		next++
	}
}

// attach finds the file of an image.
func (s *Set) attach(img *Image, find *locator, where string) {
	f, ok := find.find(img.Name)
	if !ok {
		img.Path = cleanName(img.Name)
		s.find.add(ImageLost, "%s: %q", where, img.Name)
		return
	}
	if len(f.also) > 0 {
		s.find.add(ImageAmbiguous, "%s: %q is %q or %q", where, img.Name, f.file.Path, f.also[0])
	}
	if f.suffix && path.Ext(img.Name) != "" {
		s.find.add(ImageSuffix, "%s: %q is %q", where, img.Name, f.file.Path)
	}
	img.setFile(f.file)
}

// setFile gives an image its file.
func (img *Image) setFile(f featurize.File) {
	img.Path, img.open = f.Path, f.Open
	img.Read = func(dst []byte) ([]byte, error) { return readFile(dst, f.Open, maxImage) }
}
