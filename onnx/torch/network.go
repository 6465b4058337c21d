package torch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// ErrIndex is wrapped by the error that says that a checkpoint holds several
// networks, and one must be chosen, or that there is none of the index.
var ErrIndex = errors.New("several networks")

// onlyOne is the index that was asked of a checkpoint with one network.
type onlyOne int

func (i onlyOne) Error() string {
	return fmt.Sprintf("it holds one network, and index %d was asked for", int(i))
}

func (onlyOne) Unwrap() error { return ErrIndex }

// Network is the tensors of one network, under the names that the network's
// own code gives them, and what else the checkpoint says of it.
type Network struct {
	Tensors []onnx.Tensor     // in the order of the checkpoint
	Keys    map[string]string // a tensor's name -> its key in the checkpoint

	// Mean and Std are those of a normalizer in front of the network, in units
	// of [0,1] pixels, nil without one. Clamp says that it clamps its input to
	// [0,1] first, as InputNormalize of MadryLab's robustness does.
	// Normalizer are its tensors, for networks whose own part it is.
	Mean, Std  []float64
	Clamp      bool
	Normalizer []onnx.Tensor

	Dropped []Drop   // tensors, or parts that hold tensors, that are left out
	Skipped []string // keys of the state_dict that hold no tensor
	Layout  string   // what was found, in words
}

// Drop is a key that is left out, and why.
type Drop struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

// Network finds the network in a checkpoint: a state_dict or a whole module,
// below whatever keys, with whatever prefixes. Of several it takes the index-th
// from 0 on; index -1 is the only one, or the one whose key says that it is the
// network (ema and the like come after model). Without either the error wraps
// ErrIndex.
//
// The second copy of the weights in checkpoints of robustness (under attacker)
// is compared with the first and dropped; where it differs, that is an error.
// Running statistics and counters of batch norms are kept.
func (f *File) Network(index int) (*Network, error) {
	s := &searcher{left: 1<<16 + 64*f.read}
	found, err := s.search(f.Value, 0)
	if err != nil {
		return nil, fmt.Errorf("torch: %w: %w", err, ErrFormat)
	}
	found = slices.DeleteFunc(found, func(c candidate) bool { return len(c.entries) == 0 })
	i, err := choose(found, index)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	if n := len(found[i].entries); n > safetensors.MaxTensors {
		return nil, fmt.Errorf("torch: it has %d tensors, expected at most %d of a network: %w", n, safetensors.MaxTensors, ErrFormat)
	}
	b := &builder{entries: found[i].entries, compare: 64<<20 + 8*f.size, Network: Network{Skipped: found[i].skipped}}
	if err := b.clean(); err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	b.siblings(f.Value, found, i)
	b.describe(found[i], len(found) > 1)
	return b.network(), nil
}

// choose returns the place of the network to take.
func choose(found []candidate, index int) (int, error) {
	switch {
	case len(found) == 0:
		return 0, fmt.Errorf("it holds no network: neither a state_dict nor a module with tensors: %w", ErrFormat)
	case index >= 0 && index < len(found):
		return index, nil
	case index < 0 && (len(found) == 1 || found[0].named):
		return 0, nil
	}
	if len(found) == 1 {
		return 0, onlyOne(index)
	}
	what := fmt.Sprintf("it holds %d networks (%s), choose one", len(found), places(found))
	if index >= 0 {
		what = fmt.Sprintf("no network of index %d, it holds %s; choose", index, places(found))
	}
	return 0, fmt.Errorf("%s by its index, 0 to %d: %w", what, len(found)-1, ErrIndex)
}

// places says where the networks are, the first few.
func places(found []candidate) string {
	var names []string
	for _, c := range found {
		if len(names) == 8 {
			return strings.Join(names, ", ") + ", ..."
		}
		names = append(names, cmp.Or(c.at(), "one"))
	}
	return strings.Join(names, ", ")
}

// builder cleans the tensors of a state_dict.
type builder struct {
	Network
	entries  []entry
	prefixes []string // that were stripped
	compare  int64    // bytes that may still be compared
	robust   bool
	sequence bool // nn.Sequential(normalizer, network)
}

// clean strips prefixes, takes the normalizer and drops the attacker's copy, in
// whatever order they enclose one another.
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

// strip takes off the prefixes that all tensors share.
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

// dropCopy drops the tensors of robustness' attacker, which are those of the
// model and of its normalizer again. Where only they are there, they are taken.
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

// same compares an attacker's copy with the model's tensor. Copies that share
// storages would read them again and again; those of robustness do not.
func (b *builder) same(e, first entry) error {
	if !e.t.sameView(first.t) {
		if b.compare -= e.t.cost() + first.t.cost(); b.compare < 0 {
			return fmt.Errorf("the attacker's copy %q: the copies are larger than the file, they share their values too often: %w", e.key, ErrFormat)
		}
	}
	same, err := e.t.equal(first.t)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", e.key, err)
	}
	if !same {
		return fmt.Errorf("the attacker's copy %q differs from %q: %w", e.key, first.key, ErrFormat)
	}
	return nil
}

// siblings notes what else in the outermost dict holds tensors.
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

// describe puts what was found into words.
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
		n.Tensors = append(n.Tensors, e.t.Named(e.name))
	}
	return n
}
