"""Auto-PGD of peer.py on a small network, of which images near the middle of their classes
are attacked within a small radius: apgd.onnx is the network, and apgd.json has the images,
their labels and the best losses.

    python3 apgd.py
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES, ROWS, STEPS = 6, 5, 8, 40
here = Path(__file__).parent
r = np.random.default_rng(11)
weights = {"a": r.normal(0, .5, (6, 3, 3, 3)), "b": r.normal(0, .4, (8, 6, 3, 3)), "c": r.normal(0, 1, (CLASSES, 8)), "d": np.zeros(CLASSES)}
nodes = [helper.make_node("Conv", ["images", "a"], ["1"], kernel_shape=[3, 3]), helper.make_node("Relu", ["1"], ["2"]),
         helper.make_node("Conv", ["2", "b"], ["3"], kernel_shape=[3, 3]), helper.make_node("Relu", ["3"], ["4"]),
         helper.make_node("GlobalAveragePool", ["4"], ["5"]), helper.make_node("Flatten", ["5"], ["6"]), helper.make_node("Gemm", ["6", "c", "d"], ["logits"], transB=1)]
graph = helper.make_graph(nodes, "apgd", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
                          [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
                          [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="rtx tests")
onnx.checker.check_model(model)
onnx.save(model, here / "apgd.onnx")
images = r.random((ROWS, 3, SIDE, SIDE), dtype=np.float32)


def maps(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.maximum(np.einsum("nchwij,ocij->nohw", windows, w), 0)


labels = (maps(maps(images, weights["a"]), weights["b"]).mean((2, 3)) @ weights["c"].T).argmax(1).astype(np.int32)
found = {}
with tempfile.TemporaryDirectory() as scratch:
    images.tofile(scratch + "/images")
    labels.tofile(scratch + "/labels")
    for norm, eps in (("l2", .05), ("linf", .004)):
        out = subprocess.run([sys.executable, here / "peer.py", here / "apgd.onnx", scratch + "/images", scratch + "/labels", norm, str(eps), str(STEPS)], capture_output=True, check=True, text=True)
        found[f"{norm}:{eps}"] = json.loads(out.stdout)
json.dump({"images": images.flatten().tolist(), "labels": labels.tolist(), "steps": STEPS, "attacks": found}, open(here / "apgd.json", "w"))
