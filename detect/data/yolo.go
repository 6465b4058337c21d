package data

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// yoloNames finds the list of classes in data.yaml.
var yoloNames = regexp.MustCompile(`(?m)^(names|nc)\s*:`)

// findYOLO finds text files for images: with a data.yaml, a classes.txt or obj.names, or
// only by their contents.
func findYOLO(t *tree) *source {
	var yamls, lists []string
	labels := 0
	for _, p := range t.paths {
		base := strings.ToLower(path.Base(p))
		switch path.Ext(base) {
		case ".yaml", ".yml":
			if yoloNames.Match(t.head(p, 64<<10)) {
				yamls = append(yamls, p)
			}
		case ".names":
			lists = append(lists, p)
		case ".txt":
			if base == "classes.txt" || base == "_darknet.labels" {
				lists = append(lists, p)
			} else if labels == 0 && (t.images[stem(p)] != nil || strings.Contains("/"+p, "/labels/")) && isLabels(t.head(p, 512)) {
				labels++
			}
		}
	}
	if labels == 0 {
		return nil
	}
	for _, found := range [][]string{yamls, lists} {
		if len(found) > 0 {
			slices.SortStableFunc(found, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
			return &source{format: YOLO, files: found[:1], more: found[1:]}
		}
	}
	return &source{format: YOLO}
}

// isLabels reports whether the first line of a text is one of YOLO's.
func isLabels(head []byte) bool {
	line, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(head), mark)), "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return false
	}
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err != nil {
			return len(head) == 512 && len(fields) > 5 && f == fields[len(fields)-1] // cut
		}
	}
	return true
}

// yoloReader reads the text files of a set.
type yoloReader struct {
	*Set
	names     map[int]string
	keypoints int               // numbers of keypoints at the end of each line
	used      map[string]string // the image of each text file
	lists     map[string]bool   // text files that are lists of images
	pixels    int               // lines whose numbers are no fractions
	lines     int
	firstBad  string
	highest   int
}

func (s *Set) readYOLO(ctx context.Context, from *source) error {
	r := &yoloReader{Set: s, names: map[int]string{}, used: map[string]string{}, lists: map[string]bool{}, highest: -1}
	parts, err := r.setup(from)
	if err != nil {
		return err
	}
	for _, p := range parts {
		for _, name := range p.images {
			img := Image{ID: int64(len(s.Images) + 1), Split: p.split, Name: name}
			f, _ := s.tree.file(name)
			img.setFile(f)
			s.Images = append(s.Images, img)
		}
	}
	if len(s.Images) == 0 {
		return fmt.Errorf("data: %q: no image file, expected images beside labels: %w", s.tree.name, featurize.ErrData)
	}
	if err := s.readSizes(ctx); err != nil {
		return err
	}
	if len(s.Images) == 0 {
		return fmt.Errorf("data: %q: no image of which the size can be read (the first: %s): %w", s.tree.name, s.find[ImageUnread].First, featurize.ErrData)
	}
	for i := range s.Images {
		if i%100 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.labels(&s.Images[i]); err != nil {
			return err
		}
	}
	if 2*r.pixels > r.lines {
		return fmt.Errorf("data: %s: expected fractions of the image's width and height, and so it is in %d of %d lines: %w", r.firstBad, r.pixels, r.lines, featurize.ErrData)
	}
	r.lost()
	r.classList()
	return nil
}

// setup finds the classes and the images of each split.
func (r *yoloReader) setup(from *source) ([]yoloPart, error) {
	if len(from.files) == 0 {
		return r.allImages(), nil
	}
	file := from.files[0]
	data, err := r.tree.read(file)
	if err != nil {
		return nil, err
	}
	if ext := strings.ToLower(path.Ext(file)); ext == ".yaml" || ext == ".yml" {
		return r.yaml(file, data)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			r.names[len(r.names)] = line
		}
	}
	return r.allImages(), nil
}

// yoloPart is the images of a split.
type yoloPart struct {
	split  string
	images []string
}

// allImages are the images of the folders in which some have text files, in the splits
// that the folders name.
func (r *yoloReader) allImages() []yoloPart {
	by, labelled := map[string][]string{}, map[string]bool{}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && slices.ContainsFunc(labelFiles(p), r.tree.has) {
			labelled[path.Dir(p)] = true
		}
	}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && labelled[path.Dir(p)] {
			_, split := splitOfPath(path.Dir(p))
			by[split] = append(by[split], p)
		}
	}
	var parts []yoloPart
	for _, split := range sortedSplits(by) {
		parts = append(parts, yoloPart{split, by[split]})
	}
	return parts
}
