package data

import (
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// locator finds the image files that an annotation file names.
type locator struct {
	t    *tree
	dirs []string // the folders to look in, the likeliest first
	hint string   // a folder's name that decides between several files of one name
}

// newLocator looks where the usual tools put images: beside the annotation file in dir,
// in a folder of it or of its parent that is called images or like the split.
func newLocator(t *tree, dir string, splits ...string) *locator {
	l := &locator{t: t}
	if len(splits) > 0 {
		l.hint = splits[0]
	}
	parent := path.Join(dir, "..")
	for _, split := range splits {
		if split != "" {
			l.dirs = append(l.dirs, path.Join(parent, split), path.Join(parent, "images", split), path.Join(dir, split), path.Join(dir, "images", split), path.Join(parent, split, "images"))
		}
	}
	l.dirs = append(l.dirs, dir, path.Join(dir, "images"), path.Join(dir, "data"), parent, path.Join(parent, "images"), path.Join(parent, "data"), path.Join(parent, "JPEGImages"), path.Join(dir, "JPEGImages"))
	if t.asked == "" {
		l.dirs = slices.DeleteFunc(l.dirs, func(d string) bool { return strings.HasPrefix(d, "..") })
	}
	return l
}

// found is an image file. How many others fit as well is in also.
type found struct {
	file   featurize.File
	also   []string
	suffix bool // it has another suffix than the name
}

// find finds an image file by the name that an annotation file has for it.
func (l *locator) find(name string) (found, bool) {
	names := spellings(name)
	if base := path.Base(names[0]); l.t.asked != "" && base != names[0] {
		names = append(names, base)
	}
	for _, clean := range names {
		for i, dir := range l.dirs {
			if f, ok := l.t.file(path.Join(dir, clean)); ok {
				if i > 0 { // the images of a split lie in one folder
					l.dirs = slices.Insert(slices.Delete(l.dirs, i, i+1), 0, dir)
				}
				return found{file: f}, true
			}
		}
	}
	if l.t.asked != "" && filepath.IsAbs(name) {
		if f, ok := l.t.file(name); ok {
			return found{file: f}, true
		}
	}
	return l.byStem(name)
}

// byStem finds an image file in any folder, by its name and then without its suffix. Of
// several the one is taken whose folders are the most like those of the name.
func (l *locator) byStem(name string) (found, bool) {
	for _, clean := range spellings(name) {
		base := path.Base(clean)
		var same, other []string
		for _, p := range l.t.images[stem(base)] {
			if path.Base(p) == base {
				same = append(same, p)
			} else {
				other = append(other, p)
			}
		}
		if path.Ext(base) != "" && !featurize.IsImageName(base) { // a dot that begins no suffix
			other = append(other, l.t.images[base]...)
		}
		if path.Ext(base) == "" || len(same) == 0 {
			same = append(same, other...)
		}
		if len(same) == 0 {
			continue
		}
		best, also := l.best(clean, same)
		return found{file: l.t.files[best], also: also, suffix: path.Base(best) != base}, true
	}
	return found{}, false
}

// best is the path that fits a name best, and those that fit it as well.
func (l *locator) best(name string, paths []string) (best string, also []string) {
	most := -1
	for _, p := range paths {
		score := 2 * commonTail(path.Dir(p), path.Dir(name))
		if l.hint != "" && slices.Contains(strings.Split(p, "/"), l.hint) {
			score++
		}
		switch {
		case score > most:
			best, also, most = p, nil, score
		case score == most:
			also = append(also, p)
		}
	}
	return best, also
}

// commonTail is the number of folders, from the last on, that two paths have in common.
func commonTail(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// spellings are the paths that a name in an annotation file may stand for: with slashes,
// without what leads to another machine's folders, and without the escapes of an address.
func spellings(name string) []string {
	clean := cleanName(name)
	all := []string{clean}
	if _, query, ok := strings.Cut(name, "?d="); ok { // Label Studio's local files
		if plain, err := url.QueryUnescape(query); err == nil {
			all = append(all, cleanName(plain))
		}
	}
	if plain, err := url.PathUnescape(clean); err == nil && plain != clean {
		all = append(all, cleanName(plain))
	}
	return all
}

// cleanName makes a relative path of a name.
func cleanName(name string) string {
	name = strings.ReplaceAll(strings.TrimSpace(name), `\`, "/")
	if len(name) > 1 && name[1] == ':' {
		name = name[2:]
	}
	name = path.Clean("/" + name)[1:]
	return name
}
