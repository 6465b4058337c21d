package data

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

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

// cocoClasses adds the classes of a file, and returns their names by the ids of the file.
func (s *Set) cocoClasses(f *cocoFile, classes *classList) map[string]string {
	used := map[string]bool{}
	for i := range f.Annotations {
		used[f.Annotations[i].CategoryID.key()] = true
	}
	if len(f.Categories) == 0 {
		for id := range used {
			f.Categories = append(f.Categories, cocoCategory{ID: number{raw: id}})
		}
	}
	slices.SortStableFunc(f.Categories, func(a, b cocoCategory) int {
		x, _ := a.ID.integer()
		y, _ := b.ID.integer()
		return int(max(-1, min(1, x-y)))
	})
	table, ids := map[string]string{}, map[string]int64{}
	var listed []int64
	for i, c := range f.Categories {
		id, ok := c.ID.integer()
		if !ok {
			id = int64(i + 1)
		}
		if supercategory(f, i, used) {
			s.find.add(ClassSuper, "%s: %q", f.name, c.Name)
			continue
		}
		listed = append(listed, id)
		name := classes.name(f.name, string(c.Name))
		if name == "" {
			name = c.ID.key()
			s.find.add(ClassUnnamed, "%s: the class of id %q", f.name, name)
		}
		if _, again := ids[name]; again {
			s.find.add(ClassRepeated, "%s: %q", f.name, name)
			table[c.ID.key()] = name
			continue
		}
		table[c.ID.key()], ids[name] = name, id
		classes.add(f.name, f.split, name, id)
	}
	s.gaps(f.name, listed)
	return table
}

// gaps notes that the numbers of classes do not go from 1 on without gaps.
func (s *Set) gaps(where string, ids []int64) {
	next := int64(1)
	for _, id := range ids {
		if id < 1 || id > next {
			s.find.add(ClassIDs, "%s: class %d where %d would be next", where, id, next)
		}
		next = max(id+1, 1)
	}
}

// supercategory reports whether a class is the group of the others that Roboflow's
// exports begin with. No object is of it.
func supercategory(f *cocoFile, i int, used map[string]bool) bool {
	c := f.Categories[i]
	if c.ID.key() != "0" || used["0"] || c.Supercategory != "" && c.Supercategory != "none" {
		return false
	}
	return slices.ContainsFunc(f.Categories, func(o cocoCategory) bool { return o.ID.key() != "0" && o.Supercategory == c.Name })
}

// cocoReader reads the images and objects of one file.
type cocoReader struct {
	*Set
	file  *cocoFile
	class map[string]int // index of the class of each id
	image map[string]int // index of the image of each id
	first int            // index of the first image of the file
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
		if !ok {
			texts++
		}
		r.image[key] = len(r.Images)
		img := Image{ID: id, Name: string(e.FileName), Split: r.file.split, Width: e.Width.size(), Height: e.Height.size()}
		r.attach(&img, find, r.file.name)
		r.known(&img, r.file.name)
		if other, again := owner[img.Path]; again {
			r.find.add(ImageOneName, "%s: image %s has the file %q of image %s", r.file.name, key, img.Path, other)
		}
		owner[img.Path] = key
		r.Images = append(r.Images, img)
	}
	if texts > 0 { // numbers that no other image has
		for i := range r.Images[r.first:] {
			r.Images[r.first+i].ID = int64(i + 1)
		}
	}
	return nil
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

// objects adds the objects of the file.
func (r *cocoReader) objects(ctx context.Context) error {
	seen := make(map[int64]bool, len(r.file.Annotations))
	for i := range r.file.Annotations {
		if i%10000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		a := &r.file.Annotations[i]
		where := place{file: r.file.name, id: a.ID, at: i}
		id, ok := a.ID.integer()
		if !ok || id == 0 || seen[id] {
			r.find.add(ObjectID, "%s: id %q", where, a.ID.raw)
			id = 0
		}
		seen[id] = true
		at, known := r.image[a.ImageID.key()]
		if !known || !a.ImageID.given() {
			r.find.add(ObjectNoImage, "%s: image_id %q", where, a.ImageID.raw)
			continue
		}
		if a.ImageID.text {
			r.find.add(ImageIDText, "%s: image_id %q", where, a.ImageID.raw)
		}
		class, known := r.class[a.CategoryID.key()]
		if !known || !a.CategoryID.given() {
			r.find.add(ObjectNoClass, "%s: category_id %q", where, a.CategoryID.raw)
			continue
		}
		o := Object{ID: id, Class: class}
		if r.object(&o, a, &r.Images[at], where) {
			r.Images[at].Objects = append(r.Images[at].Objects, o)
		}
	}
	return nil
}

// place names an annotation in a message.
type place struct {
	file string
	id   number
	at   int
}

func (p place) String() string {
	if p.id.given() {
		return fmt.Sprintf("%s: annotation %s", p.file, p.id.raw)
	}
	return fmt.Sprintf("%s: annotation at place %d", p.file, p.at)
}

// object reads the box, the mask and the rest of an object; false: it is dropped.
func (r *cocoReader) object(o *Object, a *cocoAnnotation, img *Image, where place) bool {
	if !a.Crowd.given() {
		r.find.add(CrowdMissing, "%s", where)
	}
	crowd := a.Crowd.float()
	o.Crowd = crowd != 0 && crowd == crowd
	o.Mask = r.segmentation(a.Segmentation, img, where)
	if !r.cocoBox(o, a.Box, img, where) {
		return false
	}
	o.Area = a.Area.float()
	if !(o.Area > 0) || o.Area > 1e300 {
		r.find.add(AreaMissing, "%s: area %q", where, a.Area.raw)
		o.Area = o.area()
	}
	return true
}

// cocoBox reads x, y, width, height.
func (r *cocoReader) cocoBox(o *Object, raw []byte, img *Image, where place) bool {
	list, ok := floats(raw)
	if len(list) == 0 && (ok || len(raw) == 0 || string(raw) == "null") {
		r.find.add(BoxMissing, "%s", where)
		if o.Mask == nil {
			return false
		}
		o.Box, ok = o.Mask.bounds()
		return ok && r.fit(&o.Box, img, where)
	}
	if !ok || len(list) != 4 {
		r.find.add(BoxMalformed, "%s: bbox %s", where, short(raw))
		return false
	}
	o.given = [4]float64(list)
	o.Box = [4]float64{list[0], list[1], list[0] + list[2], list[1] + list[3]}
	if list[2] < 0 || list[3] < 0 {
		r.find.add(BoxNegative, "%s: bbox %s", where, short(raw))
		return false
	}
	whole := o.Box
	ok = r.fit(&o.Box, img, where)
	if o.Box != whole {
		o.given = [4]float64{}
	}
	return ok
}

// short is the beginning of a text.
func short(raw []byte) string {
	const most = 80
	if len(raw) > most {
		return strings.ToValidUTF8(string(raw[:most]), "") + "..."
	}
	return string(raw)
}
