package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
// the checkpoint does not say it, and what of the checkpoint is not in the model.
func importNotes(im *checkpoint.Imported) []string {
	notes := append(networkNotes(im), detectorNotes(im)...)
	switch im.Normalization {
	case checkpoint.NormalizedByNetwork:
		return append(notes, "it normalises its input itself")
	case checkpoint.NotNormalized:
		return append(notes, "no normalisation")
	case checkpoint.NormalizedByArch:
		return append(notes, fmt.Sprintf("the checkpoint has no mean and std: those that %s is published with, %v and %v", im.Spec.Arch, im.Mean, im.Std))
	}
	return notes
}

// networkNotes says which network of a checkpoint the model is, and what was left out
// or computed.
func networkNotes(im *checkpoint.Imported) []string {
	var notes []string
	var others []string
	for i, p := range im.Networks {
		if i != im.Index && p.Arch != "" {
			others = append(others, fmt.Sprintf("%d is %s (%s)", i, p.Where, p.Arch))
		}
	}
	if others != nil {
		notes = append(notes, fmt.Sprintf("the checkpoint holds %d networks, and this is %s; rtx import --index takes another: %s", 1+len(others), im.Networks[im.Index].Where, someOf(others)))
	}
	if im.Classes == 0 {
		note := fmt.Sprintf("it has no head: it gives %d features and no logits", im.Model.Width("features"))
		if n := len(im.Head); n > 0 {
			note += fmt.Sprintf("; the head of the checkpoint, of %s, is not the network's own and is left out", tensors(n))
		}
		notes = append(notes, note)
	}
	var beside []string
	count := 0
	for _, g := range im.Beside() {
		count += g.Tensors
		beside = append(beside, g.Name+" ("+fmt.Sprint(g.Tensors)+")")
	}
	if count > 0 {
		notes = append(notes, fmt.Sprintf("left out, and not given back by rtx export: %s beside the network, %s", tensors(count), someOf(beside)))
	}
	if made := im.Network.Computed; len(made) > 0 {
		var hows []string
		for _, m := range made {
			if !slices.Contains(hows, m.How) {
				hows = append(hows, m.How)
			}
		}
		notes = append(notes, fmt.Sprintf("weights that are computed of several tensors each, and given back as such by rtx export: %d (%s)", len(made), strings.Join(hows, ", ")))
	}
	return notes
}

func tensors(n int) string {
	if n == 1 {
		return "1 tensor"
	}
	return fmt.Sprint(n, " tensors")
}

// someOf lists the first few of many.
func someOf(list []string) string {
	const most = 6
	if more := len(list) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), more)
	}
	return strings.Join(list, ", ")
}

// summary names the network of a checkpoint and how many classes it has.
func summary(im *checkpoint.Imported) string {
	if im.Classes == 0 {
		return im.Spec.Arch + ", no head"
	}
	return fmt.Sprintf("%s, %d classes", im.Spec.Arch, im.Classes)
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
	e.note("importing %s: %s, %s", path, summary(im), im.Network.Layout)
	for _, n := range importNotes(im) {
		e.note("%s", n)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return nil, err
	}
	m, err := deployable(im.Model)
	if err == nil {
		err = m.Save(file)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range defects(im) {
		e.note("%s", n)
	}
	return onnx.Load(file)
}

// importVersion grows when an import becomes another model than before.
const importVersion = 4
