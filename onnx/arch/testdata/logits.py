"""Logits of networks with weights by the rule, for two images by the rule: the
oracle of onnx/runtime's TestTorchvision.

    python3 logits.py > logits.tsv

Columns: network, precision, image, ten logits.
"""
import sys
import numpy as np
import torch
import torchvision
from nets import NETWORKS, fill, make
from rule import rule


def images(size, mean, std, dtype):
    x = np.floor(rule("images", 2 * size * size * 3, 0, 256)).reshape(2, size, size, 3)
    x[1] = x[1] // 2  # the second one is darker
    x = (x.astype(dtype) / 255 - np.array(mean, dtype)) / np.array(std, dtype)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


print("# torch %s, torchvision %s, Python %s" % (torch.__version__, torchvision.__version__, sys.version.split()[0]))
for name in sys.argv[1:] or NETWORKS:
    net, size, mean, std = make(name, 10)
    net = fill(net)
    for precision, dtype in (("float32", np.float32), ("float64", np.float64)):
        with torch.no_grad():
            y = net.to(getattr(torch, precision))(images(size, mean, std, dtype)).numpy()
        for i in range(2):
            print(name, precision, i, *("%.*g" % (9 if precision == "float32" else 12, v) for v in y[i]), sep="\t", flush=True)
        print(name, precision, "sd over classes %.3g, between images %.3g" % (y.std(1).mean(), np.abs(y[0] - y[1]).max()), file=sys.stderr)
