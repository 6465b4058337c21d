package cli

import (
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/onnx"
)

// inspectValues lists what the network of a MODEL computes, whose file is given.
func (e *env) inspectValues(model, file string) error {
	m, err := e.loadModel(model)
	if err != nil {
		return err
	}
	values := []object{}
	rows := [][]string{{"value", "type", "shape", "operator", "also"}}
	for _, v := range m.Values() {
		dtype, shape := dtypeText(v.Value), v.ShapeStrings()
		var known any // null
		text := "?"
		if v.Known {
			known, text = shape, "["+strings.Join(shape, ",")+"]"
		}
		values = append(values, object{{"name", v.Name}, {"dtype", dtype}, {"shape", known}, {"operator", v.Operator}, {"aliases", append([]string{}, v.Aliases...)}})
		rows = append(rows, []string{v.Name, dtype, text, v.Operator, strings.Join(v.Aliases, ", ")})
	}
	if e.json {
		info := m.Inspect()
		if m.Path() != file && info.Spec != nil && info.Spec.Source != nil { // a checkpoint, imported into the cache
			info.File, info.SHA256 = filepath.Base(file), info.Spec.Source.SHA256
		}
		e.print(e.result("rtx.inspect/1", "done", "", append(inspectObject(info), object{{"values", values}}...)))
		return nil
	}
	return report.Table(e.stdout, rows)
}

// dtypeText is the element type of a value, "?" where it is not known.
func dtypeText(v onnx.Value) string {
	if v.DType == 0 {
		return "?"
	}
	return strings.ToLower(v.DType.String())
}
