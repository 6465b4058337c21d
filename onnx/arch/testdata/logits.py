"""Logits of torchvision's networks with weights by the rule, for two images by
the rule: the oracle of onnx/runtime's TestTorchvision.

    python3 logits.py > logits.tsv

Columns: network, image, eight logits, and the largest magnitude of them all.
"""
import sys
import numpy as np
import torch
import torchvision
from torchvision.models.resnet import Bottleneck, ResNet
from rule import rule


def fill(net):
    """Uniform weights: He's variance for convolutions, batch norms not trivial."""
    state = net.state_dict()
    for name, t in state.items():
        last = "bn2." if not hasattr(net.layer1[0], "conv3") else "bn3."
        gain = 0.25 if "layer" in name and last in name else 1
        if name.endswith("num_batches_tracked"):
            continue
        if t.dim() == 4:
            bound = (6 / (t.shape[1] * t.shape[2] * t.shape[3])) ** 0.5
            low, high = -bound, bound
        elif name.startswith("fc."):
            bound = 1 / net.fc.in_features**0.5
            low, high = -bound, bound
        elif name.endswith("running_var"):
            low, high = 0.5, 1.5
        elif name.endswith("weight"):
            low, high = 0.5 * gain, 1.5 * gain
        else:
            low, high = -0.1, 0.1
        state[name] = torch.from_numpy(rule(name, t.numel(), low, high)).reshape(t.shape)
    net.load_state_dict(state)
    return net.eval()


print("# torch %s, torchvision %s, Python %s" % (torch.__version__, torchvision.__version__, sys.version.split()[0]))
x = np.floor(rule("images", 2 * 224 * 224 * 3, 0, 256)).reshape(2, 224, 224, 3)
x[1] = x[1] // 2  # the second one is darker
x = (x.astype(np.float32) / 255 - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
x = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
for name in ("resnet18", "resnet50", "wide_resnet50_4"):
    net = ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=256) if name == "wide_resnet50_4" else getattr(torchvision.models, name)()
    with torch.no_grad():
        y = fill(net)(x).numpy()
    for i in range(2):
        print(name, i, *("%.9g" % v for v in y[i, :8]), "%.9g" % np.abs(y[i]).max(), sep="\t")
