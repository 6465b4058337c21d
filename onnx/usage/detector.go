package usage

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// detector is the script of a deployed detector: it prints a line for each object, with
// the path of the image, the class, the score and the box in pixels of the image.
func (p *script) detector(file string) {
	d := p.spec.Detect
	p.begin(file)
	p.add(`classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])`)
	p.add("for path in sys.argv[1:]:")
	p.add(`    m = Image.open(path).convert("RGB")`)
	if !d.Images.Inside {
		p.resized(d.Images)
	}
	p.add("    x = np.asarray(m, np.float32).transpose(2, 0, 1)[None] / 255")
	p.add(`    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {%s: x})))`, quoted(p.input))
	if d.Deployed.Batch > 0 {
		p.add(`    found = {name: y[0][: found["num"][0]] for name, y in found.items() if name != "num"}`)
	}
	boxes := `found["boxes"]`
	if !d.Images.Inside {
		boxes += " * [w / m.width, h / m.height, w / m.width, h / m.height]"
	}
	p.add(`    for box, label, score in zip(%s, found["labels"], found["scores"]):`, boxes)
	p.add(`        print(path, classes[label - 1], f"{score:.4f}", *box.round(2), sep="\t")`)
}

// resized scales an image as the detector wants it, with Pillow.
func (p *script) resized(d onnx.DetectImages) {
	p.add("    w, h = m.size")
	if d.Rounding == "floor" {
		p.add("    k = min(%d / min(w, h), %d / max(w, h))", d.MinSize, d.MaxSize)
		p.add("    m = m.resize((max(1, int(w * k)), max(1, int(h * k))), Image.BILINEAR)")
		return
	}
	p.add("    k = %d / min(w, h)", d.MinSize)
	p.add("    a, b = (k * w, %[1]d) if h < w else (%[1]d, k * h)", d.MinSize)
	p.add("    k = min(1, %d / max(a, b))", d.MaxSize)
	p.add("    m = m.resize((max(1, int(a * k + 0.5)), max(1, int(b * k + 0.5))), Image.BILINEAR)")
}

// Categories is a JSON list of the classes of a detector, as COCO's files have them:
// FiftyOne's add_coco_labels takes it beside a file of results. "label" is the number
// that the model's output labels gives to the class. Outputs without a class are left
// out.
func Categories(m *onnx.Model) ([]byte, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	if spec.Detect == nil {
		return nil, fmt.Errorf("usage: %q has no categories: it is no detector", m.Name())
	}
	type category struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Label int    `json:"label"`
	}
	list := []category{}
	for i, c := range spec.Detect.Classes {
		if c.Name != "" {
			list = append(list, category{c.ID, c.Name, spec.Detect.Label(i)})
		}
	}
	text, err := json.MarshalIndent(list, "", "  ")
	return append(text, '\n'), err
}

// tritonTypes are Triton's names of the types of tensors.
var tritonTypes = map[pb.TensorProto_DataType]string{
	pb.TensorProto_FLOAT: "TYPE_FP32", pb.TensorProto_FLOAT16: "TYPE_FP16", pb.TensorProto_DOUBLE: "TYPE_FP64", pb.TensorProto_UINT8: "TYPE_UINT8",
	pb.TensorProto_INT8: "TYPE_INT8", pb.TensorProto_INT32: "TYPE_INT32", pb.TensorProto_INT64: "TYPE_INT64", pb.TensorProto_BOOL: "TYPE_BOOL",
}

// Triton is the config.pbtxt of NVIDIA's Triton Inference Server for a model, which its
// ONNX Runtime backend runs. Triton makes batches of requests for a detector that was
// deployed for several images; others take one request at a time. file is the name of
// the model's file in the folder of its version, such as 1.
func Triton(m *onnx.Model, file string) (string, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return "", err
	}
	batch := 0
	if spec.Detect != nil && spec.Detect.Deployed != nil {
		batch = spec.Detect.Deployed.Batch
	}
	var b strings.Builder
	fmt.Fprintf(&b, "platform: \"onnxruntime_onnx\"\ndefault_model_filename: %s\nmax_batch_size: %d\n", quoted(file), batch)
	err = tritonValues(&b, "input", m.Inputs(), batch > 0)
	if err == nil {
		err = tritonValues(&b, "output", m.Outputs(), batch > 0)
	}
	if err != nil {
		return "", err
	}
	if batch > 0 {
		b.WriteString("dynamic_batching { }\n")
	}
	return b.String(), nil
}

// tritonValues describes inputs or outputs, with batched set without the number of
// images. A value without other dimensions is told as one of length 1, and reshaped.
func tritonValues(b *strings.Builder, kind string, values []onnx.Value, batched bool) error {
	fmt.Fprintf(b, "%s [\n", kind)
	for i, v := range values {
		dtype := tritonTypes[v.DType]
		if dtype == "" || !v.Known {
			return fmt.Errorf("usage: %s %s: Triton has no such type or shape: %w", kind, v, onnx.ErrFormat)
		}
		shape := v.Shape
		if batched {
			shape = shape[1:]
		}
		dims := []string{}
		for _, d := range shape {
			dims = append(dims, fmt.Sprint(max(d.Size, -1)))
		}
		reshape := ""
		if len(dims) == 0 {
			dims, reshape = []string{"1"}, " reshape: { shape: [ ] }"
		}
		comma := ","
		if i == len(values)-1 {
			comma = ""
		}
		fmt.Fprintf(b, "  { name: %s data_type: %s dims: [ %s ]%s }%s\n", quoted(v.Name), dtype, strings.Join(dims, ", "), reshape, comma)
	}
	b.WriteString("]\n")
	return nil
}
