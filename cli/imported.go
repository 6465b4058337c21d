package cli

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// reportImport tells what a model was made of.
func (e *env) reportImport(c *cli.Context, im *imported, status string) error {
	out := c.String("out")
	own := object{{"arch", im.spec.Arch}, {"classes", classes(im.model)}, {"spec", im.spec}, {"notes", list(im.notes)}}
	if n := im.network; n != nil {
		own = append(own, object{
			{"format", im.file.Format}, {"layout", n.Layout}, {"tensors", len(n.Tensors)}, {"dropped", list(n.Dropped)},
			{"skipped", list(n.Skipped)}, {"fields", list(im.file.Fields())}, {"not_executed", list(im.file.Classes())},
		}...)
	}
	if e.json {
		e.print(e.result("rtx.import/1", status, out, own))
		return nil
	}
	if n := im.network; n != nil {
		e.note("%s, %d classes, %d tensors: %s, %s", im.spec.Arch, classes(im.model), len(n.Tensors), im.file.Format, n.Layout)
		if inert := im.file.Classes(); len(inert) > 0 {
			e.note("%d classes of the pickle were read as data and not executed; rtx inspect lists them", len(inert))
		}
	}
	for _, n := range im.notes {
		e.note("%s", n)
	}
	if status == "cached" {
		e.note("nothing to do: it is there")
	}
	fmt.Fprintln(e.stdout, out)
	return nil
}

// writeKeyMap writes what each tensor was called, and what was left out.
func writeKeyMap(ctx context.Context, name string, n *torch.Network) error {
	rows := [][]string{{"name", "key", "left_out"}}
	for _, t := range n.Tensors {
		rows = append(rows, []string{t.Name, n.Keys[t.Name], ""})
	}
	for _, d := range n.Dropped {
		rows = append(rows, []string{"", d.Key, d.Why})
	}
	return writeFile(ctx, name, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(rows) })
}

// isCheckpoint tells what rtx import takes from other files.
func isCheckpoint(kind string) bool {
	return strings.HasPrefix(kind, torchKind) || strings.HasPrefix(kind, "safetensors")
}

// importedModel is the model of a checkpoint, made when it is first asked for
// and kept in the user's cache under the checkpoint's SHA-256. Normalisation is
// in its Spec, so that flags can change it.
func (e *env) importedModel(path string, claim *assets.Checkpoint) (*onnx.Model, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("the folder of imported models: %w", err)
	}
	sum, err := fileSum(path)
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
	im, err := readCheckpoint(path, claim, importConfig{arch: "auto", index: -1})
	if err != nil {
		return nil, err
	}
	defer im.close()
	if im.spec.Source.SHA256 != sum {
		return nil, fmt.Errorf("%q changed while it was read", path)
	}
	e.note("importing %s: %s, %d classes, %s", path, im.spec.Arch, classes(im.model), im.network.Layout)
	for _, n := range im.notes {
		e.note("%s", n)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return nil, err
	}
	if err := im.model.Save(file); err != nil {
		return nil, err
	}
	for _, n := range im.odd.notes() {
		e.note("%s", n)
	}
	return onnx.Load(file)
}

// importVersion grows when an import becomes another model than before.
const importVersion = 1

func outputsOf(i onnx.Info) string {
	var out []string
	for _, v := range i.Outputs {
		out = append(out, fmt.Sprintf("%s %s [%s]", v.Name, v.DType, strings.Join(v.Shape, ",")))
	}
	return strings.Join(out, ", ")
}

// checkpointTable and checkpointObject tell what a checkpoint holds.
func checkpointTable(path, sum string, im *imported) [][2]string {
	n, f := im.network, im.file
	rows := [][2]string{{"file", filepath.Base(path)}, {"sha256", sum}, {"format", "PyTorch, " + f.Format}, {"layout", n.Layout}}
	if f.Format == "safetensors" {
		rows[2][1] = f.Format
	}
	arch := im.spec.Arch
	if im.model == nil {
		arch = "not recognised"
	} else {
		arch += fmt.Sprintf(", %d classes", classes(im.model))
	}
	var elements, bytes int64
	for _, t := range n.Tensors {
		elements, bytes = elements+t.Elements(), bytes+t.Size()
	}
	rows = append(rows, [2]string{"arch", arch}, [2]string{"tensors", fmt.Sprintf("%d, %d values, %.1f MB", len(n.Tensors), elements, float64(bytes)/1e6)})
	if n.Mean != nil {
		rows = append(rows, [2]string{"normalizer", fmt.Sprintf("mean %v, std %v, clamp %v", n.Mean, n.Std, n.Clamp)})
	}
	for _, d := range first(n.Dropped, 5) {
		rows = append(rows, [2]string{"left out", d.Key + ": " + d.Why})
	}
	if more := len(n.Dropped) - 5; more > 0 {
		rows = append(rows, [2]string{"left out", fmt.Sprintf("and %d more (rtx import --key-map lists them)", more)})
	}
	for _, x := range f.Fields() {
		rows = append(rows, [2]string{x.Key, fmt.Sprint(x.Value)})
	}
	for _, u := range f.Classes() {
		rows = append(rows, [2]string{"not executed", fmt.Sprintf("%s, %d times", u.Class, u.Calls)})
	}
	for _, p := range im.notes {
		rows = append(rows, [2]string{"note", p})
	}
	return rows
}

// list is s as JSON has it where it is empty: [].
func list[T any](s []T) []T { return append([]T{}, s...) }

func first[T any](s []T, n int) []T { return s[:min(n, len(s))] }

func checkpointObject(path, sum string, im *imported) object {
	type tensor struct {
		Name  string  `json:"name"`
		DType string  `json:"dtype"`
		Shape []int64 `json:"shape"`
		Key   string  `json:"key"`
	}
	n := im.network
	tensors := []tensor{}
	for _, t := range n.Tensors {
		tensors = append(tensors, tensor{t.Name, strings.ToLower(t.DType.String()), append([]int64{}, t.Dims...), n.Keys[t.Name]})
	}
	o := object{
		{"file", filepath.Base(path)}, {"sha256", sum}, {"format", im.file.Format}, {"layout", n.Layout}, {"arch", im.spec.Arch},
		{"mean", n.Mean}, {"std", n.Std}, {"clamp", n.Clamp}, {"tensors", tensors}, {"dropped", list(n.Dropped)},
		{"fields", list(im.file.Fields())}, {"not_executed", list(im.file.Classes())}, {"problems", list(im.notes)},
	}
	if im.model != nil {
		o = append(o, object{{"classes", classes(im.model)}}...)
	}
	return o
}
