"""What the oracles of this folder share: data by the rule of onnx/arch, the
distance between two runs, and JSON that a diff can read."""
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "onnx", "arch", "testdata"))
from rule import rule  # noqa: E402  rule(name, n, low, high) -> float32


def integers(name, n, below):
    """n whole numbers in [0, below): the rule's number in [0, below), cut off."""
    return np.floor(rule(name, n, 0, below)).astype(np.int64)


def versions():
    import torch
    import torchvision
    import PIL

    return {"python": sys.version.split()[0], "torch": torch.__version__, "torchvision": torchvision.__version__,
            "pillow": PIL.__version__, "numpy": np.__version__}


def numbers(values, digits=17):
    """As Python floats; fewer digits keep a file small."""
    values = [float(v) for v in np.asarray(values, np.float64).ravel()]
    return values if digits >= 17 else [float("%.*g" % (digits, v)) for v in values]


def text(value, level=3, indent=""):
    """JSON whose first levels have a line for each key."""
    if isinstance(value, dict) and value and level > 0:
        deeper = indent + " "
        return "{\n" + ",\n".join(deeper + json.dumps(k) + ": " + text(v, level - 1, deeper) for k, v in value.items()) + "\n" + indent + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict) and level > 0:
        deeper = indent + " "
        return "[\n" + ",\n".join(deeper + text(v, 0) for v in value) + "\n" + indent + "]"
    return json.dumps(value, separators=(", ", ": "))


def save(name, value, level=3):
    path = os.path.join(HERE, name)
    with open(path + ".part", "w") as f:
        f.write(text(value, level) + "\n")
    os.replace(path + ".part", path)
    print("%s: %d bytes" % (name, os.path.getsize(path)), file=sys.stderr)
