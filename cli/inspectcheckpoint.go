package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// inspected is a checkpoint, and what became of an attempt to make a model of it.
type inspected struct {
	*checkpoint.Checkpoint
	name, sum string
	arch      string // "": not recognised
	known     bool   // the model is what it should be
	classes   int
	notes     []string
}

// inspectCheckpoint prints what a checkpoint holds, even if its architecture is not
// recognised.
func (e *env) inspectCheckpoint(path string, claim *assets.Checkpoint, index int) error {
	ckpt, err := checkpoint.Open(path, index)
	if err != nil {
		return err
	}
	defer ckpt.Close()
	i := inspected{Checkpoint: ckpt, name: filepath.Base(path)}
	if i.sum, err = ckpt.SHA256(); err != nil {
		return err
	}
	im, err := ckpt.Import(checkpoint.Config{})
	if err == nil {
		i.arch, i.classes, i.notes = im.Spec.Arch, im.Classes, importNotes(im)
		err = claimOf(claim).Check(i.arch, i.classes)
	}
	if i.known = err == nil; !i.known {
		i.notes = append(i.notes, plainly(err))
	}
	if e.json {
		e.print(e.result("rtx.inspect/1", "done", "", i.object()))
		return nil
	}
	e.table(i.table())
	return nil
}

// plainly is the text of an error about tensors without the file's name.
func plainly(err error) string {
	var m *arch.Mismatch
	if errors.As(err, &m) {
		return m.Error()
	}
	return err.Error()
}

func (i inspected) table() [][2]string {
	n, f := i.Network, i.File
	rows := [][2]string{{"file", i.name}, {"sha256", i.sum}, {"format", "PyTorch, " + f.Format}, {"layout", n.Layout}}
	if f.Format == "safetensors" {
		rows[2][1] = f.Format
	}
	arch := "not recognised"
	if i.known {
		if arch = fmt.Sprintf("%s, %d classes", i.arch, i.classes); i.classes == 0 {
			arch = i.arch + ", no head"
		}
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
	for _, p := range i.notes {
		rows = append(rows, [2]string{"note", p})
	}
	return rows
}

// list is s, but never nil, so that JSON has [] and not null.
func list[T any](s []T) []T { return append([]T{}, s...) }

func first[T any](s []T, n int) []T { return s[:min(n, len(s))] }

func (i inspected) object() object {
	type tensor struct {
		Name  string  `json:"name"`
		DType string  `json:"dtype"`
		Shape []int64 `json:"shape"`
		Key   string  `json:"key"`
	}
	n := i.Network
	tensors := []tensor{}
	for _, t := range n.Tensors {
		tensors = append(tensors, tensor{t.Name, strings.ToLower(t.DType.String()), append([]int64{}, t.Dims...), n.Keys[t.Name]})
	}
	o := object{
		{"file", i.name}, {"sha256", i.sum}, {"format", i.File.Format}, {"layout", n.Layout}, {"arch", i.arch},
		{"mean", n.Mean}, {"std", n.Std}, {"clamp", n.Clamp}, {"tensors", tensors}, {"dropped", list(n.Dropped)},
		{"networks", list(i.Networks)}, {"index", i.Index}, {"head", list(i.Head)}, {"beside", list(i.Beside())}, {"computed", list(n.Computed)},
		{"fields", list(i.File.Fields())}, {"not_executed", list(i.File.Classes())}, {"problems", list(i.notes)},
	}
	if i.known {
		o = append(o, object{{"classes", i.classes}}...)
	}
	return o
}
