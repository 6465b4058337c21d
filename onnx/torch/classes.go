package torch

import (
	"errors"
	"fmt"
	"strings"
)

// maker makes the value that calling a known class or function returns.
type maker func(m *machine, args []any) (any, error)

// makers are the known classes and functions. A nil maker is for one that
// pickles only name, as a type or an argument.
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

// moved maps the names of modules in other versions of Python, numpy and
// PyTorch to the names in makers.
var moved = map[string]string{
	"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core.multiarray": "numpy.core.multiarray",
	"numpy._core.numeric": "numpy.core.numeric", "torch.tensor": "torch._tensor",
}

// class returns the class of a name, and records it if it is not known.
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

// call returns what calling a class or function gives: a value if it is known,
// else an Object.
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

// build sets the state of an object, as the opcode BUILD does.
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
