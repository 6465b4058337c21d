package torch

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// readZip reads the format of PyTorch 1.6 and later: a zip archive with an entry
// TOP/data.pkl, and TOP/data/KEY for every storage.
func (f *File) readZip() error {
	z, err := zip.NewReader(f.r, f.size)
	if err != nil {
		return fmt.Errorf("a zip archive that is truncated or damaged (%w)", err)
	}
	entries := make(map[string]*zip.File, len(z.File))
	top, found := "", false
	for _, e := range z.File {
		if _, twice := entries[e.Name]; twice {
			return fmt.Errorf("the archive has two entries %q", e.Name)
		}
		entries[e.Name] = e
		if path.Base(e.Name) == "data.pkl" && strings.Count(e.Name, "/") <= 1 {
			if found {
				return fmt.Errorf("the archive has two pickles, %q and %q", top+"data.pkl", e.Name)
			}
			top, found = strings.TrimSuffix(e.Name, "data.pkl"), true
		}
	}
	switch {
	case !found:
		return notTorch(entries)
	case entries[top+"constants.pkl"] != nil:
		return errors.New("this is a TorchScript archive (torch.jit.save); save the module's state_dict() instead")
	}
	if err := littleEndian(entries[top+"byteorder"]); err != nil {
		return err
	}
	return f.readPickle(entries[top+"data.pkl"], zipStorages(f, top, entries))
}

func notTorch(entries map[string]*zip.File) error {
	for name := range entries {
		if strings.HasSuffix(name, ".npy") {
			return errors.New("this is an archive of numpy arrays (.npz)")
		}
	}
	return errors.New("a zip archive without data.pkl: not written by torch.save")
}

// littleEndian refuses archives written on big-endian machines.
func littleEndian(e *zip.File) error {
	if e == nil {
		return nil
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 16))
	if err == nil && strings.TrimSpace(string(b)) != "little" {
		err = fmt.Errorf("byte order %q, expected little", b)
	}
	return err
}

// readPickle reads data.pkl. A wrong checksum is reported before any other
// error, because it explains them.
func (f *File) readPickle(e *zip.File, load func([]any) (any, error)) error {
	if inflated(e) {
		return fmt.Errorf("%d bytes of data.pkl are compressed to %d", e.UncompressedSize64, e.CompressedSize64)
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	m := &machine{src: newSource(r), load: load, classes: f.classes}
	f.Value, err = m.run()
	f.read = m.src.n
	if _, e := io.Copy(io.Discard, m.src.buf); errors.Is(e, zip.ErrChecksum) {
		return errors.New("data.pkl: checksum error")
	} else if err == nil {
		err = e
	}
	return err
}

// zipStorages resolves the persistent ids of a zip archive, each a tuple of
// "storage", storage class, key, device, number of values.
func zipStorages(f *File, top string, entries map[string]*zip.File) func([]any) (any, error) {
	blobs := map[string]*blob{}
	return func(id []any) (any, error) {
		if len(id) != 5 {
			return nil, fmt.Errorf("a persistent id of %d parts, expected 5", len(id))
		}
		key, n, err := storageKey(id)
		if err != nil {
			return nil, err
		}
		dtype, known := storageType(id[1])
		if !known {
			return unknownStorage(id), nil
		}
		b := blobs[key]
		if b == nil {
			e := entries[top+"data/"+key]
			if e == nil {
				return nil, fmt.Errorf("storage %q is not in the archive", key)
			}
			b = &blob{name: e.Name, src: f.r, size: int64(e.UncompressedSize64), entry: e, cache: f.cache}
			if b.size < 0 || e.Method == zip.Store && (e.CompressedSize64 != e.UncompressedSize64 || b.size > f.size) {
				return nil, fmt.Errorf("storage %q of %d bytes in %d", key, e.UncompressedSize64, e.CompressedSize64)
			}
			blobs[key] = b
		}
		if n < 0 || n > b.size/itemSizes[dtype] {
			return nil, fmt.Errorf("storage %q has %d bytes, expected %d values of %d", key, b.size, n, itemSizes[dtype])
		}
		return &storage{blob: b, dtype: dtype, n: n}, nil
	}
}

// storageKey returns the key and the number of values of a persistent id.
func storageKey(id []any) (string, int64, error) {
	key, ok := id[2].(string)
	n, ok2 := id[4].(int64)
	if id[0] != "storage" || !ok || !ok2 {
		return "", 0, errors.New("a persistent id that is not of a storage")
	}
	return key, n, nil
}

// storageType is the element type of a storage class.
func storageType(v any) (dtype pb.TensorProto_DataType, known bool) {
	c, _ := v.(Class)
	if _, known := makers[c]; !known {
		return 0, false
	}
	dtype, known = storageTypes[string(c[strings.LastIndexByte(string(c), '.')+1:])]
	return dtype, known
}

// unknownStorage stands for a storage whose class is not known, such as one of
// quantised numbers.
func unknownStorage(id []any) *Object {
	c, _ := id[1].(Class)
	return &Object{Class: c, Args: id}
}
