package data

import (
	"cmp"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// classList collects the classes of a set from the lists of its files, by name.
type classList struct {
	s      *Set
	splits map[string]map[string]int64 // the numbers that the list of each split gives its classes
	first  map[string]int64            // the number of each class
}

// name is the name of a class as the set has it.
func (c *classList) name(where, written string) string {
	name := featurize.ClassOfLabel(strings.TrimSpace(written))
	if name != written {
		c.s.find.add(ClassNames, "%s: %q", where, written)
	}
	return name
}

// add takes a class of a file's list. The number is its own in the first list that names
// it, unless another class has that.
func (c *classList) add(where, split, name string, id int64) {
	if c.first == nil {
		c.first, c.splits = map[string]int64{}, map[string]map[string]int64{}
	}
	if c.splits[split] == nil {
		c.splits[split] = map[string]int64{}
	}
	c.splits[split][name] = id
	known, ok := c.first[name]
	if ok {
		if known != id {
			c.s.find.add(ClassIDMoved, "%s: %q is %d, elsewhere %d", where, name, id, known)
		}
		return
	}
	own := id
	for slices.ContainsFunc(c.s.Classes, func(k Class) bool { return k.ID == own }) {
		own = 1 + slices.MaxFunc(c.s.Classes, func(a, b Class) int { return cmp.Compare(a.ID, b.ID) }).ID
	}
	if own != id {
		c.s.find.add(ClassIDMoved, "%s: %q is %d, which is another class elsewhere; it becomes %d", where, name, id, own)
	}
	c.first[name] = own
	c.s.Classes = append(c.s.Classes, Class{ID: own, Name: name})
}

// index sorts the classes by number and returns their places by name.
func (c *classList) index() map[string]int {
	slices.SortFunc(c.s.Classes, func(a, b Class) int { return cmp.Compare(a.ID, b.ID) })
	at := map[string]int{}
	for i, k := range c.s.Classes {
		at[k.Name] = i
	}
	return at
}

// remark notes what may surprise of the classes that files list.
func (c *classList) remark() {
	for _, k := range c.s.Classes {
		for _, split := range sortedSplits(c.splits) {
			if _, listed := c.splits[split][k.Name]; !listed {
				c.s.find.add(ClassOneSplit, "%q is not in %q", k.Name, split)
				break
			}
		}
	}
	c.cases()
}

// cases notes classes whose names differ in case only.
func (c *classList) cases() {
	folded := map[string]string{}
	for _, k := range c.s.Classes {
		low := strings.ToLower(k.Name)
		if other, ok := folded[low]; ok {
			c.s.find.add(ClassCase, "%q and %q", other, k.Name)
		} else {
			folded[low] = k.Name
		}
	}
}

// unused notes the classes without objects.
func (s *Set) unused() {
	used := make([]bool, len(s.Classes))
	for i := range s.Images {
		for _, o := range s.Images[i].Objects {
			used[o.Class] = true
		}
	}
	for i, ok := range used {
		if !ok {
			s.find.add(ClassUnused, "%q", s.Classes[i].Name)
		}
	}
}
