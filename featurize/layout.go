package featurize

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// splitOf maps the names of split folders to the names of splits.
var splitOf = map[string]string{
	"train": "train",
	"val":   "val", "valid": "val", "validation": "val",
	"test": "test",
}

// imageSuffixes are the endings of the names of image files. Whether a file really
// is an image shows when it is decoded.
var imageSuffixes = map[string]bool{
	".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".png": true, ".gif": true,
	".bmp": true, ".dib": true, ".tif": true, ".tiff": true, ".webp": true, ".ppm": true, ".pgm": true, ".pbm": true, ".pnm": true,
}

// IsImageName reports whether a path is named like an image. No folder or file in it
// may begin with a dot.
func IsImageName(name string) bool {
	return imageSuffixes[strings.ToLower(path.Ext(name))] && !isHidden(name)
}

// layout derives the classes and splits of samples from the folders in which they
// lie, and drops samples that fit none of these:
//
//	<class>/**          class folders
//	<split>/<class>/**  class folders in train, val (valid, validation) and test
//	*                   images without labels, also in split folders
//
// The order of the samples is kept.
type layout struct {
	*Listing
	top    string            // a leading folder, with its slash, to be ignored
	splits map[string]bool   // the split folders
	loose  []string          // images beside class folders
	beside []string          // images beside split folders
	owner  map[string]string // path of the sample of each split/class/name

	spelled spellings
}

// arrange derives classes and splits, and the list of classes. from names the source
// in errors; sorted has counted its files that are not images. With strip, a single top
// folder that holds everything is ignored.
func (l *Listing) arrange(from string, sorted *sorter, strip bool) error {
	a := &layout{Listing: l, owner: map[string]string{}, spelled: spellings{}}
	l.Unread = sorted.unread
	l.Notes = append(l.Notes, sorted.notes()...)
	if form := sorted.format(l.Samples); form != "" && !l.objects {
		return fmt.Errorf("featurize: %q is %w, %s, expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or *.jpg: %w", from, ErrObjects, form, ErrData)
	}
	if strip {
		a.top = topFolder(l.Samples)
		for dir, kinds := range sorted.dirs { // photographs elsewhere: it is not the only folder
			if dir != "." && !strings.HasPrefix(dir+"/", a.top) && slices.ContainsFunc(photoFormats, func(f string) bool { return kinds[f] > 0 }) {
				a.top = ""
			}
		}
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
		unread := ""
		if len(l.Unread) > 0 {
			unread = ", which cannot be read: " + summaryOfKinds(l.Unread)
		}
		return fmt.Errorf("featurize: no images in %q (expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or *.jpg; found %d other files%s): %w", from, sorted.others, unread, ErrData)
	}
	a.lost(sorted)
	l.indexClasses(a.spelled)
	return nil
}

// topFolder is the folder that holds all samples, with a slash: "" if there is none
// or it is a split folder.
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

// findSplits finds the split folders. If there are other folders beside them, and
// none of them holds folders itself, they are class folders that happen to be called
// "train" or "test".
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

// inner splits the path of a sample into its split folder, if there are any, and the
// path below it. ok is false if it lies in no split folder although there are some.
func (a *layout) inner(s Sample) (folder, inner string, ok bool) {
	rel := s.Path[len(a.top):]
	if len(a.splits) == 0 {
		return "", rel, true
	}
	folder, inner, _ = strings.Cut(rel, "/")
	return folder, inner, a.splits[folder]
}

// findClasses returns the split folders ("" if there are no splits) that hold class
// folders.
func (a *layout) findClasses() map[string]bool {
	classed := map[string]bool{}
	for _, s := range a.Samples {
		if folder, inner, ok := a.inner(s); ok && strings.Contains(inner, "/") {
			classed[folder] = true
		}
	}
	return classed
}

// place sets the class and split of a sample. keep is false if the sample fits
// nowhere.
func (a *layout) place(s *Sample, classed map[string]bool) (keep bool, err error) {
	folder, inner, ok := a.inner(*s)
	if !ok {
		a.beside = append(a.beside, s.Path)
		return false, nil
	}
	s.Split = splitOf[folder]
	if classed[folder] {
		class, _, in := strings.Cut(inner, "/")
		if !in {
			a.loose = append(a.loose, s.Path)
			return false, nil
		}
		if err := checkClass(class); err != nil {
			return false, fmt.Errorf("featurize: %q: %w", s.Path, err)
		}
		s.Class = ClassOfFolder(class)
		a.spelled.add(s.Class, class)
	}
	if s.Split != "" {
		key := s.archive + "/" + s.Split + "/" + inner
		if other, taken := a.owner[key]; taken {
			return false, fmt.Errorf("featurize: two images of one name in split %q: %q and %q: %w", s.Split, other, s.Path, ErrData)
		}
		a.owner[key] = s.Path
	}
	return true, nil
}

// checkClass refuses the name of a class that classes.txt cannot hold.
func checkClass(name string) error {
	if strings.ContainsAny(name, "\n\r") {
		return fmt.Errorf("class name %q: it cannot hold a line break (classes.txt has one a line): %w", name, ErrData)
	}
	return nil
}

// passOver notes that samples were dropped.
func (a *layout) passOver(why string, names []string) {
	if len(names) > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d image(s) %s passed over, the first is %q", len(names), why, names[0]))
	}
}
