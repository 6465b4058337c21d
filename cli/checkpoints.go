package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// claimOf is what the catalogue says of a checkpoint, nil where it has none.
func claimOf(c *assets.Checkpoint) checkpoint.Claim {
	if c == nil {
		return checkpoint.Claim{}
	}
	return checkpoint.Claim{Name: c.Name, Arch: c.Arch, Classes: c.Classes, Norm: c.Norm, Eps: c.Eps}
}

// importNotes says in words how the model of a checkpoint is normalised, where
// the checkpoint does not say it.
func importNotes(im *checkpoint.Imported) []string {
	switch im.Normalization {
	case checkpoint.NormalizedByNetwork:
		return []string{"it normalises its input itself"}
	case checkpoint.NotNormalized:
		return []string{"no normalisation"}
	case checkpoint.NormalizedByArch:
		return []string{fmt.Sprintf("the checkpoint has no mean and std: those that %s is published with, %v and %v", im.Spec.Arch, im.Mean, im.Std)}
	}
	return nil
}

// defects tells of odd weights that were written.
func defects(im *checkpoint.Imported) []string {
	if d, ok := im.Defect(); ok {
		return []string{d.String() + ": the outputs may be no numbers; the checkpoint may be damaged, or its training diverged"}
	}
	return nil
}

// importedModel is the model of a checkpoint, made when it is first asked for
// and kept in the user's cache under the checkpoint's SHA-256. Normalisation is
// in its Spec, so that flags can change it.
func (e *env) importedModel(path string, claim *assets.Checkpoint) (*onnx.Model, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("the folder of imported models: %w", err)
	}
	sum, err := catalogue.FileSHA256(path)
	if err != nil {
		return nil, err
	}
	name := sum
	if claim != nil {
		name += "-" + claim.Name // a name may know of robustness
	}
	file := filepath.Join(dir, "rtx", "imported", fmt.Sprintf("%s-%d.onnx", name, importVersion))
	if m, err := onnx.Load(file); err == nil {
		return m, nil
	}
	im, err := checkpoint.Import(path, checkpoint.Config{NormalizeOutside: true, Claim: claimOf(claim)})
	if err != nil {
		return nil, err
	}
	defer im.Close()
	if im.Spec.Source.SHA256 != sum {
		return nil, fmt.Errorf("%q changed while it was read", path)
	}
	e.note("importing %s: %s, %d classes, %s", path, im.Spec.Arch, im.Classes, im.Network.Layout)
	for _, n := range importNotes(im) {
		e.note("%s", n)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return nil, err
	}
	if err := im.Model.Save(file); err != nil {
		return nil, err
	}
	for _, n := range defects(im) {
		e.note("%s", n)
	}
	return onnx.Load(file)
}

// importVersion grows when an import becomes another model than before.
const importVersion = 1
