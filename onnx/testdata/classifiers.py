"""Classifiers with other ends than plain logits, and with other heads than a float
matrix product, as exporters, quantisers and users make them: classifiers/*.onnx, and
classifiers.json, which has what onnxruntime computes of four images.

    python3 classifiers.py

Each network takes [N,3,8,8] in [0,1]. Pixel (h, w) of channel c of image n is
pixels(4)[n,h,w,c] / 255. "probabilities" are those that the model's own output
stands for: of models with pairs of QuantizeLinear and DequantizeLinear before their
last rounding to 8 bits, and of softmaxes of 8-bit numbers divided by their sum.
"features" are what the head reads, averaged over space. Models that quantise by the
range of a batch run over each image by itself.
"""
import json
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

FLOAT, HERE = TensorProto.FLOAT, os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "classifiers")
D, K = 6, 3
rng = np.random.RandomState(14)
CONV, CONV_BIAS = rng.randn(D, 3, 3, 3).astype("f4"), rng.randn(D).astype("f4")
W, B = (1.5 * rng.randn(K, D)).astype("f4"), rng.randn(K).astype("f4")


def pixels(n):
    i, h, w, c = np.ogrid[:n, :8, :8, :3]
    return ((61 * i * i + 11 * h * (i + 1) + 5 * w * w + 71 * c + 13 * h * w + 29 * i * c) % 256).astype("u1")


def images(n):
    return (pixels(n).transpose(0, 3, 1, 2).astype("f4") * np.float32(1 / 255)).astype("f4")


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), output.split(), name=output.split()[0], **attributes)


def model(nodes, output, shape, opset=17, constants={}, trunk=None, dtype=FLOAT, metadata={}):
    """A network: the trunk that ends with features [N,6], then more nodes."""
    if trunk is None:
        trunk = [node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map"),
                 node("GlobalAveragePool", "map", "pooled"), node("Flatten", "pooled", "flat")]
    used = {i for n in trunk + nodes for i in n.input}
    known = {"conv_w": CONV, "conv_b": CONV_BIAS, "w": W, "b": B, "w1": W[:1], "b1": B[:1], "wt": W.T.copy(), "wc": W[:, :, None, None],
             "shape": np.array([-1, K]), "one": np.float32(1), "hundred": np.float32(100), "t": np.float32(2.5),
             "low": np.float32(1e-7), "high": np.float32(1 - 1e-7), "axis": np.array([1]), "spatial": np.array([2, 3]), **constants}
    tensors = [numpy_helper.from_array(v, k) for k, v in known.items() if k in used]
    x = helper.make_tensor_value_info("x", FLOAT, ["N", 3, 8, 8])
    y = helper.make_tensor_value_info(output, dtype, shape)
    m = helper.make_model(helper.make_graph(trunk + nodes, "g", [x], [y], tensors), opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for k, v in metadata.items():
        helper.set_model_props(m, {k: v})
    onnx.checker.check_model(m)
    return m


GEMM = node("Gemm", "flat w b", "z", transB=1)
ONE = node("Gemm", "flat w1 b1", "z", transB=1)
ROW, COLUMN = ["N", K], ["N", 1]


def softmax(z):
    e = np.exp(z.astype("f8") - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def same(p):
    return p.reshape(len(p), -1)


def two(p):
    p = p.reshape(-1, 1)
    return np.hstack([1 - p, p])


def sigmoid(z):
    return 1 / (1 + np.exp(-z.astype("f8")))


# name: model, features' value, probabilities of the output
CASES = {
    "gemm": (model([GEMM], "z", ROW), "flat", softmax),
    "sigmoid_one": (model([ONE, node("Sigmoid", "z", "p")], "p", COLUMN), "flat", two),
    "sigmoid_one_squeezed": (model([ONE, node("Sigmoid", "z", "s"), node("Squeeze", "s axis", "p")], "p", ["N"]), "flat", two),
    "logit_one": (model([ONE], "z", COLUMN), "flat", lambda z: two(sigmoid(z))),
    "sigmoids": (model([GEMM, node("Sigmoid", "z", "p")], "p", ROW), "flat", same),
    "sigmoids_log": (model([GEMM, node("Sigmoid", "z", "s"), node("Log", "s", "p")], "p", ROW), "flat", np.exp),
    "softmax": (model([GEMM, node("Softmax", "z", "p", axis=1)], "p", ROW), "flat", same),
    "softmax_opset11": (model([GEMM, node("Softmax", "z", "p")], "p", ROW, opset=11), "flat", same),
    "softmax_reshape": (model([GEMM, node("Softmax", "z", "s", axis=-1), node("Reshape", "s shape", "p")], "p", ROW), "flat", same),
    "softmax_log": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Log", "s", "p")], "p", ROW), "flat", np.exp),
    "softmax_clip": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Clip", "s low high", "p")], "p", ROW), "flat", same),
    "softmax_clip_log": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Clip", "s low high", "c"), node("Log", "c", "p")], "p", ROW), "flat", np.exp),
    "softmax_plus_log": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Add", "s low", "c"), node("Log", "c", "p")], "p", ROW), "flat", np.exp),
    "softmax_percent": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Mul", "s hundred", "p")], "p", ROW), "flat", lambda p: p / 100),
    "softmax_divided": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Div", "s t", "p")], "p", ROW), "flat", lambda p: p * np.float32(2.5)),
    "log_softmax": (model([GEMM, node("LogSoftmax", "z", "l", axis=1), node("Identity", "l", "p")], "p", ROW), "flat", np.exp),
    "negative_log_softmax": (model([GEMM, node("LogSoftmax", "z", "l", axis=1), node("Neg", "l", "p")], "p", ROW), "flat", lambda p: np.exp(-p)),
    "temperature_before": (model([GEMM, node("Div", "z t", "y"), node("Softmax", "y", "p", axis=1)], "p", ROW), "flat", same),
    "temperature_after": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Log", "s", "l"), node("Div", "l t", "p")], "p", ROW), "flat", softmax),
    "temperature_twice": (model([GEMM, node("Softmax", "z", "s", axis=1), node("Log", "s", "l"), node("Div", "l t", "y"), node("Softmax", "y", "p", axis=1)], "p", ROW), "flat", same),
    "computed_softmax": (model([GEMM, node("ReduceMax", "z", "m", axes=[1]), node("Sub", "z m", "d"), node("Exp", "d", "e"), node("ReduceSum", "e axis", "n"), node("Div", "e n", "p")], "p", ROW), "flat", same),
    "computed_log_softmax": (model([GEMM, node("ReduceLogSumExp", "z", "n", axes=[1]), node("Sub", "z n", "p")], "p", ROW), "flat", np.exp),
    "computed_sigmoid": (model([ONE, node("Neg", "z", "m"), node("Exp", "m", "e"), node("Add", "e one", "n"), node("Div", "one n", "p")], "p", COLUMN), "flat", two),
    "complement": (model([ONE, node("Sigmoid", "z", "s"), node("Sub", "one s", "p")], "p", COLUMN), "flat", two),
    "both_probabilities": (model([ONE, node("Sigmoid", "z", "s"), node("Sub", "one s", "q"), node("Concat", "q s", "p", axis=1)], "p", ["N", 2]), "flat", same),
    "hard_sigmoid": (model([GEMM, node("HardSigmoid", "z", "p")], "p", ROW), "flat", same),
    "shares": (model([GEMM, node("Abs", "z", "a"), node("ReduceSum", "a axis", "n"), node("Div", "a n", "p")], "p", ROW), None, same),
    "softmax_of_batch": (model([GEMM, node("Softmax", "z", "p", axis=0)], "p", ROW), "flat", None),
    "argmax": (model([GEMM, node("ArgMax", "z", "p", axis=1, keepdims=0)], "p", ["N"], dtype=TensorProto.INT64), "flat", None),
    "top": (model([GEMM, node("TopK", "z axis", "p places")], "p", ["N", 1]), "flat", None),
    "half": (None, "flat", same),
    "batch_norm": (model([GEMM, node("BatchNormalization", "z s m m v", "y"), node("Softmax", "y", "p", axis=1)], "p", ROW,
                         constants={"s": np.array([1, 2, .5], "f4"), "m": np.array([.1, -.2, 0], "f4"), "v": np.array([1, 4, 2], "f4")}), "flat", same),
    "transposed_weight": (model([node("Cast", "half", "f", to=FLOAT), node("Identity", "f", "i"), node("Transpose", "i", "wi", perm=[1, 0]), node("MatMul", "flat wi", "y"),
                                 node("Add", "b y", "z")], "z", ROW, constants={"half": W.astype("f2")}), "flat", softmax),
    "constant_weight": (model([node("Constant", "", "cw", value=numpy_helper.from_array(W.T.copy())), node("MatMul", "flat cw", "z")], "z", ROW), "flat", softmax),
    "conv_head": (model([node("Conv", "pooled wc b", "y"), node("Softmax", "y", "s", axis=1), node("Flatten", "s", "p")], "p", ROW,
                        trunk=[node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map"), node("GlobalAveragePool", "map", "pooled")]), "pooled", same),
    "conv_head_4d": (model([node("Conv", "pooled wc b", "z")], "z", ["N", K, 1, 1],
                           trunk=[node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map"), node("GlobalAveragePool", "map", "pooled")]), "pooled",
                     lambda z: softmax(same(z))),
    "conv_head_other_axis": (model([node("Conv", "pooled wc b", "y"), node("Softmax", "y", "s", axis=-1), node("Flatten", "s", "p")], "p", ROW,
                                   trunk=[node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map"), node("GlobalAveragePool", "map", "pooled")]), "pooled", None),
    "pooled_classes": (model([node("Conv", "map wc b", "y"), node("Relu", "y", "r"), node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "z"), node("Softmax", "z", "p", axis=1)], "p", ROW,
                             trunk=[node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map")]), "map", same),
    "pooled_trunk": (model([node("Conv", "map wc b", "y"), node("Relu", "y", "r"), node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "z")], "z", ROW,
                           trunk=[node("Conv", "x conv_w conv_b", "conv", pads=[1, 1, 1, 1]), node("Relu", "conv", "map")]), "z", None),
}


class Calibration(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": images(n + 1)[n:]} for n in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def save(m, name):
    path = os.path.join(OUT, name + ".onnx")
    onnx.save(m, path)
    return path


def quantised():
    """int8 by onnxruntime's quantiser, and by its optimiser after that."""
    plain, p = save(CASES["gemm"][0], "gemm"), save(CASES["softmax"][0], "softmax")
    conv, one = save(CASES["conv_head"][0], "conv_head"), save(CASES["sigmoid_one"][0], "sigmoid_one")
    path = lambda name: os.path.join(OUT, name + ".onnx")
    quantize_dynamic(plain, path("int8_dynamic"), op_types_to_quantize=["MatMul", "Gemm"])
    static = dict(activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    quantize_static(plain, path("int8_operators"), Calibration(), quant_format=QuantFormat.QOperator, **static)
    quantize_static(p, path("int8_operators_softmax"), Calibration(), quant_format=QuantFormat.QOperator, **static)
    quantize_static(one, path("int8_operators_sigmoid"), Calibration(), quant_format=QuantFormat.QOperator, **static)
    quantize_static(conv, path("int8_operators_conv"), Calibration(), quant_format=QuantFormat.QOperator, **static)
    quantize_static(plain, path("int8_pairs"), Calibration(), quant_format=QuantFormat.QDQ, **static)
    quantize_static(p, path("int8_pairs_softmax"), Calibration(), quant_format=QuantFormat.QDQ, **static)
    quantize_static(conv, path("int8_pairs_conv"), Calibration(), quant_format=QuantFormat.QDQ, **static)
    o = onnxruntime.SessionOptions()
    o.optimized_model_filepath, o.graph_optimization_level = path("int8_optimised"), onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(path("int8_dynamic"), o, providers=["CPUExecutionProvider"])
    for name in "int8_dynamic", "int8_operators", "int8_pairs", "int8_optimised":
        CASES[name] = onnx.load(path(name)), None, softmax
    for name in "int8_operators_softmax", "int8_operators_conv":
        CASES[name] = onnx.load(path(name)), None, lambda p: p / p.sum(1, keepdims=True)
    for name in "int8_pairs_softmax", "int8_pairs_conv":
        CASES[name] = onnx.load(path(name)), None, same
    CASES["int8_operators_sigmoid"] = onnx.load(path("int8_operators_sigmoid")), None, two


def halved():
    """float16 inside, float32 outside."""
    m = onnx.ModelProto()
    m.CopyFrom(CASES["softmax"][0])
    g = m.graph
    for t in g.initializer:
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype("f2"), t.name))
    g.node[0].input[0], g.node[-1].output[0], g.node[-1].name = "x16", "p16", "p16"
    g.node.insert(0, node("Cast", "x", "x16", to=TensorProto.FLOAT16))
    g.node.append(node("Cast", "p16", "p", to=FLOAT))
    CASES["half"] = m, "flat", same


# The features of quantised models: the value before the head, and by which inputs of
# the node that computes it 8-bit numbers become others.
FEATURES = {"int8_dynamic": "flat", "int8_optimised": "flat"}
UNROUNDED = {"int8_pairs_softmax": "p_QuantizeLinear_Input", "int8_pairs_conv": "s"}


def exposed(m, value):
    """The model with a value as its one output."""
    c = onnx.ModelProto()
    c.CopyFrom(m)
    del c.graph.output[:]
    c.graph.output.append(helper.make_empty_tensor_value_info(value))
    return c


def run(m):
    s = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    size = 1 if any(n.op_type.startswith("DynamicQuantize") for n in m.graph.node) else 4
    return np.concatenate([s.run(None, {"x": images(4)[i:i + size]})[0] for i in range(0, 4, size)])


def features(m, name, value):
    """What the head reads, averaged over space, and the value's name."""
    if value is None:
        value, scale, zero = int8_features(m, name)
        f = run(exposed(m, value))
        if scale is not None:
            f = (f.astype("f4") - zero) * scale
    else:
        f = run(exposed(m, value))
    if f.ndim == 4:
        f = f.mean((2, 3), dtype="f8")
    return value, np.asarray(f, "f8")


def int8_features(m, name):
    tensors = {t.name: numpy_helper.to_array(t) for t in m.graph.initializer}
    made = {o: n for n in m.graph.node for o in n.output}
    if name in FEATURES:
        return FEATURES[name], None, None
    heads = [n for n in m.graph.node if n.op_type in ("QGemm", "QLinearConv", "Gemm", "Conv", "QLinearMatMul", "MatMul")]
    value = heads[-1].input[0]
    if heads[-1].op_type.startswith("Q"):
        n = heads[-1]
        return value, tensors[n.input[1]], np.float32(tensors[n.input[2]])
    quantize = made[made[value].input[0]]  # DequantizeLinear, QuantizeLinear
    return quantize.input[0], None, None


def main():
    os.makedirs(OUT, exist_ok=True)
    halved()
    quantised()
    golden = {}
    for name, (m, value, probabilities) in CASES.items():
        save(m, name)
        one = golden[name] = {}
        if value is not None or name.startswith("int8"):
            one["feature"], f = features(m, name, value)
            one["features"] = [[float("%.7g" % v) for v in row] for row in f]
        if probabilities:
            last = exposed(m, UNROUNDED[name]) if name in UNROUNDED else m
            one["probabilities"] = [[float("%.7g" % v) for v in row] for row in probabilities(run(last))]
    with open(os.path.join(HERE, "classifiers.json"), "w") as f:
        f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v)) for k, v in golden.items()) + "\n}\n")


main()
