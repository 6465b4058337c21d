package catalogue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// Add copies a file into the folder under the name of a description, and reports
// whether it had to: the same file may be there already under this name. What the
// description leaves out is taken from the file. Errors are a *TakenError where
// the name is another model's, or wrap ErrRefused or onnx.ErrFormat.
func (c *Catalogue) Add(ctx context.Context, description assets.Checkpoint, file string, o Options) (m *Model, added bool, err error) {
	unlock, err := c.lock(ctx, description.Name, o.Waiting)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	copied := filepath.Join(c.Dir, "."+description.Name+".add"+filepath.Ext(file))
	defer os.Remove(copied)
	if err := copyFile(ctx, file, copied); err != nil {
		return nil, false, err
	}
	r, err := examine(description, copied, "")
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, fmt.Errorf("%q keeps weights in other files: %w", file, onnx.ErrFormat)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%q: %w", file, err)
	}
	if r.Source, err = filepath.Abs(file); err != nil {
		return nil, false, err
	}
	r.Added = true
	old := c.Find(description.Name)
	if old != nil {
		same, err := c.compare(old, r, o.Overwrite)
		if same && old.Bundled {
			err = c.unpack(old)
		}
		if err != nil || same {
			return old, false, err
		}
	}
	m = &Model{Checkpoint: description, Added: true}
	if err := c.keep(m, copied, r); err != nil {
		return nil, false, err
	}
	if old != nil && old.File != m.File {
		os.Remove(c.Path(old))
	}
	return m, true, nil
}

// compare reports whether a model is the file of the record already. Another
// file is a *TakenError, unless it may be overwritten.
func (c *Catalogue) compare(old *Model, r Record, overwrite bool) (same bool, err error) {
	sum, _ := c.Digest(old)
	same = sum == r.Model.SHA256 && (old.Bundled || c.Has(old))
	switch {
	case same && (!old.Added || old.Kept.Model == r.Model):
		return true, nil
	case old.Added && overwrite:
		return false, nil
	}
	return false, &TakenError{Model: old, File: r, Same: same}
}

// Describe completes the description of a file by what the file says of itself:
// an ONNX file may know its architecture and the adversary it was trained against.
// An architecture that contradicts the file is a *checkpoint.ClaimError.
func Describe(m assets.Checkpoint, file string) (assets.Checkpoint, error) {
	if filepath.Ext(file) != ".onnx" {
		return m, nil
	}
	loaded, err := onnx.Load(file)
	if err != nil {
		return m, err
	}
	spec, _, err := loaded.Spec()
	if err != nil && !errors.Is(err, onnx.ErrNoImageInput) {
		return m, err
	}
	if err := (checkpoint.Claim{Name: m.Name, Arch: m.Arch}).Check(spec.Arch, 0); err != nil {
		return m, err
	}
	m.Arch = spec.Arch
	if r := spec.Robustness; r != nil && m.Norm == "" {
		m.Norm, m.Eps = r.Norm, r.Eps
	}
	return m, nil
}
