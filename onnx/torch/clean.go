package torch

import (
	"fmt"
	"slices"
	"strings"
)

// builder turns the entries of a state_dict into a Network.
type builder struct {
	Network
	entries  []entry
	prefixes []string // that were stripped
	compare  int64    // budget: bytes that may still be compared
	robust   bool     // the layout of MadryLab's robustness
	sequence bool     // nn.Sequential(normalizer, network)
}

// clean strips prefixes, takes the normalizer out and drops the attacker's copy,
// until nothing changes: wrappers may enclose one another in any order.
func (b *builder) clean() error {
	for changed := true; changed; {
		changed = b.strip()
		if b.has("attacker.") {
			if err := b.dropCopy(); err != nil {
				return err
			}
			changed = true
		}
		took, err := b.normalizer()
		if err != nil {
			return err
		}
		changed = changed || took
	}
	return nil
}

func (b *builder) has(prefix string) bool {
	return slices.ContainsFunc(b.entries, func(e entry) bool { return strings.HasPrefix(e.name, prefix) })
}

// wrappers are the prefixes that modules around a network give its tensors.
var wrappers = []string{"module.", "_orig_mod.", "model.", "net.", "network.", "backbone."}

// strip removes the prefixes that all tensors share.
func (b *builder) strip() bool {
	stripped := false
	for again := true; again; {
		again = false
		for _, p := range wrappers {
			again = again || b.stripOne(p)
		}
		if b.sequence {
			again = again || b.stripOne("1.")
		}
		stripped = stripped || again
	}
	return stripped
}

func (b *builder) stripOne(prefix string) bool {
	for _, e := range b.entries {
		if !strings.HasPrefix(e.name, prefix) || e.name == prefix {
			return false
		}
	}
	for i := range b.entries {
		b.entries[i].name = b.entries[i].name[len(prefix):]
	}
	b.prefixes = append(b.prefixes, prefix)
	return len(b.entries) > 0
}

// dropCopy drops the tensors of robustness' attacker, a second copy of the
// model's and the normalizer's. If the copy is all there is, it is kept instead.
func (b *builder) dropCopy() error {
	b.robust = true
	originals := map[string]entry{}
	for _, e := range b.entries {
		originals[e.name] = e
	}
	alone := !b.has("model.")
	var kept []entry
	for _, e := range b.entries {
		rest, copied := strings.CutPrefix(e.name, "attacker.")
		if !copied {
			kept = append(kept, e)
			continue
		}
		if after, ok := strings.CutPrefix(rest, "normalize."); ok {
			rest = "normalizer." + after
		}
		first, twice := originals[rest]
		if !twice && alone {
			e.name = rest
			originals[rest] = e
			kept = append(kept, e)
			continue
		}
		if !twice {
			return fmt.Errorf("the attacker's tensor %q is not in the model: %w", e.key, ErrFormat)
		}
		if err := b.same(e, first); err != nil {
			return err
		}
		b.Dropped = append(b.Dropped, Drop{e.key, "copy of " + first.key})
	}
	b.entries = kept
	return nil
}

// same compares the attacker's copy of a tensor with the model's. The budget
// stops files whose copies share storages, which would be read again and again;
// files that robustness wrote stay far below it.
func (b *builder) same(e, first entry) error {
	copies, originals := e.parts(), first.parts()
	if len(copies) != len(originals) {
		return fmt.Errorf("the attacker's copy %q differs from %q: %w", e.key, first.key, ErrFormat)
	}
	for i, t := range copies {
		u := originals[i]
		if !t.sameView(u) {
			if b.compare -= t.cost() + u.cost(); b.compare < 0 {
				return fmt.Errorf("the attacker's copy %q: the copies are larger than the file, they share their values too often: %w", e.key, ErrFormat)
			}
		}
		same, err := t.equal(u)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", e.key, err)
		}
		if !same {
			return fmt.Errorf("the attacker's copy %q differs from %q: %w", e.key, first.key, ErrFormat)
		}
	}
	return nil
}

// siblings records, as dropped, what else in the outermost dict holds tensors.
func (b *builder) siblings(v any, found []candidate, chosen int) {
	d, ok := v.(*Dict)
	if !ok || len(found[chosen].path) == 0 {
		return
	}
	seen := map[any]bool{}
	for k, v := range d.All() {
		key, ok := k.(string)
		if !ok || key == found[chosen].path[0] || !holdsTensors(v, seen, 0) {
			continue
		}
		why := "not of the network"
		if isTraining(key) {
			why = "state of the training"
		}
		for i, c := range found {
			if c.path[0] == key {
				why = fmt.Sprintf("another network, index %d", i)
			}
		}
		b.Dropped = append(b.Dropped, Drop{key, why})
	}
}

// describe puts the layout that was found into words.
func (b *builder) describe(c candidate, several bool) {
	kind := "state_dict"
	if c.module {
		kind = "module"
	}
	if b.robust {
		kind = "robustness"
	}
	var parts []string
	if c.at() != "" {
		parts = append(parts, c.at())
	}
	parts = append(parts, b.prefixes...)
	if b.robust {
		parts = append(parts, "attacker copy dropped")
	}
	if b.Mean != nil {
		parts = append(parts, "normalizer taken")
	}
	if several {
		parts = append(parts, "other networks left out")
	}
	if len(parts) > 0 {
		kind += " (" + strings.Join(parts, ", ") + ")"
	}
	b.Layout = kind
}

func (b *builder) network() *Network {
	n := &b.Network
	n.Keys = make(map[string]string, len(b.entries))
	for _, e := range b.entries {
		n.Keys[e.name] = e.key
		n.Tensors = append(n.Tensors, e.tensor())
		if e.made != nil {
			n.Computed = append(n.Computed, Computed{e.name, e.made.how, e.made.keys})
		}
	}
	return n
}
