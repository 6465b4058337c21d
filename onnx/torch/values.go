package torch

import "iter"

// Bytes is a value of Python's bytes or bytearray.
type Bytes string

// Class is a class or function that a pickle names: module and name with a dot
// between.
type Class string

// List is a list of Python.
type List struct{ Items []any }

// Tuple is a tuple of Python.
type Tuple struct{ Items []any }

// Set is a set or frozenset of Python.
type Set struct{ Items []any }

// Object is what is left of an instance, or of a call, of a class that this
// package does not know.
type Object struct {
	Class Class
	Args  []any // of the constructor or call
	State any   // the attributes, mostly a *Dict
	Dict  *Dict // entries, of a kind of dict
	List  *List // elements, of a kind of list or set
}

// attr is an attribute of an object, nil where there is none.
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

// Dict is a dict of Python, in the order of insertion. Keys that are containers
// are the same only if they are one object.
type Dict struct {
	keys, values []any
	place        map[any]int // made once there are many keys
}

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.keys) }

// Get returns the value of a key.
func (d *Dict) Get(key any) (any, bool) {
	if i := d.find(key); i >= 0 {
		return d.values[i], true
	}
	return nil, false
}

// All yields the entries.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for i, k := range d.keys {
			if !yield(k, d.values[i]) {
				return
			}
		}
	}
}

// find is the index of a key, or -1. Every value of a pickle is comparable.
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
