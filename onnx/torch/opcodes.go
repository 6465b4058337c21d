package torch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// fill runs the opcodes that put values into a container.
func (m *machine) fill(op byte) error {
	var values []any
	var err error
	switch op {
	case 'a': // APPEND
		values, err = m.popN(1)
	case 's': // SETITEM
		values, err = m.popN(2)
	default: // APPENDS, SETITEMS, ADDITEMS
		values, err = m.popMark()
	}
	if err != nil {
		return err
	}
	into, err := m.top()
	if err != nil {
		return err
	}
	if op == 's' || op == 'u' {
		return setItems(into, values)
	}
	switch c := into.(type) {
	case *List:
		c.Items = append(c.Items, values...)
	case *Set:
		c.Items = append(c.Items, values...)
	case *Object:
		if c.List == nil {
			c.List = &List{}
		}
		c.List.Items = append(c.List.Items, values...)
	default:
		return fmt.Errorf("%s has no elements", kind(into))
	}
	return nil
}

func setItems(into any, pairs []any) error {
	if len(pairs)%2 != 0 {
		return errors.New("a key has no value")
	}
	d, ok := into.(*Dict)
	if o, isObject := into.(*Object); isObject {
		if o.Dict == nil {
			o.Dict = &Dict{}
		}
		d, ok = o.Dict, true
	}
	if !ok {
		return fmt.Errorf("%s has no keys", kind(into))
	}
	for i := 0; i < len(pairs); i += 2 {
		d.set(pairs[i], pairs[i+1])
	}
	return nil
}

// value runs the opcodes that push a value of a built-in type.
func (m *machine) value(op byte) (any, error) {
	switch op {
	case 'N':
		return nil, nil
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		return op == 0x88, nil
	case 'K', 'M': // BININT1, BININT2
		v, err := m.src.number(1 + int(op-'K')/2)
		return int64(v), err
	case 'J': // BININT
		v, err := m.src.number(4)
		return int64(int32(v)), err
	case 'G': // BINFLOAT
		b, err := m.src.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case 'I', 'L', 'F', 'S', 'V':
		line, err := m.src.line()
		if err != nil {
			return nil, err
		}
		return fromText(op, line)
	case 0x8a, 0x8b: // LONG1, LONG4
		b, err := m.src.sized(1 + 3*int(op-0x8a))
		return long(b), err
	}
	if v, ok, err := m.text(op); ok {
		return v, err
	}
	return m.container(op)
}

// text runs the opcodes of length-prefixed strings and bytes.
func (m *machine) text(op byte) (v any, ok bool, err error) {
	var b []byte
	switch op {
	case 'U', 'C', 0x8c: // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
		b, err = m.src.sized(1)
	case 'T', 'B', 'X': // BINSTRING, BINBYTES, BINUNICODE
		b, err = m.src.sized(4)
	case 0x8d, 0x8e, 0x96: // BINUNICODE8, BINBYTES8, BYTEARRAY8
		b, err = m.src.sized(8)
	default:
		return nil, false, nil
	}
	switch op {
	case 'C', 'B', 0x8e, 0x96:
		return Bytes(b), true, err
	}
	return string(b), true, err
}

// container runs the opcodes that push lists, tuples, dicts and sets.
func (m *machine) container(op byte) (any, error) {
	switch op {
	case ']':
		return &List{}, nil
	case ')':
		return &Tuple{}, nil
	case '}':
		return &Dict{}, nil
	case 0x8f:
		return &Set{}, nil
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		v, err := m.popN(int(op - 0x84))
		return &Tuple{v}, err
	case 'l', 't', 'd', 0x91:
	default:
		return nil, errors.New("it is not known, or not allowed")
	}
	v, err := m.popMark()
	switch op {
	case 'l':
		return &List{v}, err
	case 't':
		return &Tuple{v}, err
	case 0x91: // FROZENSET
		return &Set{v}, err
	}
	d := &Dict{}
	if err == nil {
		err = setItems(d, v)
	}
	return d, err
}

// object runs the opcodes that name classes and make instances.
func (m *machine) object(op byte) (any, error) {
	switch op {
	case 'c': // GLOBAL
		return m.named()
	case 0x93: // STACK_GLOBAL
		v, err := m.popN(2)
		if err != nil {
			return nil, err
		}
		module, ok := v[0].(string)
		name, ok2 := v[1].(string)
		if !ok || !ok2 {
			return nil, errors.New("a class whose name is no string")
		}
		return m.class(module, name)
	case 'Q': // BINPERSID
		v, err := m.pop()
		if err != nil {
			return nil, err
		}
		id, ok := v.(*Tuple)
		if !ok || m.load == nil {
			return nil, fmt.Errorf("a persistent id that is %s", kind(v))
		}
		return m.load(id.Items)
	case 'P': // PERSID
		return nil, errors.New("a persistent id in text (pickle protocol 0)")
	case 'i': // INST
		c, err := m.named()
		if err != nil {
			return nil, err
		}
		args, err := m.popMark()
		if err != nil {
			return nil, err
		}
		return m.call(c, args)
	case 'o': // OBJ
		v, err := m.popMark()
		if err != nil || len(v) == 0 {
			return nil, errors.Join(err, errors.New("there is no class"))
		}
		return m.call(v[0], v[1:])
	}
	n := 2
	if op == 0x92 { // NEWOBJ_EX: class, args, keyword args
		n = 3
	}
	v, err := m.popN(n) // REDUCE, NEWOBJ
	if err != nil {
		return nil, err
	}
	args, ok := v[1].(*Tuple)
	if !ok {
		return nil, fmt.Errorf("arguments that are %s, expected a tuple", kind(v[1]))
	}
	return m.call(v[0], args.Items)
}

// named reads the two lines that name a class: module and name.
func (m *machine) named() (Class, error) {
	module, err := m.src.line()
	if err != nil {
		return "", err
	}
	name, err := m.src.line()
	if err != nil {
		return "", err
	}
	return m.class(module, name)
}
