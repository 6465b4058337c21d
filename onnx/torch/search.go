package torch

import (
	"errors"
	"fmt"
	"strings"
)

// entry is a tensor of a state_dict.
type entry struct {
	key  string // in the checkpoint
	name string // once prefixes are stripped
	t    *Tensor
	made *computation // of the weight, from several tensors of which t is one; nil: t is the weight
}

// candidate is a state_dict somewhere in a checkpoint.
type candidate struct {
	path    []string
	named   bool // found under one of networkKeys
	module  bool // a whole nn.Module
	entries []entry
	skipped []string
}

func (c *candidate) at() string { return strings.Join(c.path, ".") }

// networkKeys are the keys under which people save networks, in order of
// preference.
var networkKeys = []string{
	"state_dict", "model", "net", "network", "module", "model_state_dict", "model_state", "model_dict", "model_weights", "net_state_dict",
	"params", "weights", "ema", "model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "params_ema",
}

// maxNesting is how many dicts or lists deep a network may lie.
const maxNesting = 4

// searcher looks for state_dicts. Its budget, left, bounds the work on values
// that are shared by many others.
type searcher struct{ left int64 }

var errShared = errors.New("its parts are shared too often")

func (s *searcher) spend(n int) error {
	if s.left -= int64(n); s.left < 0 {
		return errShared
	}
	return nil
}

// search returns the state_dicts in v, in order of preference.
func (s *searcher) search(v any, depth int) ([]candidate, error) {
	if depth > maxNesting {
		return nil, s.spend(1)
	}
	switch v := v.(type) {
	case *List:
		return s.items(v.Items, depth)
	case *Tuple:
		return s.items(v.Items, depth)
	case *Dict:
		return s.dict(v, depth)
	case *Object:
		if isModule(v) {
			c := candidate{module: true}
			err := s.walk(&c, v, "", 0)
			return []candidate{c}, err
		}
		if v.Dict != nil {
			return s.dict(v.Dict, depth)
		}
	}
	return nil, s.spend(1)
}

// items takes the preferred state_dict of each element of a list.
func (s *searcher) items(items []any, depth int) ([]candidate, error) {
	var all []candidate
	for i, v := range items {
		found, err := s.search(v, depth+1)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			c := found[0]
			c.path, c.named = append([]string{fmt.Sprintf("[%d]", i)}, c.path...), false
			all = append(all, c)
		}
	}
	return all, nil
}

// dict looks below networkKeys, then takes the dict itself for a state_dict,
// then looks below all other keys.
func (s *searcher) dict(d *Dict, depth int) ([]candidate, error) {
	var named, other []candidate
	below := func(key string, v any) ([]candidate, error) {
		found, err := s.search(v, depth+1)
		for i := range found {
			found[i].path = append([]string{key}, found[i].path...)
		}
		return found, err
	}
	for _, key := range networkKeys {
		if v, ok := d.Get(key); ok {
			found, err := below(key, v)
			if err != nil {
				return nil, err
			}
			for i := range found {
				found[i].named = found[i].named || len(found) == 1
			}
			named = append(named, found...)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	self, err := s.flat(d)
	if err != nil || len(self.entries) > 0 {
		return []candidate{self}, err
	}
	for k, v := range d.All() {
		key, ok := k.(string)
		if !ok || isTraining(key) {
			continue
		}
		found, err := below(key, v)
		if err != nil {
			return nil, err
		}
		other = append(other, found...)
	}
	return other, nil
}

// isTraining reports whether a key names state that only training needs, such
// as the optimizer's.
func isTraining(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"optim", "sched", "scaler", "amp", "rng"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// flat reads a dict as a state_dict.
func (s *searcher) flat(d *Dict) (candidate, error) {
	var c candidate
	for k, v := range d.All() {
		key, ok := k.(string)
		if t, isTensor := v.(*Tensor); ok && isTensor && t.DType != 0 {
			c.entries = append(c.entries, entry{key: key, name: key, t: t})
		} else if ok {
			c.skipped = append(c.skipped, key)
		}
		if err := s.spend(1 + len(key)); err != nil {
			return c, err
		}
	}
	return c, nil
}

func isModule(o *Object) bool {
	_, ok := o.attr("_parameters").(*Dict)
	_, ok2 := o.attr("_modules").(*Dict)
	return ok && ok2
}

// walk collects the tensors of a module as its state_dict method would: its
// parameters, its persistent buffers, then those of its submodules.
func (s *searcher) walk(c *candidate, o *Object, prefix string, depth int) error {
	if err := s.spend(1 + len(prefix)); err != nil {
		return err
	}
	if depth > 100 {
		return errors.New("its modules lie too deep in one another")
	}
	nonPersistent := map[any]bool{}
	if set, ok := o.attr("_non_persistent_buffers_set").(*Set); ok {
		for _, k := range set.Items {
			nonPersistent[k] = true
		}
	}
	for _, field := range []string{"_parameters", "_buffers"} {
		d, ok := o.attr(field).(*Dict)
		if !ok {
			continue
		}
		for k, v := range d.All() {
			key, ok := k.(string)
			if err := s.spend(1 + len(prefix) + len(key)); err != nil {
				return err
			}
			switch t, isTensor := v.(*Tensor); {
			case !ok || v == nil || nonPersistent[k]:
			case isTensor && t.DType != 0:
				c.entries = append(c.entries, entry{key: prefix + key, name: prefix + key, t: t})
			default:
				c.skipped = append(c.skipped, prefix+key)
			}
		}
	}
	modules, _ := o.attr("_modules").(*Dict)
	for k, v := range modules.All() {
		key, ok := k.(string)
		m, isObject := v.(*Object)
		if ok && isObject && isModule(m) {
			if err := s.walk(c, m, prefix+key+".", depth+1); err != nil {
				return err
			}
		} else if err := s.spend(1); err != nil {
			return err
		}
	}
	return nil
}

// holdsTensors reports whether v contains a tensor of at least one dimension.
func holdsTensors(v any, seen map[any]bool, depth int) bool {
	if seen[v] || depth > 100 {
		return false
	}
	var below []any
	switch v := v.(type) {
	case *Tensor:
		return len(v.Dims) > 0
	case *List:
		below = v.Items
	case *Tuple:
		below = v.Items
	case *Dict:
		below = v.values
	case *Object:
		below = []any{v.State}
		if v.Dict != nil {
			below = append(below, v.Dict)
		}
	default:
		return false
	}
	seen[v] = true
	for _, b := range below {
		if holdsTensors(b, seen, depth+1) {
			return true
		}
	}
	return false
}
