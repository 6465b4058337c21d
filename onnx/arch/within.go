package arch

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// Network is a whole network among other tensors.
type Network struct {
	Arch     string
	Prefix   string // what the names of its tensors begin with
	Tensors  []int  // the indices of its tensors, ascending
	Head     []int  // those of another head behind its features, which do not belong to it
	Classes  int    // number of logits; 0: it has no head
	Features int    // number of features
}

// Within finds the whole networks among tensors: wherever the names after some prefix
// are those of an architecture, with their shapes, or of the one that is named.
// Other tensors may lie beside a network, but not within its layers, where they would
// be those of another network.
//
// The last linear layer may be missing, which leaves a network without a head. So
// does another head: several layers under its name, or a layer, or a queue of
// contrastive learning, that follows it. The layers of such a head are told.
//
// Networks come in the order of their first tensors.
func Within(tensors []onnx.Tensor, name string) []Network {
	w := &within{tensors: tensors, below: map[string]map[string]int{}}
	var found []Network
	for _, a := range architectures {
		if name != "" && a.name != name {
			continue
		}
		b, err := a.define(1, [2]int{})
		if err != nil {
			continue
		}
		for _, prefix := range w.prefixesOf(a, b.params[0]) {
			n, ok := w.network(a, b, prefix)
			if !ok {
				continue
			}
			at := slices.IndexFunc(found, func(o Network) bool { return o.Prefix == prefix })
			if at < 0 {
				found = append(found, n)
			} else if len(found[at].Tensors) < len(n.Tensors) {
				found[at] = n
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Network) int { return a.Tensors[0] - b.Tensors[0] })
	return found
}

// within looks for networks among tensors.
type within struct {
	tensors []onnx.Tensor
	below   map[string]map[string]int // by prefix: index of each tensor by the rest of its name
}

// prefixesOf lists the prefixes in front of the first parameter of an architecture.
func (w *within) prefixesOf(a architecture, first param) []string {
	var out []string
	for _, t := range w.tensors {
		if !fits(t, first.dims) {
			continue
		}
		for at := 0; ; {
			if a.nameOf(t, at) == first.name {
				out = append(out, t.Name[:at])
				break
			}
			next := strings.IndexByte(t.Name[at:], '.')
			if next < 0 {
				break
			}
			at += next + 1
		}
	}
	return out
}

func fits(t onnx.Tensor, dims []int64) bool {
	return slices.Equal(t.Dims, dims) && casts[t.DType] != nil
}

// under is the index of each tensor behind a prefix by the rest of its name.
func (w *within) under(prefix string) map[string]int {
	if m, ok := w.below[prefix]; ok {
		return m
	}
	m := map[string]int{}
	for i, t := range w.tensors {
		if rest, ok := strings.CutPrefix(t.Name, prefix); ok {
			m[rest] = i
		}
	}
	w.below[prefix] = m
	return m
}

// network is that of an architecture, as b defines it, behind a prefix.
func (w *within) network(a architecture, b *builder, prefix string) (Network, bool) {
	under := make(map[string]int)
	for rest, i := range w.under(prefix) {
		if a.alias != nil {
			rest = a.alias(rest)
		}
		if first, twice := under[rest]; !twice || i < first {
			under[rest] = i
		}
	}
	b.withHead(under)
	n := Network{Arch: a.name, Prefix: prefix, Features: b.width}
	own, modules := map[int]bool{}, map[string]bool{}
	for _, p := range b.params {
		if p.name == b.last.Weight || p.name == b.last.Bias {
			continue
		}
		i, ok := under[p.name]
		if !ok || !fits(w.tensors[i], p.dims) {
			return n, false
		}
		own[i], modules[firstPart(p.name)] = true, true
	}
	weight, classes := w.head(b, under)
	for rest, i := range under {
		part := firstPart(rest)
		switch { // under has the network's names
		case own[i]:
		case b.counter(rest) && w.tensors[i].Size() <= 8:
			own[i] = true
		case weight && (rest == b.last.Weight || rest == b.last.Bias): // a head, unless more of it follows
		case part == firstPart(b.last.Weight):
			n.Head = append(n.Head, i)
		case modules[part]:
			return n, false
		}
	}
	if !weight && (len(n.Head) == 1 && w.halfHead(b, n.Head[0]) || w.misshapen(b, under, len(n.Head))) {
		return n, false
	}
	if weight && len(n.Head) == 0 && !w.followed(b, prefix, own, under[b.last.Weight]) {
		n.Classes = classes
		own[under[b.last.Weight]], own[under[b.last.Bias]] = true, true
	} else if weight {
		n.Head = append(n.Head, under[b.last.Weight], under[b.last.Bias])
	}
	for i := range own {
		n.Tensors = append(n.Tensors, i)
	}
	slices.Sort(n.Tensors)
	slices.Sort(n.Head)
	return n, true
}

// head tells whether there is a last linear layer, and of how many classes.
func (w *within) head(b *builder, under map[string]int) (ok bool, classes int) {
	weight, has := under[b.last.Weight]
	bias, hasBias := under[b.last.Bias]
	if !has || !hasBias || len(w.tensors[weight].Dims) != 2 {
		return false, 0
	}
	k := w.tensors[weight].Dims[0]
	ok = k >= 1 && k < 1<<31 && fits(w.tensors[weight], []int64{k, int64(b.width)}) && fits(w.tensors[bias], []int64{k})
	return ok, int(k)
}

// halfHead tells whether a tensor is the weight of the last linear layer, of which the
// bias is missing, so that the network is not whole.
func (w *within) halfHead(b *builder, i int) bool {
	t := w.tensors[i]
	return strings.HasSuffix("."+t.Name, "."+b.last.Weight) && len(t.Dims) == 2 && t.Dims[1] == int64(b.width)
}

// misshapen tells whether a head of so many tensors is one linear layer under the
// network's own name whose weight or bias has a shape that does not fit the network,
// which a damaged file has. Heads of other layers are left out.
func (w *within) misshapen(b *builder, under map[string]int, tensors int) bool {
	weight, has := under[b.last.Weight]
	_, hasBias := under[b.last.Bias]
	return has && hasBias && tensors == 2 && len(w.tensors[weight].Dims) == 2
}

// followed tells whether what the head computes, whose weight is that of an index, goes
// on: to a linear layer with a column for each of its rows, or to the queue of MoCo, in
// the module that holds the network.
func (w *within) followed(b *builder, prefix string, own map[int]bool, head int) bool {
	k := w.tensors[head].Dims[0]
	parent := prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "."), '.')+1]
	for i, t := range w.tensors {
		if own[i] || i == head || !strings.HasPrefix(t.Name, parent) || len(t.Dims) != 2 || casts[t.DType] == nil || strings.HasSuffix("."+t.Name, "."+b.last.Weight) {
			continue
		}
		last := t.Name[strings.LastIndexByte(t.Name, '.')+1:]
		if last == "weight" && t.Dims[1] == k || last == "queue" && t.Dims[0] == k {
			return true
		}
	}
	return false
}

// firstPart is the name of the outermost module that a tensor belongs to, or of the
// tensor itself.
func firstPart(name string) string {
	part, _, _ := strings.Cut(name, ".")
	return part
}

// likeliest is the prefix behind which most names are those of the network.
func (a architecture) likeliest(b *builder, tensors []onnx.Tensor) string {
	wanted := map[string]bool{}
	for _, p := range b.params {
		wanted[p.name] = true
	}
	votes, best := map[string]int{}, ""
	for _, t := range tensors {
		for at := 0; ; {
			if wanted[a.layerName(b, t, at)] {
				prefix := t.Name[:at]
				if votes[prefix]++; votes[prefix] > votes[best] {
					best = prefix
				}
			}
			next := strings.IndexByte(t.Name[at:], '.')
			if next < 0 {
				break
			}
			at += next + 1
		}
	}
	return best
}
