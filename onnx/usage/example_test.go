package usage_test

import (
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/usage"
)

// A classifier of two named classes takes photographs in BGR, whose normalisation is
// not in its graph.
func ExamplePython() {
	m := onnx.New(&pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: &pb.GraphProto{
		Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(224), onnx.Sized(224))},
		Output: []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(2))},
	}}).WithMetadata(onnx.ClassesKey, `["cat","dog"]`)
	spec := onnx.Spec{Version: 1, Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "bgr", Layout: "nchw", Input: "images",
		Mean: []float64{0.5, 0.4, 0.3}, Std: []float64{0.2, 0.2, 0.2}}
	spec.SetSize(224, 224)
	m, err := m.WithSpec(spec)
	if err != nil {
		log.Fatal(err)
	}
	script, err := usage.Python(m, "weights/best.onnx")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(script)
	// Output:
	// # python3 SCRIPT IMAGE... (needs onnxruntime, numpy and pillow)
	// import json, os, sys
	// import numpy as np, onnxruntime
	// from PIL import Image
	//
	// model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights/best.onnx")
	// session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
	// classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
	// for path in sys.argv[1:]:
	//     m = Image.open(path).convert("RGB")
	//     w, h = m.size
	//     w, h = (256, max(1, int(256 * h / w))) if w <= h else (max(1, int(256 * w / h)), 256)
	//     left, top = round((w - 224) / 2), round((h - 224) / 2)
	//     m = m.resize((w, h), Image.BILINEAR).crop((left, top, left + 224, top + 224))
	//     x = np.asarray(m, np.float32)
	//     x = x[:, :, ::-1]
	//     x = x * (1 / 255)
	//     x = x - np.array([0.5, 0.4, 0.3], np.float32)
	//     x = x / np.array([0.2, 0.2, 0.2], np.float32)
	//     x = x.transpose(2, 0, 1)
	//     y = session.run(["logits"], {"images": np.ascontiguousarray(x[None], np.float32)})[0][0].astype(np.float64)
	//     p = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
	//     k = int(p.argmax())
	//     print(path, classes[k], p[k], sep="\t")
}
