package torch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// Every file of the legacy format begins with this number and this version.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const legacyVersion = 1001

// readLegacy reads the format of PyTorch before 1.6. It is a sequence of five
// pickles, of the magic number, the version, facts about the machine, the object
// that was saved and the keys of its storages; then come the storages, each
// preceded by its number of values as an int64.
//
// A pickle of another kind is read, too, if it is a dict that holds numpy arrays, as
// the files of Detectron2's model zoo are.
func (f *File) readLegacy() error {
	m := &machine{src: newSource(io.NewSectionReader(f.r, 0, f.size)), classes: f.classes}
	first, err := m.run()
	if n, ok := first.(*big.Int); err != nil || !ok || n.Cmp(magic) != 0 {
		if f.size > 0 && err != nil && m.src.n >= f.size {
			return err
		}
		if d, ok := first.(*Dict); ok && err == nil && m.src.n == f.size && holdsTensors(d, map[any]bool{}, 0) {
			f.Format, f.Value, f.read = "pickle", d, m.src.n
			return nil
		}
		return errors.New("this is a pickle, but not one of torch.save")
	}
	version, err := m.run()
	if err != nil {
		return err
	}
	if version != int64(legacyVersion) {
		return fmt.Errorf("version of the file %s, expected %d", kind(version), legacyVersion)
	}
	if _, err := m.run(); err != nil {
		return err
	}
	l := &legacy{f: f, blobs: map[string]*legacyBlob{}}
	m.load = l.storage
	if f.Value, err = m.run(); err != nil {
		return err
	}
	m.load = nil
	keys, err := m.run()
	if err != nil {
		return err
	}
	f.read = m.src.n
	return l.place(keys)
}

// legacy locates the storages of a file.
type legacy struct {
	f     *File
	blobs map[string]*legacyBlob
}

type legacyBlob struct {
	blob
	item int64 // size of one value in bytes
	n    int64 // number of values
}

// storage resolves a persistent id. It is a tuple of "storage", storage class,
// key, device, number of values, and either nil or a tuple of key, offset and
// number of values, for a part of the storage; or a tuple of "module", class,
// source file and source text, of which the class is taken.
func (l *legacy) storage(id []any) (any, error) {
	if len(id) == 4 && id[0] == "module" {
		return id[1], nil
	}
	if len(id) != 6 && len(id) != 5 {
		return nil, fmt.Errorf("a persistent id of %d parts, expected 6", len(id))
	}
	key, n, err := storageKey(id)
	if err != nil {
		return nil, err
	}
	dtype, known := storageType(id[1])
	if !known {
		return nil, fmt.Errorf("a storage that is %s: its size is not known", kind(id[1]))
	}
	item := itemSizes[dtype]
	b := l.blobs[key]
	if b == nil {
		b = &legacyBlob{item: item, n: n}
		b.name, b.src, b.cache = key, l.f.r, l.f.cache
		l.blobs[key] = b
	}
	if n < 0 || n > l.f.size/item || n != b.n || item != b.item {
		return nil, fmt.Errorf("storage %q of %d values in a file of %d bytes", key, n, l.f.size)
	}
	s := &storage{blob: &b.blob, dtype: dtype, n: n}
	if len(id) == 5 || id[5] == nil {
		return s, nil
	}
	part, ok := id[5].(*Tuple)
	if !ok || len(part.Items) != 3 {
		return nil, fmt.Errorf("storage %q: a part that is %s", key, kind(id[5]))
	}
	first, ok := part.Items[1].(int64)
	count, ok2 := part.Items[2].(int64)
	if !ok || !ok2 || first < 0 || count < 0 || first > n || count > n-first {
		return nil, fmt.Errorf("storage %q: a part beyond its %d values", key, n)
	}
	s.first, s.n = first, count
	return s, nil
}

// place locates the bytes of the storages, which follow the list of their keys.
func (l *legacy) place(keys any) error {
	list, ok := keys.(*List)
	if !ok {
		return fmt.Errorf("the storages' keys are %s, expected a list", kind(keys))
	}
	at := l.f.read
	placed := map[*legacyBlob]bool{}
	for _, k := range list.Items {
		key, _ := k.(string)
		b := l.blobs[key]
		if b == nil || placed[b] {
			return fmt.Errorf("storage %q is there without need", key)
		}
		var count [8]byte
		if _, err := l.f.r.ReadAt(count[:], at); err != nil {
			return fmt.Errorf("truncated: it ends before storage %q", key)
		}
		n := binary.LittleEndian.Uint64(count[:])
		if n != uint64(b.n) {
			return fmt.Errorf("storage %q has %d values, expected %d", key, n, b.n)
		}
		b.at, b.size, placed[b] = at+8, b.n*b.item, true
		if b.size > l.f.size-b.at {
			return fmt.Errorf("truncated: storage %q needs %d bytes more than the file's %d", key, b.at+b.size-l.f.size, l.f.size)
		}
		at = b.at + b.size
	}
	if len(placed) != len(l.blobs) {
		return fmt.Errorf("%d storages are missing", len(l.blobs)-len(placed))
	}
	return nil
}
