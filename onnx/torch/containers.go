package torch

import (
	"errors"
	"fmt"
)

// elementsOf returns a copy of the elements of args[0]; none without arguments.
func (m *machine) elementsOf(args []any) ([]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	var items []any
	switch c := args[0].(type) {
	case *List:
		items = c.Items
	case *Tuple:
		items = c.Items
	case *Set:
		items = c.Items
	default:
		return nil, errArgs
	}
	return append([]any(nil), items...), m.charge(16 * len(items))
}

func listOf(m *machine, args []any) (any, error) {
	v, err := m.elementsOf(args)
	return &List{v}, err
}

func tupleOf(m *machine, args []any) (any, error) {
	v, err := m.elementsOf(args)
	return &Tuple{v}, err
}

func setOf(m *machine, args []any) (any, error) {
	v, err := m.elementsOf(args)
	return &Set{v}, err
}

// dictOf makes a dict from a dict or from pairs; an empty one without arguments.
func dictOf(m *machine, args []any) (any, error) {
	d := &Dict{}
	if len(args) > 0 {
		if from, ok := args[0].(*Dict); ok {
			if err := m.charge(64 * from.Len()); err != nil {
				return nil, err
			}
			for k, v := range from.All() {
				d.set(k, v)
			}
			return d, nil
		}
	}
	pairs, err := m.elementsOf(args)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		pair, err := m.elementsOf([]any{p})
		if err != nil || len(pair) != 2 {
			return nil, errors.Join(err, errArgs)
		}
		d.set(pair[0], pair[1])
	}
	return d, nil
}

func defaultDict(m *machine, args []any) (any, error) {
	return dictOf(m, args[min(1, len(args)):])
}

// bytesOf makes bytes. Pickles of protocols 0 to 2 hold them as Latin-1 text.
func bytesOf(m *machine, args []any) (any, error) {
	if len(args) == 0 {
		return Bytes(""), nil
	}
	text, ok := args[0].(string)
	if b, already := args[0].(Bytes); already {
		return b, nil
	}
	if !ok || len(args) != 2 || args[1] != "latin1" && args[1] != "latin-1" {
		return nil, errArgs
	}
	if err := m.charge(len(text)); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, errArgs
		}
		out = append(out, byte(r))
	}
	return Bytes(out), nil
}

func complexOf(_ *machine, args []any) (any, error) {
	if len(args) != 2 {
		return nil, errArgs
	}
	re, ok := args[0].(float64)
	im, ok2 := args[1].(float64)
	if !ok || !ok2 {
		return nil, errArgs
	}
	return complex(re, im), nil
}

// reconstruct is copyreg._reconstructor, by which protocols 0 and 1 make an
// instance: of a class, its base, and the argument of the base.
func reconstruct(m *machine, args []any) (any, error) {
	if len(args) != 3 {
		return nil, errArgs
	}
	if args[2] == nil {
		return m.callKnown(args[0], nil)
	}
	return m.callKnown(args[0], args[2:])
}

// callKnown is call for use within a maker: it refuses the functions that would
// call on, so that calls cannot nest without end.
func (m *machine) callKnown(callee any, args []any) (any, error) {
	if c, ok := callee.(Class); ok && (c == "copyreg._reconstructor" || c == "torch._tensor._rebuild_from_type_v2") {
		return nil, errArgs
	}
	return m.call(callee, args)
}

// device is torch.device("cuda", 0) as "cuda:0".
func device(m *machine, args []any) (any, error) {
	if len(args) == 0 {
		return nil, errArgs
	}
	name, ok := args[0].(string)
	if !ok || len(name) > 64 {
		return nil, errArgs
	}
	if len(args) == 2 {
		if index, ok := args[1].(int64); ok {
			return fmt.Sprint(name, ":", index), nil
		}
	}
	return name, nil
}

// only returns its one argument.
func only(_ *machine, args []any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	return args[0], nil
}
