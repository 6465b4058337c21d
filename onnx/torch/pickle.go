package torch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// machine runs the opcodes of pickles of protocols 0 to 5, which Python's
// Lib/pickletools.py describes one by one. It does not recurse, and it allocates
// in proportion to what it has read.
type machine struct {
	src     *source
	stack   []any
	marks   []int // positions in the stack
	memo    map[uint64]any
	load    func(id []any) (any, error) // returns what a persistent id stands for
	classes map[Class]int               // the calls of each class that is not known
	copied  int64                       // bytes copied from values rather than read
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

// charge accounts for n bytes that are copied from values. It refuses pickles
// that copy one large value again and again.
func (m *machine) charge(n int) error {
	m.copied += int64(n)
	if m.copied > 1<<16+16*m.src.n {
		return errors.New("copies the same values again and again")
	}
	return nil
}

var errStack = errors.New("the stack is empty")

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// floor is the position of the last mark, below which nothing is popped.
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

// popN pops n values, returned in the order in which they were pushed.
func (m *machine) popN(n int) ([]any, error) {
	if len(m.stack)-m.floor() < n {
		return nil, errStack
	}
	v := slices.Clone(m.stack[len(m.stack)-n:])
	m.stack = m.stack[:len(m.stack)-n]
	return v, nil
}

// popMark pops the last mark and the values above it.
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

// remember runs the opcodes that store into the memo and fetch from it.
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
