package featurize

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// bookkeeping are the endings of files that lie beside images and are none: nothing is
// said of them. So it is with every file that is plain text.
var bookkeeping = map[string]bool{
	".txt": true, ".csv": true, ".tsv": true, ".json": true, ".jsonl": true, ".xml": true, ".yaml": true, ".yml": true,
	".md": true, ".rst": true, ".html": true, ".htm": true, ".py": true, ".pyc": true, ".ipynb": true, ".sh": true, ".bat": true,
	".log": true, ".ini": true, ".cfg": true, ".toml": true, ".names": true, ".lock": true, ".db": true, ".sqlite": true, ".mat": true,
	".doc": true, ".docx": true, ".xls": true, ".xlsx": true, ".lnk": true, ".url": true, ".onnx": true, ".pt": true, ".pth": true,
}

// rawSuffixes are the endings of camera files that begin like TIFF files, and are none
// that can be read as such.
var rawSuffixes = map[string]bool{
	".dng": true, ".nef": true, ".nrw": true, ".arw": true, ".srf": true, ".sr2": true, ".pef": true, ".srw": true, ".3fr": true,
	".iiq": true, ".erf": true, ".kdc": true, ".dcr": true, ".mef": true, ".mos": true, ".rwl": true, ".cr2": true,
}

// sorter tells images from other files and counts the others.
type sorter struct {
	others int                       // files that are not images
	unread map[string]int            // those that are no bookkeeping, by kind
	first  map[string]string         // their first path, by kind
	dirs   map[string]map[string]int // their number, by folder and kind
	markers
}

func newSorter() sorter {
	return sorter{unread: map[string]int{}, first: map[string]string{}, dirs: map[string]map[string]int{}}
}

// image reports whether a file is an image: by its name or else by its first bytes, at
// most pixels.FormatBytes, which are asked for only then. Others are counted.
func (s *sorter) image(name string, head func() []byte) bool {
	if IsImageName(name) {
		return true
	}
	s.see(name)
	kind := ""
	if !isBookkeeping(name) {
		data := head()
		format, decodable := pixels.Format(data)
		raw := rawSuffixes[strings.ToLower(path.Ext(name))]
		if decodable && !raw {
			return true
		}
		if raw && format == "tiff" {
			format = "camera raw"
		}
		kind = kindOfFile(name, format, data)
	}
	s.count(name, kind)
	return false
}

// count counts a file that is not an image; its kind is "" for bookkeeping.
func (s *sorter) count(name, kind string) {
	s.others++
	if kind == "" {
		return
	}
	if s.unread[kind]++; s.unread[kind] == 1 {
		s.first[kind] = name
	}
	dir := path.Dir(name)
	if s.dirs[dir] == nil {
		s.dirs[dir] = map[string]int{}
	}
	s.dirs[dir][kind]++
}

// add takes over what another has counted, with the paths of its files.
func (s *sorter) add(t *sorter) {
	s.others += t.others
	s.markers.add(&t.markers)
	for kind, n := range t.unread {
		if s.unread[kind] += n; s.first[kind] == "" {
			s.first[kind] = t.first[kind]
		}
	}
	for dir, kinds := range t.dirs {
		if s.dirs[dir] == nil {
			s.dirs[dir] = map[string]int{}
		}
		for kind, n := range kinds {
			s.dirs[dir][kind] += n
		}
	}
}

// isBookkeeping reports whether a path is hidden, or named like a file that lies beside
// images and is none.
func isBookkeeping(name string) bool {
	return isHidden(name) || bookkeeping[strings.ToLower(path.Ext(name))] || strings.HasPrefix(name, "__MACOSX/") || strings.Contains(name, "/__MACOSX/")
}

// isHidden reports whether a folder or file in a path begins with a dot.
func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// photoFormats are the formats of photographs that are not read.
var photoFormats = []string{"HEIC", "HEIF", "AVIF", "JPEG XL", "JPEG 2000", "JPEG XR", "camera raw", "CR2", "CR3", "RAF", "ORF", "RW2"}

// kindOfFile names the kind of a file that is not read, from its format where it is an
// image: "" for plain text.
func kindOfFile(name, format string, head []byte) string {
	for _, k := range []struct {
		kind, bytes string
		at          int
	}{
		{"PDF", "%PDF-", 0}, {"video", "ftyp", 4}, {"video", "AVI ", 8}, {"video", "\x1a\x45\xdf\xa3", 0}, {"video", "FLV\x01", 0},
		{"video", "\x00\x00\x01\xba", 0}, {"video", "\x00\x00\x01\xb3", 0}, {"video", "moov", 4}, {"video", "\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0},
		{"audio", "WAVE", 8}, {"audio", "ID3", 0}, {"audio", "fLaC", 0}, {"audio", "OggS", 0},
		{"archive", "7z\xbc\xaf\x27\x1c", 0}, {"archive", "Rar!\x1a\x07", 0}, {"archive", "\xfd7zXZ\x00", 0}, {"archive", "BZh", 0},
	} {
		if format == "" && len(head) > k.at && bytes.HasPrefix(head[k.at:], []byte(k.bytes)) {
			return k.kind
		}
	}
	switch {
	case format == "camera raw":
		return format
	case format != "":
		return strings.ToUpper(format)
	case len(head) == 0:
		return "empty"
	case kindOf(head) != "":
		return "archive"
	case isText(head):
		return ""
	case strings.EqualFold(path.Ext(name), ".tga"): // which is told by nothing in its first bytes
		return "TGA"
	case path.Ext(name) == "":
		return "other"
	}
	return strings.ToLower(path.Ext(name))
}

// isText reports whether the first bytes of a file are those of UTF-8 text.
func isText(head []byte) bool {
	for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ {
		head = head[:len(head)-1] // the last character may be cut
	}
	return len(head) > 0 && utf8.Valid(head) && bytes.IndexFunc(head, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r", r) }) < 0
}

// notes says which files were not read, and what can be done about it.
func (s *sorter) notes() (notes []string) {
	for _, kind := range slices.Sorted(maps.Keys(s.unread)) {
		n, what, do := s.unread[kind], kind+" files", "convert them to PNG or JPEG"
		switch {
		case kind == "archive":
			what, do = "archives", "unpack them"
		case kind == "video":
			do = "take frames of them"
		case kind == "other":
			what, do = "files without a suffix", "they are of no known kind"
		case kind == "empty", kind == "audio", strings.HasPrefix(kind, "."):
			do = "they are no images"
		}
		if n == 1 {
			what, do = strings.Replace(strings.Replace(what, "files", "file", 1), "archives", "archive", 1), strings.NewReplacer("they are", "it is", "no images", "no image", "them", "it").Replace(do)
			notes = append(notes, fmt.Sprintf("1 %s was not read: %s (%q)", what, do, s.first[kind]))
			continue
		}
		notes = append(notes, fmt.Sprintf("%d %s were not read: %s (the first is %q)", n, what, do, s.first[kind]))
	}
	return notes
}

// summaryOfKinds is the number of files of each kind, in words.
func summaryOfKinds(kinds map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// lost notes the class folders of which no file is read.
func (a *layout) lost(s *sorter) {
	kept, lost := map[string]bool{}, map[string]map[string]int{}
	for _, x := range a.Samples {
		kept[a.classFolder(path.Dir(x.Path))] = true
	}
	for dir, kinds := range s.dirs {
		folder := a.classFolder(dir)
		if kept[folder] || folder == "." || folder == "" {
			continue
		}
		if lost[folder] == nil {
			lost[folder] = map[string]int{}
		}
		for kind, n := range kinds {
			lost[folder][kind] += n
		}
	}
	const most = 5
	folders := slices.Sorted(maps.Keys(lost))
	for i, folder := range folders {
		if i == most {
			a.Notes = append(a.Notes, fmt.Sprintf("%d more folders are left out, of which no file is read", len(folders)-most))
			break
		}
		a.Notes = append(a.Notes, fmt.Sprintf("the folder %q is left out, as no file in it is read (%s)", folder, summaryOfKinds(lost[folder])))
	}
}

// classFolder is the part of a folder's path that names its split and class.
func (a *layout) classFolder(dir string) string {
	rel := strings.TrimPrefix(dir+"/", a.top)
	parts := strings.Split(strings.TrimSuffix(rel, "/"), "/")
	n := 1
	if len(a.splits) > 0 && splitOf[parts[0]] != "" {
		n = 2
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}
