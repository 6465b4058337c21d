package torch

import (
	"errors"
	"fmt"
	"strings"
)

// maker makes the value of a call of a class or function that is known.
type maker func(m *machine, args []any) (any, error)

// makers are the classes and functions that are known; nil for those that are
// only named, as types or as arguments.
var makers map[Class]maker

func init() {
	makers = map[Class]maker{
		"collections.OrderedDict": dictOf, "builtins.dict": dictOf, "collections.defaultdict": defaultDict,
		"builtins.list": listOf, "builtins.tuple": tupleOf, "builtins.set": setOf, "builtins.frozenset": setOf,
		"builtins.bytes": bytesOf, "builtins.bytearray": bytesOf, "_codecs.encode": bytesOf,
		"builtins.complex": complexOf, "builtins.object": nil, "builtins.int": nil, "builtins.float": nil, "builtins.str": nil,
		"builtins.bool": nil, "copyreg._reconstructor": reconstruct,
		"torch.Size": tupleOf, "torch.device": device, "torch.serialization._get_layout": only,
		"torch._utils._rebuild_tensor": rebuild(4), "torch._utils._rebuild_tensor_v2": rebuild(6),
		"torch._utils._rebuild_tensor_v3": rebuildV3, "torch._utils._rebuild_parameter": parameter,
		"torch._utils._rebuild_parameter_with_state": parameter, "torch._tensor._rebuild_from_type_v2": subclass,
		"torch.Tensor": nil, "torch.nn.parameter.Parameter": nil, "torch.nn.parameter.Buffer": nil,
		"numpy.ndarray": nil, "numpy.dtype": numpyType, "numpy.core.multiarray.scalar": scalar,
		"numpy.core.multiarray._reconstruct": blank, "numpy.core.numeric._frombuffer": fromBuffer,
	}
	for name := range dtypes {
		makers[Class("torch."+name)] = nil
	}
	for name := range storageTypes {
		for _, module := range []string{"torch.", "torch.cuda.", "torch.storage."} {
			makers[Class(module+name)] = nil
		}
	}
}

// moved are modules by their names of other versions.
var moved = map[string]string{
	"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core.multiarray": "numpy.core.multiarray",
	"numpy._core.numeric": "numpy.core.numeric", "torch.tensor": "torch._tensor",
}

// class notes that the pickle names a class.
func (m *machine) class(module, name string) (Class, error) {
	if to, ok := moved[module]; ok {
		module = to
	}
	c := Class(module + "." + name)
	if _, known := makers[c]; !known {
		m.classes[c] += 0
	}
	return c, nil
}

// call makes what calling a class or function gives: a value, where it is
// known, else an Object.
func (m *machine) call(callee any, args []any) (any, error) {
	switch c := callee.(type) {
	case Class:
		make := makers[c]
		if make == nil {
			if _, noted := m.classes[c]; noted {
				m.classes[c]++
			}
			return &Object{Class: c, Args: args}, nil
		}
		v, err := make(m, args)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		return v, nil
	case *Object:
		return &Object{Class: c.Class, Args: args}, nil
	}
	return nil, fmt.Errorf("a call of %s", kind(callee))
}

// build gives an object its state.
func (m *machine) build(v, state any) error {
	switch v := v.(type) {
	case *Object:
		v.State = state
	case *Tensor:
		if v.blank {
			return v.fill(state)
		}
	case *Dict, *List, *Set, Class: // attributes, such as a state_dict's _metadata
	default:
		return fmt.Errorf("%s has no state", kind(v))
	}
	return nil
}

// kind describes a value in an error.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case *Object:
		return "an object of " + string(v.Class)
	case Class:
		return "the class " + string(v)
	case string:
		return "a string"
	case Bytes:
		return "bytes"
	case bool, int64, float64, complex128:
		return fmt.Sprint(v)
	case *Tensor:
		return "a tensor"
	}
	return "a " + strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", v), "*torch."))
}

var errArgs = errors.New("its arguments are not as expected")

// elementsOf returns a copy of the one container in args, empty without it.
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

// dictOf makes a dict of nothing, of a dict or of pairs.
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

// bytesOf undoes what pickles of protocols 0 to 2 do to bytes: they are kept as
// text in Latin-1.
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

// reconstruct makes an instance as protocols 0 and 1 do: class, base, and what
// the base is made of.
func reconstruct(m *machine, args []any) (any, error) {
	if len(args) != 3 {
		return nil, errArgs
	}
	if args[2] == nil {
		return m.callKnown(args[0], nil)
	}
	return m.callKnown(args[0], args[2:])
}

// callKnown is call where a call must not lead to further ones.
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

func only(_ *machine, args []any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	return args[0], nil
}
