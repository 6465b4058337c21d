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

// ErrIndex is wrapped by the error of Network for a file that holds several
// networks of which the caller must choose one, or none at the given index. The
// error lists where the networks lie in the file.
var ErrIndex = errors.New("several networks")

// onlyOne is an index that was asked for in a checkpoint with one network.
type onlyOne int

func (i onlyOne) Error() string {
	return fmt.Sprintf("it holds one network, and index %d was asked for", int(i))
}

func (onlyOne) Unwrap() error { return ErrIndex }

// Network holds the tensors of one network, under the names that the network's
// own code gives them, and what else the checkpoint says about it.
type Network struct {
	Tensors []onnx.Tensor     // in the order of the checkpoint
	Keys    map[string]string // a tensor's name -> its key in the checkpoint

	// Mean and Std, one value per channel in units of [0,1] pixels, are those of
	// a normalisation module in front of the network; nil without one. Clamp
	// says that the module first clamps its input to [0,1], as InputNormalize
	// of MadryLab's robustness does. Normalizer holds the two tensors of the
	// module, for architectures that have the module as a part of their own.
	Mean, Std  []float64
	Clamp      bool
	Normalizer []onnx.Tensor

	// Computed lists the weights that the checkpoint holds in several tensors each.
	Computed []Computed

	Dropped []Drop   // keys of tensors, or of parts that hold tensors, that were left out
	Skipped []string // keys of the state_dict that hold no tensor
	Layout  string   // how the checkpoint was laid out, for people: "state_dict (model, module.)"
}

// Drop is a key of a checkpoint that was left out, and why.
type Drop struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

// Network finds a network in the checkpoint: a state_dict or a whole pickled
// module, at any key and under any of the usual prefixes.
//
// If the file holds several networks, index chooses one, counting from 0. With
// index -1 Network takes the only one, or else the one under a key that names
// the network: "state_dict", "model" and the like, before "ema". If that leaves
// a choice the error wraps ErrIndex.
//
// Checkpoints of MadryLab's robustness hold a second copy of the weights, under
// "attacker". It is compared with the first and dropped; a difference is an
// error. Running statistics and counters of batch norms are kept.
func (f *File) Network(index int) (*Network, error) {
	found, err := f.candidates()
	if err != nil {
		return nil, err
	}
	i, err := choose(found, index)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	return f.clean(found, i)
}

// candidates lists the state_dicts of the checkpoint.
func (f *File) candidates() ([]candidate, error) {
	s := &searcher{left: 1<<16 + 64*f.read}
	found, err := s.search(f.Value, 0)
	if err != nil {
		return nil, fmt.Errorf("torch: %w: %w", err, ErrFormat)
	}
	for i := range found {
		found[i].entries = compute(found[i].entries)
	}
	return slices.DeleteFunc(found, func(c candidate) bool { return len(c.entries) == 0 }), nil
}

// clean makes a network of the i-th candidate.
func (f *File) clean(found []candidate, i int) (*Network, error) {
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

// choose returns the position of the network to take.
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

// places says where the first few networks lie.
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
