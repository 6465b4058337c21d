package data

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// vocList is the lists of ImageSets: the splits of images by their names, in order.
type vocList map[string][]string

// list reads a list of ImageSets: Main, or Segmentation where there is no Main.
func (r *vocReader) list(p string) error {
	dir, base := path.Split(p)
	root, in, ok := strings.Cut("/"+dir, "/ImageSets/")
	if !ok || path.Ext(base) != ".txt" {
		return nil
	}
	root = strings.TrimPrefix(root, "/")
	if in != "Main/" && (in != "" && in != "Segmentation/" || len(r.lists[root]) > 0) {
		return nil
	}
	split := stem(base)
	if known := splitOf(split); known != "" {
		split = known
	} else if split != "trainval" && strings.Contains(split, "_") { // of one class, as in cat_train.txt
		return nil
	}
	data, err := r.tree.read(p)
	if err != nil {
		return err
	}
	if r.lists[root] == nil {
		r.lists[root] = vocList{}
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if featurize.IsImageName(line) {
			line = strings.TrimSuffix(line, path.Ext(line))
		}
		if line != "" {
			r.lists[root][split] = append(r.lists[root][split], line)
		}
	}
	return nil
}

// listOf is the folder with the lists that an XML file is subject to.
func (r *vocReader) listOf(name string) (root string, ok bool) {
	root = strings.TrimSuffix(path.Dir(name), "Annotations")
	root = strings.TrimSuffix(root, "/")
	_, ok = r.lists[root]
	return root, ok && path.Base(path.Dir(name)) == "Annotations"
}

// images goes through the lists, or through all files where there are none.
func (r *vocReader) images() {
	byName := map[string]*vocFile{}
	for _, f := range r.files {
		byName[f.name] = f
	}
	for _, f := range r.files {
		if _, listed := r.listOf(f.name); !listed {
			_, split := splitOfPath(path.Dir(f.name))
			r.of[f] = split
		}
	}
	used := map[*vocFile]bool{}
	for _, root := range slices.Sorted(maps.Keys(r.lists)) {
		list := r.lists[root]
		if len(list["train"])+len(list["val"]) > 0 {
			delete(list, "trainval") // which is both
		}
		for _, split := range sortedSplits(list) {
			for _, name := range list[split] {
				f := byName[path.Join(root, "Annotations", name+".xml")]
				if f == nil {
					r.find.add(ImageNoLabels, "%q in the list of %q", path.Join(root, name), split)
					continue
				}
				used[f] = true
				r.add(f, split)
			}
		}
	}
	slices.SortStableFunc(r.files, func(a, b *vocFile) int { return compareSplits(r.of[a], r.of[b]) })
	for _, f := range r.files {
		if _, listed := r.listOf(f.name); !listed {
			r.add(f, r.of[f])
		} else if !used[f] {
			r.find.add(ImageNoSplit, "%s", f.name)
		}
	}
	slices.SortStableFunc(r.Images, func(a, b Image) int { return compareSplits(a.Split, b.Split) })
	for i := range r.Images {
		r.Images[i].ID = int64(i + 1)
	}
	r.alone()
}

// alone notes image files without an XML file.
func (r *vocReader) alone() {
	described := map[string]bool{}
	dirs := map[string]bool{}
	for i := range r.Images {
		described[r.Images[i].Path] = true
		dirs[path.Dir(r.Images[i].Path)] = true
	}
	for _, f := range r.files { // those in no list, too
		described[stem(f.name)] = true
	}
	for _, p := range r.tree.paths {
		if featurize.IsImageName(p) && dirs[path.Dir(p)] && !described[p] && !described[stem(p)] {
			r.find.add(ImageNoLabels, "%s", p)
		}
	}
}
