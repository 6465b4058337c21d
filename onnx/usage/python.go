// Package usage writes programs that use a model without rtx.
package usage

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Python is a script that runs a model on the images that its arguments name, with
// onnxruntime, NumPy and Pillow, and prints a line for each: its path, then class
// and probability, or the shapes of the outputs where the model is no classifier. Of a
// deployed detector it prints a line for each object.
// It prepares images as the model's Spec says, and computes what rtx predict
// computes. file is the model's file, relative to the folder of the script.
func Python(m *onnx.Model, file string) (string, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return "", err
	}
	var dtype pb.TensorProto_DataType
	for _, v := range m.Inputs() {
		if v.Name == spec.Input {
			dtype = v.DType
		}
	}
	p := &script{spec: spec, input: spec.Input, dtype: numpyTypes[dtype], named: m.Metadata(onnx.ClassesKey) != ""}
	if p.dtype == "" {
		return "", fmt.Errorf("usage: %q: the model has no input %q of pixels: %w", file, spec.Input, onnx.ErrFormat)
	}
	for _, v := range m.Outputs() {
		p.outputs = append(p.outputs, v.Name)
	}
	if d := spec.Detect; d != nil && d.Deployed != nil {
		p.detector(file)
		return strings.Join(p.lines, "\n") + "\n", nil
	}
	if o, err := m.ClassOutput(); err == nil {
		p.scores = o
	}
	p.begin(file)
	p.images()
	p.pixels()
	p.run()
	return strings.Join(p.lines, "\n") + "\n", nil
}

// numpyTypes are NumPy's names of the types that an image input may have.
var numpyTypes = map[pb.TensorProto_DataType]string{
	pb.TensorProto_FLOAT: "float32", pb.TensorProto_FLOAT16: "float16", pb.TensorProto_DOUBLE: "float64",
	pb.TensorProto_UINT8: "uint8", pb.TensorProto_INT8: "int8", pb.TensorProto_INT32: "int32", pb.TensorProto_INT64: "int64",
}

// script is a Python script in the making.
type script struct {
	spec    onnx.Spec
	input   string
	dtype   string // of the input, as NumPy calls it
	named   bool   // the model names its classes
	outputs []string
	scores  onnx.ClassOutput // what "logits" holds
	lines   []string
}

func (p *script) add(format string, a ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, a...))
}

// begin opens the model.
func (p *script) begin(file string) {
	p.add("# python3 SCRIPT IMAGE... (needs onnxruntime, numpy and pillow)")
	p.add("import json, os, sys")
	p.add("import numpy as np, onnxruntime")
	p.add("from PIL import Image")
	p.add("")
	p.add("model = os.path.join(os.path.dirname(os.path.abspath(__file__)), %s)", quoted(file))
	p.add(`session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])`)
	if p.classifies() && p.named {
		p.add(`classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])`)
	}
}

func (p *script) classifies() bool {
	for _, name := range p.outputs {
		if name == "logits" {
			return true
		}
	}
	return false
}

// images reads an image and brings it to the input size, as torchvision's
// transforms do.
func (p *script) images() {
	s := p.spec
	h, w := s.InputSize[0], s.InputSize[1]
	filter := "Image." + map[string]string{"bilinear": "BILINEAR", "bicubic": "BICUBIC"}[s.Interpolation]
	mode := ""
	if s.Channels == "grey" {
		mode = `.convert("L")`
	}
	p.add("for path in sys.argv[1:]:")
	p.add(`    m = Image.open(path).convert("RGB")%s`, mode)
	if s.Crop != "center" {
		p.add("    m = m.resize((%d, %d), %s)", w, h, filter)
		return
	}
	p.add("    w, h = m.size")
	p.add("    w, h = (%[1]d, max(1, int(%[1]d * h / w))) if w <= h else (max(1, int(%[1]d * w / h)), %[1]d)", s.Resize)
	offset := func(size string, crop int) string {
		if s.Resize >= crop {
			return fmt.Sprintf("round((%s - %d) / 2)", size, crop)
		}
		return fmt.Sprintf("round((%[1]s - %[2]d) / 2) if %[1]s >= %[2]d else -((%[2]d - %[1]s) // 2)", size, crop)
	}
	p.add("    left, top = %s, %s", offset("w", w), offset("h", h))
	p.add("    m = m.resize((w, h), %s).crop((left, top, left + %d, top + %d))", filter, w, h)
}

// pixels makes the array that the model takes.
func (p *script) pixels() {
	s := p.spec
	low, width := s.Range[0], s.Range[1]-s.Range[0]
	p.add("    x = np.asarray(m, np.float32)")
	switch {
	case s.Channels == "bgr":
		p.add("    x = x[:, :, ::-1]")
	case s.Channels == "grey":
		p.add("    x = x[:, :, None]")
	}
	if width != 255 {
		p.add("    x = x * %s", product(width, 255))
	}
	if low != 0 {
		p.add("    x = x + (%s)", python(low))
	}
	if !s.Normalized && len(s.Clamp) == 2 {
		p.add("    x = np.clip(x, %s, %s)", python(s.Clamp[0]), python(s.Clamp[1]))
	}
	if !s.Normalized && len(s.Mean) > 0 {
		p.add("    x = x - np.array(%s, np.float32)", list(s.Mean))
	}
	if !s.Normalized && len(s.Std) > 0 {
		p.add("    x = x / np.array(%s, np.float32)", list(s.Std))
	}
	if s.Layout == "nchw" {
		p.add("    x = x.transpose(2, 0, 1)")
	}
}

// run computes the outputs and prints what they say.
func (p *script) run() {
	feed := fmt.Sprintf("{%s: np.ascontiguousarray(x[None], np.%s)}", quoted(p.input), p.dtype)
	if !p.classifies() {
		p.add("    for name, y in zip(%s, session.run(None, %s)):", "[o.name for o in session.get_outputs()]", feed)
		p.add("        print(path, name, y.shape)")
		return
	}
	p.add(`    y = session.run(["logits"], %s)[0][0].astype(np.float64)`, feed)
	switch o := p.scores; {
	case o.Holds == onnx.Probabilities:
		p.add("    p = y")
	case o.Scores == onnx.Sigmoid:
		p.add("    p = 1 / (1 + np.exp(-y))")
	default:
		p.add("    p = np.exp(y - y.max()) / np.exp(y - y.max()).sum()")
	}
	switch o := p.scores; {
	case o.TwoClass():
		p.add("    k = int(p[0] >= %s)", python(o.Threshold))
		p.add("    p = np.array([1 - p[0], p[0]])")
	default:
		p.add("    k = int(p.argmax())")
	}
	if o := p.scores; o.MultiLabel() {
		name := "k"
		if p.named {
			name = "classes[k]"
		}
		p.add(`    print(path, *[f"{%s}={p[k]}" for k in range(len(p)) if p[k] >= %s], sep="\t")`, name, python(o.Threshold))
		return
	}
	label := "k"
	if p.named {
		label = "classes[k]"
	}
	p.add(`    print(path, %s, p[k], sep="\t")`, label)
}

// product is a fraction that is written without a division where it can be.
func product(a, b float64) string { return fmt.Sprintf("(%s / %s)", python(a), python(b)) }

func python(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func list(v []float64) string {
	var all []string
	for _, x := range v {
		all = append(all, python(x))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// quoted is a string literal, of Go and of Python.
func quoted(s string) string { return strconv.QuoteToASCII(s) }
