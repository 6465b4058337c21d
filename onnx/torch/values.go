package torch

import "iter"

// Bytes is a Python bytes or bytearray.
type Bytes string

// Class is the full name of a Python class or function: "argparse.Namespace".
type Class string

// List is a Python list.
type List struct{ Items []any }

// Tuple is a Python tuple.
type Tuple struct{ Items []any }

// Set is a Python set or frozenset.
type Set struct{ Items []any }

// Object stands for an instance of a class, or the result of a function, that
// this package does not know. It holds what the pickle says and does nothing.
type Object struct {
	Class Class
	Args  []any // of the constructor or call
	State any   // the attributes, mostly a *Dict
	Dict  *Dict // the entries, if the class derives from dict
	List  *List // the elements, if the class derives from list or set
}

// attr is an attribute of an object: nil if it has none of that name.
func (o *Object) attr(name string) any {
	state := o.State
	if t, ok := state.(*Tuple); ok && len(t.Items) == 2 { // attributes, slots
		state = t.Items[0]
	}
	if d, ok := state.(*Dict); ok {
		v, _ := d.Get(name)
		return v
	}
	return nil
}

// Dict is a Python dict, in the order of insertion. Keys that are containers are
// equal only if they are the same object.
type Dict struct {
	keys, values []any
	place        map[any]int // index of each key; nil while there are few
}

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.keys) }

// Get returns the value of a key, and whether the dict has the key.
func (d *Dict) Get(key any) (any, bool) {
	if i := d.find(key); i >= 0 {
		return d.values[i], true
	}
	return nil, false
}

// All yields the entries, key and value, in order.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for i, k := range d.keys {
			if !yield(k, d.values[i]) {
				return
			}
		}
	}
}

// find returns the index of a key, or -1. Every value of a pickle is comparable.
func (d *Dict) find(key any) int {
	if d.place != nil {
		if i, ok := d.place[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if k == key {
			return i
		}
	}
	return -1
}

func (d *Dict) set(key, value any) {
	if i := d.find(key); i >= 0 {
		d.values[i] = value
		return
	}
	d.keys, d.values = append(d.keys, key), append(d.values, value)
	switch {
	case d.place != nil:
		d.place[key] = len(d.keys) - 1
	case len(d.keys) > 8:
		d.place = make(map[any]int, 2*len(d.keys))
		for i, k := range d.keys {
			d.place[k] = i
		}
	}
}
