package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// StateDict is a state_dict of a checkpoint, as it lies there.
type StateDict struct {
	At      string        // where it lies: "state_dict", "[1]", "" for the outermost dict
	Tensors []onnx.Tensor // under their keys, weights that are computed of several among them
	Named   bool          // it lies under a key that says that it is the network
}

// StateDicts lists the state_dicts and pickled modules of the checkpoint in the
// order of their index for [File.Network].
func (f *File) StateDicts() ([]StateDict, error) {
	found, err := f.candidates()
	if err != nil {
		return nil, err
	}
	var out []StateDict
	for _, c := range found {
		s := StateDict{At: c.at(), Named: c.named}
		for _, t := range c.entries {
			s.Tensors = append(s.Tensors, t.tensor())
		}
		out = append(out, s)
	}
	return out, nil
}

// Part is the network of some tensors of the index-th state_dict: those of the given
// keys, which begin with a prefix, and those of a normalisation module in front of
// them. All other tensors are in Dropped.
func (f *File) Part(index int, prefix string, keys []string) (*Network, error) {
	found, err := f.candidates()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= len(found) {
		return nil, fmt.Errorf("torch: no network of index %d: %w", index, ErrIndex)
	}
	wanted := map[string]bool{}
	for _, k := range keys {
		wanted[k] = true
	}
	var dropped []Drop
	kept := found[index]
	kept.entries = nil
	for _, e := range found[index].entries {
		if wanted[e.key] || isNormalizer(e.key, prefix) {
			kept.entries = append(kept.entries, e)
		} else {
			dropped = append(dropped, Drop{e.key, "beside the network"})
		}
	}
	found[index] = kept
	n, err := f.clean(found, index)
	if err != nil {
		return nil, err
	}
	n.Dropped = append(n.Dropped, dropped...)
	return n, nil
}

// Quantized tells whether the checkpoint holds weights that torch.ao.quantization
// made integers of. They are not among its tensors.
func (f *File) Quantized() bool { return f.classes["torch._utils._rebuild_qtensor"] > 0 }

// isNormalizer tells whether a key is that of a normalisation module beside a network
// whose keys begin with a prefix, or beside a module that holds the network.
func isNormalizer(key, prefix string) bool {
	for {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			return slices.ContainsFunc(normalizerModules, func(module string) bool {
				return slices.ContainsFunc(normalizers, func(pair [2]string) bool { return rest == module+pair[0] || rest == module+pair[1] })
			})
		}
		if prefix == "" {
			return false
		}
		prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "."), '.')+1]
	}
}
