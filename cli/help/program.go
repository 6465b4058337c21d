package help

import "slices"

// Program is what the commands of urfave/cli do not say of rtx.
type Program struct {
	Summary string
	// Flags assigns each flag of each verb to a group. VERB:FLAG, with the verb's
	// last word, overrides FLAG for a verb where the flag belongs elsewhere.
	Flags []Group
	// Verbs assigns each verb to a group.
	Verbs []Group
	// Guides are those of all verbs, by their paths ("models get"); "" is that of
	// rtx itself.
	Guides map[string]Guide
	// Mentioned are values of flags, by the flag's name, that completions offer
	// where the description of the flag mentions them.
	Mentioned map[string][]string
	// Words are values of flags, and of arguments by their placeholders, that
	// completions always offer.
	Words map[string][]string
	// Epilogue is the last paragraph of the help of rtx itself.
	Epilogue string
}

// Group is a heading and the names of what stands under it, in order.
type Group struct {
	Title   string
	Members []string
}

// Guide tells how a verb is called.
type Guide struct {
	Synopsis string // a line for each way to call it
	Examples []Example
}

// Example is a command line, or several, and what it does.
type Example struct{ Does, Line string }

// place finds the first of some names that a table has: the index of its group,
// and its index in the group. What the table lacks comes after all else.
func place(table []Group, names ...string) (at [2]int) {
	for _, name := range names {
		for i, g := range table {
			if j := slices.Index(g.Members, name); j >= 0 {
				return [2]int{i, j}
			}
		}
	}
	return [2]int{len(table), 0}
}

// PlaceFlag is the group of a flag in the table Flags, and its place there; the
// length of the table where no group has it.
func (p *Program) PlaceFlag(v *Verb, flag string) [2]int {
	return place(p.Flags, v.Name+":"+flag, flag)
}

// sort puts the flags of a verb, and the verbs below it, into the order of the
// tables.
func (p *Program) sort(v *Verb) {
	slices.SortStableFunc(v.Options, func(a, b Option) int {
		x, y := p.PlaceFlag(v, a.Names[0]), p.PlaceFlag(v, b.Names[0])
		return slices.Compare(x[:], y[:])
	})
	slices.SortStableFunc(v.Verbs, func(a, b *Verb) int {
		x, y := place(p.Verbs, a.Name), place(p.Verbs, b.Name)
		return slices.Compare(x[:], y[:])
	})
}

// optionGroup is a heading and its flags.
type optionGroup struct {
	title   string
	options []Option
}

// optionGroups are the flags of a verb under their headings.
func (v *Verb) optionGroups() (found []optionGroup) {
	for i, g := range v.program.Flags {
		var members []Option
		for _, o := range v.Options {
			if v.program.PlaceFlag(v, o.Names[0])[0] == i {
				members = append(members, o)
			}
		}
		if members != nil {
			found = append(found, optionGroup{g.Title, members})
		}
	}
	return found
}

// verbGroup is a heading and its verbs.
type verbGroup struct {
	title string
	verbs []*Verb
}

// verbGroups are the verbs below a verb under their headings. Only those of rtx
// itself have several.
func (v *Verb) verbGroups() (found []verbGroup) {
	if v.Path != "" && len(v.Verbs) > 0 {
		return []verbGroup{{"Verbs", v.Verbs}}
	}
	for i, g := range v.program.Verbs {
		var members []*Verb
		for _, s := range v.Verbs {
			if place(v.program.Verbs, s.Name)[0] == i {
				members = append(members, s)
			}
		}
		if members != nil {
			found = append(found, verbGroup{g.Title, members})
		}
	}
	return found
}
