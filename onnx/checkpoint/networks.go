package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// Place is a network of a checkpoint, at an index.
type Place struct {
	Where   string `json:"where"`   // the key of its state_dict, and the prefix of its tensors
	Arch    string `json:"arch"`    // "": not recognised
	Classes int    `json:"classes"` // number of logits; 0: it has no head, or is not recognised

	dict   int           // the index of its state_dict
	within *arch.Network // nil: all of the state_dict
	keys   []string      // of its tensors, and of its other head
	head   []string
}

// ErrQuantized says that a checkpoint is that of a quantised network, or of one that
// is trained to be quantised.
var ErrQuantized = errors.New("the network is quantised")

// places lists the networks of the checkpoint. A state_dict that as a whole is a
// network, or none that is known, counts as one; else each network within it does.
func (c *Checkpoint) places(asked string) ([]Place, error) {
	dicts, err := c.File.StateDicts()
	if err != nil {
		return nil, err
	}
	var all []Place
	for i, d := range dicts {
		if n, err := c.File.Network(i); err == nil {
			name, err := (&Checkpoint{Network: n}).recognizeWhole(asked)
			if err == nil || isDetector(err) {
				all = append(all, Place{Where: d.At, Arch: name, Classes: arch.Classes(name, n.Tensors), dict: i})
				continue
			}
		}
		inside := c.inside(i, d, asked)
		if len(inside) == 0 {
			inside = []Place{{Where: d.At, dict: i}}
		}
		all = append(all, inside...)
	}
	return all, nil
}

// inside lists the networks within the i-th state_dict.
func (c *Checkpoint) inside(i int, d torch.StateDict, asked string) []Place {
	var all []Place
	for _, n := range arch.Within(d.Tensors, asked) {
		p := Place{Where: strings.Trim(d.At+": "+n.Prefix, ": "), Arch: n.Arch, Classes: n.Classes, dict: i, within: &n}
		for _, t := range n.Tensors {
			p.keys = append(p.keys, d.Tensors[t].Name)
		}
		for _, t := range n.Head {
			p.head = append(p.head, d.Tensors[t].Name)
		}
		all = append(all, p)
	}
	return all
}

// choose takes the network of an index; below 0 the only one, or the one that comes
// first, as Open documents.
func (c *Checkpoint) choose(index int) error {
	n, err := c.File.Network(index)
	if index < 0 && err == nil {
		c.Network = n // Import looks inside it, if it is not a network as a whole
		return nil
	}
	if !errors.Is(err, torch.ErrIndex) && err != nil {
		return err
	}
	places, e := c.places("")
	if e != nil {
		return e
	}
	at := index
	if index < 0 {
		at = foremost(places, -1)
		if at < 0 || rank(places[at], places) > 0 || slices.ContainsFunc(places, func(p Place) bool {
			return p.dict != places[at].dict && p.Arch != "" && rank(p, places) == 0
		}) {
			return err
		}
	}
	if at >= len(places) {
		if len(places) == 1 {
			return err
		}
		var names []string
		for _, p := range places[:min(8, len(places))] {
			names = append(names, p.Where)
		}
		return fmt.Errorf("no network of index %d, it holds %s; choose by its index, 0 to %d: %w", index, strings.Join(names, ", "), len(places)-1, torch.ErrIndex)
	}
	return c.take(places, at)
}

// take makes one of the checkpoint's networks the one that was chosen.
func (c *Checkpoint) take(places []Place, at int) (err error) {
	p := places[at]
	c.Networks, c.Index, c.within, c.Head = places, at, p.within, p.head
	if p.within == nil {
		c.Network, err = c.File.Network(p.dict)
	} else {
		c.Network, err = c.File.Part(p.dict, p.within.Prefix, p.keys)
	}
	return err
}

// foremost is the index of the network that comes first, in the state_dict of an index
// or, below 0, in any: of the lowest rank, and of those the first in the file. It is
// -1 where none is recognised.
func foremost(places []Place, dict int) int {
	best := -1
	for i, p := range places {
		if p.Arch != "" && (dict < 0 || p.dict == dict) && (best < 0 || rank(p, places) < rank(places[best], places)) {
			best = i
		}
	}
	return best
}

// rank is 1 for a network that by its name is a copy of another, or its teacher or
// student, and 0 for any other.
func rank(p Place, places []Place) int {
	for _, part := range strings.FieldsFunc(strings.ToLower(p.Where), func(r rune) bool { return r == '.' || r == ':' || r == ' ' }) {
		words := strings.Split(part, "_")
		copied := slices.ContainsFunc(words, func(w string) bool { return slices.Contains(copies, w) })
		switch {
		case copied, words[len(words)-1] == "k": // the key encoder of MoCo
			return 1
		case slices.Contains(words, "student") && paired(p, places, "teacher"):
			return 1
		case slices.Contains(words, "teacher") && !paired(p, places, "student"):
			return 1
		}
	}
	return 0
}

// copies are words in the names of networks that follow another.
var copies = []string{"momentum", "target", "ema", "swa", "averaged", "shadow", "attacker"}

// paired tells whether there is a network of the same architecture with a word in its
// name: a student and a teacher of one architecture are those of self-distillation,
// of which the teacher is the one to use, and those of two are a small network that
// was taught by a large one.
func paired(p Place, places []Place, word string) bool {
	return slices.ContainsFunc(places, func(o Place) bool {
		return o.Arch == p.Arch && strings.Contains(strings.ToLower(o.Where), word)
	})
}

// Group is some tensors of a checkpoint whose keys begin alike.
type Group struct {
	Name    string `json:"name"`
	Tensors int    `json:"tensors"`
}

// Beside groups the tensors of the state_dict that do not belong to the network, by
// the first part of their keys in which they differ from it. Their copies and the
// normalisation are not among them.
func (c *Checkpoint) Beside() []Group {
	if c.within == nil {
		return nil
	}
	var groups []Group
	own := strings.SplitAfter(c.within.Prefix, ".")
	for _, d := range c.Network.Dropped {
		if d.Why != besideNetwork {
			continue
		}
		name, rest := "", d.Key
		for i := 0; ; i++ {
			part, after, more := strings.Cut(rest, ".")
			if more {
				part += "."
			}
			name, rest = name+part, after
			if !more || i >= len(own) || part != own[i] {
				break
			}
		}
		at := slices.IndexFunc(groups, func(g Group) bool { return g.Name == name })
		if at < 0 {
			at, groups = len(groups), append(groups, Group{Name: name})
		}
		groups[at].Tensors++
	}
	return groups
}

// besideNetwork is why torch.Part leaves a tensor out.
const besideNetwork = "beside the network"

// quantized tells whether a checkpoint that is not recognised holds integers in the
// place of weights, or the traces of training for that.
func (c *Checkpoint) quantized() bool {
	return c.File.Quantized() || slices.ContainsFunc(c.Network.Tensors, func(t onnx.Tensor) bool {
		integers := t.DType == pb.TensorProto_INT8 || t.DType == pb.TensorProto_UINT8
		return integers && len(t.Dims) > 1 && strings.HasSuffix(t.Name, "weight") ||
			strings.Contains(t.Name, "_packed_params") || strings.Contains(t.Name, "fake_quant") || strings.Contains(t.Name, "activation_post_process")
	})
}
