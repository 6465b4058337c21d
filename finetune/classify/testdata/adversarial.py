"""Adversarial training in PyTorch, in float64: adversarial.onnx is the network before it,
and adversarial.json has the images, their labels and the loss of each step.

    python3 adversarial.py

Each step attacks its images as MadryLab's robustness library does by default: the network
in evaluation mode, from the images themselves, the last of three steps of gradient ascent
within the ball and [0,1]. It then trains on the attacked images in training mode.
"""
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

SIDE, CLASSES, ROWS, BATCH, EPOCHS = 6, 3, 24, 8, 4
THREATS = {"l2": .5, "linf": 8 / 255}
here = Path(__file__).parent


def network():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
                        nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    with torch.no_grad():
        for m in net:
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.uniform_(-.1, .1)
                m.running_var.uniform_(.2, .4)
    for p in list(net.parameters()) + list(net.buffers()):
        if p.is_floating_point():
            p.data = p.data.float().double()  # what the file holds, exactly
    return net


def save(net):
    tensors, nodes, x, at = [], [], "images", 0

    def add(name, value):
        tensors.append(numpy_helper.from_array(value.detach().numpy().astype(np.float32), name))
        return name

    for i, m in enumerate(net):
        y = f"v{i}"
        if isinstance(m, nn.Conv2d):
            nodes.append(helper.make_node("Conv", [x, add(f"{i}.weight", m.weight)], [y], strides=list(m.stride), pads=[1, 1, 1, 1], kernel_shape=[3, 3]))
        elif isinstance(m, nn.BatchNorm2d):
            inputs = [x] + [add(f"{i}.{n}", getattr(m, n)) for n in ("weight", "bias", "running_mean", "running_var")]
            nodes.append(helper.make_node("BatchNormalization", inputs, [y], epsilon=m.eps, momentum=1 - m.momentum))
        elif isinstance(m, nn.ReLU):
            nodes.append(helper.make_node("Relu", [x], [y]))
        elif isinstance(m, nn.AdaptiveAvgPool2d):
            nodes.append(helper.make_node("GlobalAveragePool", [x], [y]))
        elif isinstance(m, nn.Flatten):
            nodes.append(helper.make_node("Flatten", [x], [y]))
        else:
            y = "logits"
            nodes.append(helper.make_node("Gemm", [x, add(f"{i}.weight", m.weight), add(f"{i}.bias", m.bias)], [y], transB=1))
        x = y
    graph = helper.make_graph(nodes, "adversarial", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="rtx tests")
    onnx.checker.check_model(model)
    onnx.save(model, here / "adversarial.onnx")


def attack(net, x, y, norm, eps, steps=3):
    net.eval()
    z = x
    for _ in range(steps):
        z = z.detach().requires_grad_(True)
        (g,) = torch.autograd.grad(F.cross_entropy(net(z), y, reduction="sum"), z)
        if norm == "linf":
            z = x + (z - x + 2 * eps / steps * g.sign()).clamp(-eps, eps)
        else:
            length = lambda v: v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            d = z - x + 2 * eps / steps * g / length(g)
            z = x + d * (eps / length(d)).clamp(max=1)
        z = z.clamp(0, 1)
    net.train()
    return z.detach()


def main():
    r = np.random.default_rng(5)
    labels = torch.arange(ROWS) % CLASSES
    x = torch.tensor(r.random((ROWS, 3, SIDE, SIDE), dtype=np.float32)).double()
    for i in range(ROWS):  # each class is brighter in a channel
        x[i, labels[i]] = (x[i, labels[i]] * .7 + .3).float().double()
    save(network())
    losses = {}
    for norm, eps in list(THREATS.items()) + [("none", 0)]:
        net = network().train()
        optimizer = torch.optim.SGD(net.parameters(), lr=.05, momentum=.9, weight_decay=1e-3)
        losses[norm] = []
        for _ in range(EPOCHS):
            for i in range(0, ROWS, BATCH):
                images, y = x[i : i + BATCH], labels[i : i + BATCH]
                if eps:
                    images = attack(net, images, y, norm, eps)
                loss = F.cross_entropy(net(images), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[norm].append(loss.item())
    json.dump({"torch": torch.__version__.split("+")[0], "images": [float(np.float32(v)) for v in x.flatten().tolist()], "labels": labels.tolist(), "losses": losses}, open(here / "adversarial.json", "w"))


main()
