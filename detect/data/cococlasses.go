package data

import (
	"cmp"
	"slices"
)

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
		return cmp.Compare(x, y)
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
		if known, again := table[c.ID.key()]; again {
			s.find.add(ClassRepeated, "%s: id %s: %q and %q", f.name, c.ID.key(), known, name)
			continue
		}
		if _, taken := ids[name]; taken {
			name = distinct(name, c.ID.key(), ids)
			s.find.add(ClassSameName, "%s: %q", f.name, name)
		}
		table[c.ID.key()], ids[name] = name, id
		classes.add(f.name, f.split, name, id)
	}
	s.gaps(f.name, listed)
	return table
}

// distinct is the name of a class that has the name of another one, as "dog (id 7)".
func distinct[V any](name, id string, taken map[string]V) string {
	for {
		name += " (id " + id + ")"
		if _, again := taken[name]; !again {
			return name
		}
	}
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
