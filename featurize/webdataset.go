package featurize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxLabelFile is the largest member with a label that is read, in bytes.
const maxLabelFile = 1 << 20

// webMembers are the labels of a WebDataset, a tar archive whose members of one name up
// to the first dot belong together, by that name.
type webMembers struct {
	key     string            // of the label in .json members; "": the label is the .cls member
	labels  map[string]string // as they are in the archive
	sources map[string]bool   // the names with a member that the label could be in
	keys    map[string]bool   // the keys of the first .json member without the key
	others  map[string]int    // number of .txt and .json members that hold no label, by suffix
}

func newWebMembers() webMembers {
	return webMembers{labels: map[string]string{}, sources: map[string]bool{}, others: map[string]int{}}
}

// webName splits the path of a member at the first dot of its base name.
func webName(member string) (name, suffix string) {
	dir, base := path.Split(member)
	name, suffix, _ = strings.Cut(base, ".")
	return dir + name, strings.ToLower(suffix)
}

// read reads the label of a member, if it may hold one: ok reports that.
func (w *webMembers) read(member string, size int64, r io.Reader) (ok bool, err error) {
	name, suffix := webName(member)
	wanted := "cls"
	if w.key != "" {
		wanted = "json"
	}
	if suffix != wanted || isHidden(member) {
		if last := strings.TrimPrefix(strings.ToLower(path.Ext(member)), "."); last == "json" || last == "txt" || last == "cls" {
			w.others[last]++
		}
		return false, nil
	}
	if size > maxLabelFile {
		return false, fmt.Errorf("%d bytes, a label has at most %d", size, maxLabelFile)
	}
	data, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return false, err
	}
	w.sources[name] = true
	label := strings.TrimSpace(string(data))
	if w.key != "" {
		if label, err = w.jsonLabel(data); err != nil {
			return false, err
		}
	}
	if err := checkClass(label); err != nil {
		return false, err
	}
	if label != "" {
		w.labels[name] = label
	}
	return true, nil
}

// jsonLabel is the value of the key in a JSON object, "" if it has none.
func (w *webMembers) jsonLabel(data []byte) (string, error) {
	value := json.RawMessage(escapeBytes(data))
	for _, k := range strings.Split(w.key, ".") {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(value, &o); err != nil {
			if bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")) {
				return "", err
			}
			return "", nil
		}
		next, ok := o[k]
		if !ok {
			if w.keys == nil {
				w.keys = map[string]bool{}
				for k := range o {
					w.keys[k] = true
				}
			}
			return "", nil
		}
		value = next
	}
	var label word
	if err := json.Unmarshal(value, &label); err != nil {
		return "", fmt.Errorf("the value of %q: %w", w.key, err)
	}
	return string(label), nil
}

// label gives the samples of a WebDataset their labels, and drops images that are not
// the first of their name. It reports whether the archive is one: whether labels and
// images share names. The order of the samples is kept.
func (w *webMembers) label(l *Listing, sorted *sorter, from string) (bool, error) {
	shared := slices.ContainsFunc(l.Samples, func(s Sample) bool {
		name, _ := webName(s.Path)
		return w.sources[name]
	})
	if !shared {
		if w.key != "" && len(l.Samples) > 0 {
			return false, fmt.Errorf("featurize: %q: no image has a .json member, in which %q would be its label: %w", from, w.key, ErrData)
		}
		w.noteOthers(l)
		return false, nil
	}
	if len(w.labels) == 0 {
		return false, w.noLabels(from)
	}
	l.Unread = sorted.unread
	l.Notes = append(l.Notes, sorted.notes()...)
	spelled, taken := spellings{}, map[string]bool{}
	var extra, bare []string
	kept := l.Samples[:0]
	for _, s := range l.Samples {
		name, suffix := webName(s.Path)
		if taken[name] || strings.Contains(suffix, ".") {
			extra = append(extra, s.Path)
			continue
		}
		taken[name] = true
		if folder, _, in := strings.Cut(s.Path, "/"); in {
			s.Split = splitOf[folder]
		}
		if label, ok := w.labels[name]; ok {
			s.Class = ClassOfLabel(label)
			spelled.add(s.Class, label)
		} else {
			bare = append(bare, s.Path)
		}
		kept = append(kept, s)
	}
	l.Samples = kept
	if len(extra) > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d further image(s) of a sample passed over, the first is %q", len(extra), extra[0]))
	}
	if len(bare) > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d of %d images have no %s and so no label, the first is %q", len(bare), len(kept), w.member(), bare[0]))
	}
	l.indexClasses(spelled)
	return true, nil
}

// member says in words where labels are.
func (w *webMembers) member() string {
	if w.key != "" {
		return fmt.Sprintf(".json member with %q", w.key)
	}
	return ".cls member"
}

// noLabels is the error of an archive whose members hold no label.
func (w *webMembers) noLabels(from string) error {
	if w.key == "" {
		return fmt.Errorf("featurize: %q: all .cls members are empty: %w", from, ErrData)
	}
	found := errors.New("it is empty")
	if len(w.keys) > 0 {
		found = fmt.Errorf("the keys of the first are %q", slices.Sorted(maps.Keys(w.keys)))
	}
	return fmt.Errorf("featurize: %q: no .json member has a value for %q: %w: %w", from, w.key, found, ErrData)
}

// noteOthers notes members beside images that lie in no folders: they may be meant to be
// labels.
func (w *webMembers) noteOthers(l *Listing) {
	if len(w.others) == 0 || slices.ContainsFunc(l.Samples, func(s Sample) bool { return strings.Contains(s.Path, "/") }) {
		return
	}
	var found []string
	for _, suffix := range slices.Sorted(maps.Keys(w.others)) {
		found = append(found, fmt.Sprintf("%d .%s", w.others[suffix], suffix))
	}
	note := fmt.Sprintf("labels of a tar archive are its folders, .cls members, or a key of .json members that is named; this one has %s beside its images, which are not read as labels", strings.Join(found, " and "))
	if w.key == "" && w.others["cls"] > 0 {
		note += ": an image and its label have one name up to the first dot, and the endings .jpg (or another) and .cls after it"
	}
	l.Notes = append(l.Notes, note)
}
