package graph

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// nodeCases reads ONNX's own test cases of operators: files by case.
func nodeCases(t *testing.T) map[string]map[string][]byte {
	t.Helper()
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, "onnx-node", "onnx-node-tests.tar"))
	if err != nil {
		t.Skipf("ONNX's node tests are not there (RTX_SHARED_DATA names the folder of test data)")
	}
	defer f.Close()
	cases := map[string]map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return cases
		}
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(h.Name, "/", 3)
		if len(parts) < 3 || h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if cases[parts[1]] == nil {
			cases[parts[1]] = map[string][]byte{}
		}
		cases[parts[1]][filepath.Base(parts[2])] = data
	}
}

// limits are cases of supported operators that are not supported, and why.
var limits = map[string]string{
	"test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False": "volumes",
	"test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True":  "volumes",
	"test_averagepool_3d_dilations_small":                                           "volumes",
	"test_maxpool_3d_default":                                                       "volumes",
	"test_maxpool_3d_dilations":                                                     "volumes",
	"test_maxpool_3d_dilations_use_ref_impl":                                        "volumes",
	"test_matmul_1d_3d":                                                             "products of two stacks of matrices",
	"test_matmul_3d":                                                                "products of two stacks of matrices",
	"test_matmul_4d":                                                                "products of two stacks of matrices",
	"test_matmul_4d_1d":                                                             "products of two stacks of matrices",
	"test_slice_start_out_of_bounds":                                                "empty tensors",
	"test_cast_FLOAT_to_FLOAT16":                                                    "values of other types than float32",
	"test_convtranspose_1d":                                                         "signals",
	"test_convtranspose_autopad_same":                                               "sizes that padding follows from",
	"test_convtranspose_output_shape":                                               "sizes that padding follows from",
	"test_resize_downsample_scales_cubic":                                           "interpolation that is not repetition",
	"test_resize_downsample_scales_cubic_A_n0p5_exclude_outside":                    "interpolation that is not repetition",
	"test_resize_downsample_scales_linear_antialias":                                "interpolation that is not repetition",
	"test_resize_downsample_sizes_linear_antialias":                                 "interpolation that is not repetition",
	"test_resize_downsample_sizes_linear_pytorch_half_pixel":                        "interpolation that is not repetition",
	"test_resize_downsample_sizes_nearest":                                          "interpolation that is not repetition",
	"test_resize_tf_crop_and_resize":                                                "interpolation that is not repetition",
	"test_resize_upsample_scales_cubic":                                             "interpolation that is not repetition",
	"test_resize_upsample_scales_cubic_align_corners":                               "interpolation that is not repetition",
	"test_resize_upsample_scales_cubic_asymmetric":                                  "interpolation that is not repetition",
	"test_resize_upsample_scales_linear_half_pixel_symmetric":                       "interpolation that is not repetition",
	"test_resize_upsample_sizes_cubic":                                              "interpolation that is not repetition",
	"test_resize_upsample_sizes_nearest":                                            "interpolation that is not repetition",
	"test_resize_upsample_sizes_nearest_floor_align_corners":                        "interpolation that is not repetition",
	"test_resize_upsample_sizes_nearest_not_smaller":                                "interpolation that is not repetition",
}

// TestONNXNodes runs the cases of supported operators.
func TestONNXNodes(t *testing.T) {
	skipped, ran := map[string]int{}, 0
	for name, files := range nodeCases(t) {
		reason, err := runNodeCase(files)
		if limit, ok := limits[name]; ok {
			if err == nil {
				t.Errorf("%s: no limit any more: %s", name, limit)
			}
			reason, err = limit, nil
		}
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case reason != "":
			skipped[reason]++
		default:
			ran++
		}
	}
	total := ran
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		t.Logf("%3d not applicable: %s", skipped[reason], reason)
		total += skipped[reason]
	}
	t.Logf("%3d of %d cases agree", ran, total)
	if ran < 90 {
		t.Errorf("%d cases were run, expected 90 or more", ran)
	}
}

// runNodeCase runs a case, or returns the reason why it does not apply.
func runNodeCase(files map[string][]byte) (reason string, err error) {
	m := &pb.ModelProto{}
	if err := proto.Unmarshal(files["model.onnx"], m); err != nil {
		return "", err
	}
	for _, n := range m.Graph.Node {
		if operators[n.OpType] == nil && integerOps[n.OpType] == nil && n.OpType != "Shape" && n.OpType != "Constant" && n.OpType != "ConstantOfShape" {
			return "operator " + n.OpType, nil
		}
	}
	b := newBuilder(0)
	r := newReader(&Network{model: onnx.New(m)}, b, Config{Batch: 1})
	values, reason, err := nodeInputs(r, m, files)
	if err != nil || reason != "" {
		return reason, err
	}
	want, err := tensorFile(files["output_0.pb"])
	if err != nil {
		return "", err
	}
	out := m.Graph.Output[0].Name
	if err := readNodes(r, m.Graph.Node); err != nil {
		return "", err
	}
	if x, ok := r.intTensor(out); ok {
		if got, want := fmt.Sprint(x.v, x.shape), fmt.Sprint(r.intData("", want), dims(want)); got != want {
			return "", fmt.Errorf("integers %v, expected %v", got, want)
		}
		return "", nil
	}
	return "", compareOutput(r, out, want, values)
}

// nodeInputs declares the inputs of a case to the reader, and returns the values of
// those that are not constants, or the reason why the case does not apply.
func nodeInputs(r *reader, m *pb.ModelProto, files map[string][]byte) (values map[string][]float64, reason string, err error) {
	values = map[string][]float64{}
	for i, in := range m.Graph.Input {
		if in.Type.GetTensorType() == nil {
			return nil, "no tensors", nil
		}
		x, err := tensorFile(files[fmt.Sprintf("input_%d.pb", i)])
		if err != nil {
			return nil, "", err
		}
		switch pb.TensorProto_DataType(x.DataType) {
		case pb.TensorProto_INT64, pb.TensorProto_INT32:
			x.Name = in.Name
			r.raw[in.Name] = x
		case pb.TensorProto_FLOAT:
			if i > 0 && slices.Contains([]string{"Clip", "Dropout", "Pad", "Resize", "Upsample"}, m.Graph.Node[0].OpType) {
				r.raw[in.Name] = x // a constant of the operator
				continue
			}
			shape, data := r.floatData(in.Name, x)
			if shape.Size() == 0 {
				return nil, "empty tensors", nil
			}
			r.values[in.Name] = r.Input(in.Name, shape)
			for _, v := range data {
				values[in.Name] = append(values[in.Name], float64(v))
			}
		default:
			return nil, "type " + pb.TensorProto_DataType(x.DataType).String(), nil
		}
	}
	return values, "", nil
}

// compareOutput evaluates a value and compares it with what a case wants.
func compareOutput(r *reader, out string, wanted *pb.TensorProto, values map[string][]float64) error {
	shape, data := r.floatData("", wanted)
	v, ok := r.values[out]
	if !ok { // a constant
		v = r.in(&pb.NodeProto{Input: []string{out}}, 0)
	}
	p := r.program([]Named{{"out", v}}, nil)
	if !v.Shape().Equal(shape) {
		return fmt.Errorf("shape %v, expected %v", v.Shape(), shape)
	}
	for i, x := range run(p, values) {
		if w := float64(data[i]); !(math.Abs(x-w) <= 1e-5*math.Max(1, math.Abs(w))) {
			return fmt.Errorf("element %d is %v, expected %v", i, x, w)
		}
	}
	return nil
}

// run evaluates the first output.
func run(p *Program, values map[string][]float64) []float64 {
	results := make([][]float64, len(p.Nodes))
	for i, n := range p.Nodes {
		results[i] = values[n.Name]
		if n.Op == nil && n.Role == Constant {
			for _, x := range n.Data {
				results[i] = append(results[i], float64(x))
			}
		}
		if n.Op == nil {
			continue
		}
		c := Call[float64]{Dst: make([]float64, n.Shape.Size()), Shape: n.Shape}
		for _, k := range n.In {
			c.In, c.Shapes = append(c.In, results[k]), append(c.Shapes, p.Nodes[k].Shape)
		}
		n.Op.Run64(c)
		results[i] = c.Dst
	}
	return results[p.Outputs[0].Node]
}

func readNodes(r *reader, nodes []*pb.NodeProto) (err error) {
	defer func() {
		if f := recover(); f != nil {
			fail, ok := f.(failure)
			if !ok {
				panic(f)
			}
			err = fail.error
		}
	}()
	r.nodes(nodes)
	return nil
}

func tensorFile(data []byte) (*pb.TensorProto, error) {
	t := &pb.TensorProto{}
	return t, proto.Unmarshal(data, t)
}
