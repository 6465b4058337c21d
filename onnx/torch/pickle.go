package torch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// machine runs the opcodes of pickles, protocols 0 to 5 (Python's
// Lib/pickletools.py describes each). It does not recurse, and what it
// allocates is bounded by what it has read.
type machine struct {
	src     *source
	stack   []any
	marks   []int // places in the stack
	memo    map[uint64]any
	load    func(id []any) (any, error) // what a persistent id stands for
	classes map[Class]int               // that are not known, with the calls of each
	copied  int64                       // bytes that were made of values, not of input
}

// run runs one pickle and returns the object that it makes.
func (m *machine) run() (any, error) {
	m.stack, m.marks, m.memo = nil, nil, map[uint64]any{}
	for {
		op, err := m.src.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			return m.pop()
		}
		if err := m.step(op); err != nil {
			return nil, fmt.Errorf("pickle opcode %q at byte %d: %w", op, m.src.n-1, err)
		}
	}
}

// charge accounts for n bytes that are copied from values: repeated copies of
// one large value are refused.
func (m *machine) charge(n int) error {
	m.copied += int64(n)
	if m.copied > 1<<16+16*m.src.n {
		return errors.New("copies the same values again and again")
	}
	return nil
}

var errStack = errors.New("the stack is empty")

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() (any, error) {
	v, err := m.top()
	if err == nil {
		m.stack = m.stack[:len(m.stack)-1]
	}
	return v, err
}

func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errStack
	}
	return m.stack[len(m.stack)-1], nil
}

// popN takes n values off the stack.
func (m *machine) popN(n int) ([]any, error) {
	if len(m.stack)-m.floor() < n {
		return nil, errStack
	}
	v := slices.Clone(m.stack[len(m.stack)-n:])
	m.stack = m.stack[:len(m.stack)-n]
	return v, nil
}

// popMark takes the values above the last mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("there is no mark")
	}
	v := slices.Clone(m.stack[m.floor():])
	m.stack = m.stack[:m.floor()]
	m.marks = m.marks[:len(m.marks)-1]
	return v, nil
}

// step runs one opcode other than STOP.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.src.byte()
		if err == nil && v > 5 {
			err = fmt.Errorf("protocol %d is not known", v)
		}
		return err
	case 0x95: // FRAME
		_, err := m.src.number(8)
		return err
	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
		return nil
	case '0': // POP
		if len(m.marks) > 0 && len(m.stack) == m.floor() {
			m.marks = m.marks[:len(m.marks)-1]
			return nil
		}
		_, err := m.pop()
		return err
	case '1': // POP_MARK
		_, err := m.popMark()
		return err
	case '2': // DUP
		v, err := m.top()
		m.push(v)
		return err
	case 0x98: // READONLY_BUFFER
		return nil
	case 'p', 'q', 'r', 0x94, 'g', 'h', 'j':
		return m.remember(op)
	case 'a', 'e', 's', 'u', 0x90:
		return m.fill(op)
	case 'b': // BUILD
		v, err := m.popN(2)
		if err != nil {
			return err
		}
		m.push(v[0])
		return m.build(v[0], v[1])
	case 'c', 0x93, 'R', 0x81, 0x92, 'i', 'o', 'P', 'Q':
		v, err := m.object(op)
		m.push(v)
		return err
	}
	v, err := m.value(op)
	m.push(v)
	return err
}

// remember runs the opcodes of the memo.
func (m *machine) remember(op byte) error {
	var key uint64
	var err error
	switch op {
	case 'p', 'g': // PUT, GET
		var line string
		if line, err = m.src.line(); err == nil {
			key, err = strconv.ParseUint(line, 10, 64)
		}
	case 'q', 'h': // BINPUT, BINGET
		key, err = m.src.number(1)
	case 'r', 'j': // LONG_BINPUT, LONG_BINGET
		key, err = m.src.number(4)
	case 0x94: // MEMOIZE
		key = uint64(len(m.memo))
	}
	if err != nil {
		return err
	}
	if op == 'g' || op == 'h' || op == 'j' {
		v, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("nothing is remembered as %d", key)
		}
		m.push(v)
		return nil
	}
	m.memo[key], err = m.top()
	return err
}

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

// value runs the opcodes that push a value of a builtin type.
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

// text runs the opcodes of strings that give their length.
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

// named reads the two lines that name a class.
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
