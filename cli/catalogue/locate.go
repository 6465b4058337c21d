package catalogue

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/assets"
)

// IsFile reports whether the text with which a user names a model is that of a
// file: one that exists, or a path.
func IsFile(model string) bool {
	_, err := os.Stat(model)
	return !errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(model, filepath.Separator)
}

// Locate finds the file of a model by its name. A bundled backbone is written
// into the folder. The error is a *MissingError where the file has to be fetched
// first, and an *UnknownError where no model has the name.
//
// A name with the extension of a model is that of a file, which does not exist:
// Locate returns it as it is, without a Model, or an *UnknownError where the name
// without its extension is a model's.
func (c *Catalogue) Locate(name string) (file string, m *Model, err error) {
	if ext := filepath.Ext(name); slices.Contains(Extensions, ext) {
		if m := c.Find(strings.TrimSuffix(name, ext)); m != nil {
			return "", nil, &UnknownError{Name: name, Model: m}
		}
		return name, nil, nil
	}
	if m = c.Find(name); m == nil {
		return "", nil, &UnknownError{Name: name}
	}
	if m.Bundled {
		return c.Path(m), m, c.unpack(m)
	}
	if !c.Has(m) {
		return "", nil, &MissingError{m}
	}
	return c.Path(m), m, nil
}

// unpack writes a bundled backbone into the folder, where it is not there.
func (c *Catalogue) unpack(m *Model) error {
	want, err := assets.Backbones.ReadFile("backbones/" + m.File)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(c.Path(m)); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Dir, ".unpack-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(want); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.Path(m))
}
