package featurize

import (
	"fmt"
	"path"
	"strings"
)

// splitOf maps the names that stand for splits to the split's name.
var splitOf = map[string]string{
	"train": "train",
	"val":   "val", "valid": "val", "validation": "val",
	"test": "test",
}

// imageSuffixes are the file names that count as images. Whether a file really
// is one is found out when it is decoded.
var imageSuffixes = map[string]bool{
	".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".png": true, ".gif": true,
	".bmp": true, ".dib": true, ".tif": true, ".tiff": true, ".webp": true,
}

// isImage reports whether a path counts as an image: nothing in it begins with
// a dot, and it ends like one.
func isImage(name string) bool {
	return imageSuffixes[strings.ToLower(path.Ext(name))] && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.")
}

// layout gives the samples of a listing their classes and splits by the
// folders they lie in, and drops those that have no place:
//
//	<class>/**          class folders
//	<split>/<class>/**  the same in train, val (valid, validation) and test
//	*                   images without labels, also inside split folders
//
// The order of the samples is kept.
type layout struct {
	*Listing
	top    string // a leading folder, with its slash, that does not count
	splits map[string]bool
	loose  []string          // images beside class folders
	beside []string          // images beside split folders
	owner  map[string]string // split/class/name -> path
}

// arrange lays a listing out. from names the source in errors; others is the
// number of its files that are no images. A single top folder is passed
// through where strip is set.
func (l *Listing) arrange(from string, others int, strip bool) error {
	a := &layout{Listing: l, owner: map[string]string{}}
	if strip {
		a.top = topFolder(l.Samples)
	}
	a.findSplits()
	classed := a.findClasses()
	kept := l.Samples[:0]
	for _, s := range l.Samples {
		keep, err := a.place(&s, classed)
		if err != nil {
			return err
		}
		if keep {
			kept = append(kept, s)
		}
	}
	l.Samples = kept
	a.passOver("beside the split folders", a.beside)
	a.passOver("beside the class folders, so without a class", a.loose)
	if len(l.Samples) == 0 {
		return fmt.Errorf("featurize: no images in %q (expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or *.jpg; found %d other files): %w", from, others, ErrData)
	}
	l.number()
	return nil
}

// topFolder is the one folder that holds all samples, if it is none of a split.
func topFolder(samples []Sample) string {
	if len(samples) == 0 {
		return ""
	}
	top, _, in := strings.Cut(samples[0].Path, "/")
	if !in || splitOf[top] != "" {
		return ""
	}
	for _, s := range samples {
		if !strings.HasPrefix(s.Path, top+"/") {
			return ""
		}
	}
	return top + "/"
}

// findSplits collects the split folders. Where other folders lie beside them
// and none of them holds folders itself, they are classes that happen to be
// called "train" or "test".
func (a *layout) findSplits() {
	a.splits = map[string]bool{}
	nested, rest := false, false
	for _, s := range a.Samples {
		first, below, in := strings.Cut(s.Path[len(a.top):], "/")
		switch {
		case !in:
		case splitOf[first] == "":
			rest = true
		default:
			a.splits[first] = true
			nested = nested || strings.Contains(below, "/")
		}
	}
	if rest && !nested {
		clear(a.splits)
	}
}

// inner is the path of a sample below its split folder.
func (a *layout) inner(s Sample) (folder, inner string, ok bool) {
	rel := s.Path[len(a.top):]
	if len(a.splits) == 0 {
		return "", rel, true
	}
	folder, inner, _ = strings.Cut(rel, "/")
	return folder, inner, a.splits[folder]
}

// findClasses tells of which split folders ("" without splits) the images are
// in class folders.
func (a *layout) findClasses() map[string]bool {
	classed := map[string]bool{}
	for _, s := range a.Samples {
		if folder, inner, ok := a.inner(s); ok && strings.Contains(inner, "/") {
			classed[folder] = true
		}
	}
	return classed
}

// place finds the class and split of one sample; keep is false where it has
// none.
func (a *layout) place(s *Sample, classed map[string]bool) (keep bool, err error) {
	folder, inner, ok := a.inner(*s)
	if !ok {
		a.beside = append(a.beside, s.Path)
		return false, nil
	}
	s.Split = splitOf[folder]
	if classed[folder] {
		if s.Class, _, ok = strings.Cut(inner, "/"); !ok {
			a.loose = append(a.loose, s.Path)
			return false, nil
		}
		if err := checkClass(s.Class); err != nil {
			return false, fmt.Errorf("featurize: %q: %w", s.Path, err)
		}
	}
	if s.Split != "" {
		key := s.Split + "/" + inner
		if other, taken := a.owner[key]; taken {
			return false, fmt.Errorf("featurize: two images of one name in split %q: %q and %q: %w", s.Split, other, s.Path, ErrData)
		}
		a.owner[key] = s.Path
	}
	return true, nil
}

func checkClass(name string) error {
	if strings.ContainsAny(name, "\n\r") {
		return fmt.Errorf("class name %q: it cannot hold a line break (classes.txt has one a line): %w", name, ErrData)
	}
	return nil
}

func (a *layout) passOver(why string, names []string) {
	if len(names) > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d image(s) %s passed over, the first is %q", len(names), why, names[0]))
	}
}
