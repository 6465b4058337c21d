package featurize

import (
	"fmt"
	"path"
	"strings"
)

// archiveWalk checks the entries of an archive one by one.
type archiveWalk struct {
	sorter
	name    string
	seen    map[string]bool // paths of images
	members webMembers
	notes   []string
	links   int    // links that are named like images
	link    string // the first of them
	turned  int    // names with backslashes in place of slashes
}

func newArchiveWalk(name string) *archiveWalk {
	return &archiveWalk{sorter: newSorter(), name: name, seen: map[string]bool{}, members: newWebMembers()}
}

// entry cleans the name of an entry. It refuses names that would lead out of the
// folder into which the archive is unpacked. Nothing is unpacked here, but such an
// archive is not to be trusted.
func (w *archiveWalk) entry(name string) (clean string, err error) {
	unified := strings.ReplaceAll(name, `\`, "/")
	drive := len(unified) > 1 && unified[1] == ':' && 'a' <= unified[0]|0x20 && unified[0]|0x20 <= 'z'
	if strings.HasPrefix(unified, "/") || drive {
		return "", w.bad(name, "an absolute path")
	}
	for _, part := range strings.Split(unified, "/") {
		if part == ".." {
			return "", w.bad(name, "a path that leads out of the archive")
		}
	}
	if strings.ContainsRune(name, 0) {
		return "", w.bad(name, "a name with a zero byte")
	}
	return path.Clean(name), nil
}

// keep reports whether a file is an image, by its name or its first bytes. A second
// image of one name is an error.
func (w *archiveWalk) keep(clean string, head func() []byte) (bool, error) {
	if !w.image(clean, head) {
		return false, nil
	}
	if w.seen[clean] {
		return false, fmt.Errorf("featurize: archive %q: two images of one name, %q: %w", w.name, clean, ErrData)
	}
	w.seen[clean] = true
	return true, nil
}

// passLink counts a link, which is left out.
func (w *archiveWalk) passLink(clean string) {
	if !IsImageName(clean) {
		return
	}
	if w.links++; w.links == 1 {
		w.link = clean
	}
}

func (w *archiveWalk) bad(name, what string) error {
	return fmt.Errorf("featurize: archive %q: entry %q is %s, expected images: %w", w.name, name, what, ErrData)
}

// remarks are the notes on an archive that has been walked through.
func (w *archiveWalk) remarks() []string {
	if w.links > 0 {
		w.notes = append(w.notes, fmt.Sprintf("%d link(s) in %q passed over, the first is %q", w.links, w.name, w.link))
	}
	if w.turned > 0 {
		w.notes = append(w.notes, fmt.Sprintf("%q has backslashes in the place of slashes; they are read as slashes, as unzip does", w.name))
	}
	return w.notes
}
