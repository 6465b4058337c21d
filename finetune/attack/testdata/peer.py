"""Attacks a network in PyTorch: an implementation of PGD and Auto-PGD of its own, which
finetune/attack is compared with.

    python3 peer.py MODEL.onnx IMAGES LABELS NORM EPS [STEPS]

IMAGES are float32 [N,3,H,W] in [0,1], LABELS int32 [N]. Every attack starts at the image
itself; STEPS are those of Auto-PGD (100). Prints one JSON object: for each attack, 1 for
the images that are still right, and as "apgd-ce loss" and "apgd-dlr loss" the best losses.
"""
import json
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

file, images, labels, norm, eps = sys.argv[1:6]
steps = int(sys.argv[6]) if len(sys.argv) > 6 else 100
eps = float(eps)
graph = onnx.load(file).graph
weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
last = next((o.name for o in graph.output if o.name == "logits"), graph.output[0].name)
mean, std, clamp = 0, 1, None
for m in onnx.load(file).metadata_props:
    if m.key == "rtx.spec":
        spec = json.loads(m.value)
        clamp = spec.get("clamp")
        if not spec["normalized"] and spec.get("mean"):
            mean, std = (torch.tensor(spec[k]).view(1, 3, 1, 1) for k in ("mean", "std"))


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def network(x):
    v = dict(weights)
    x = x.clamp(*clamp) if clamp else x
    v[graph.input[0].name] = (x - mean) / std
    for n in graph.node:
        a, i = attributes(n), [v[k] if k else None for k in n.input]
        if n.op_type == "Conv":
            p = a.get("pads", [0, 0, 0, 0])
            y = F.conv2d(F.pad(i[0], (p[1], p[3], p[0], p[2])), i[1], i[2] if len(i) > 2 else None, a.get("strides", [1, 1]), 0, a.get("dilations", [1, 1]), a.get("group", 1))
        elif n.op_type == "BatchNormalization":
            y = F.batch_norm(i[0], i[3], i[4], i[1], i[2], False, 0, a.get("epsilon", 1e-5))
        elif n.op_type == "Gemm":
            y = i[0] @ (i[1].T if a.get("transB") else i[1]) + i[2]
        else:
            y = {"Relu": lambda: F.relu(i[0]), "Add": lambda: i[0] + i[1], "Sub": lambda: i[0] - i[1], "Mul": lambda: i[0] * i[1],
                 "Div": lambda: i[0] / i[1], "GlobalAveragePool": lambda: i[0].mean((2, 3), keepdim=True),
                 "ReduceMean": lambda: i[0].mean((2, 3), keepdim=bool(a.get("keepdims", 1))), "Flatten": lambda: i[0].flatten(1),
                 "Identity": lambda: i[0], "Clip": lambda: i[0].clamp(i[1], i[2])}[n.op_type]()
        v[n.output[0]] = y
    return v[last]


y = torch.from_numpy(np.fromfile(labels, np.int32)).long()
first = torch.from_numpy(np.fromfile(images, np.float32)).reshape(len(y), 3, *(d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[2:]))
rows = torch.arange(len(y))


def length(d):
    return d.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def project(x):
    d = x - first
    d = d.clamp(-eps, eps) if norm == "linf" else d * (eps / length(d).clamp(min=1e-12)).clamp(max=1)
    return (first + d).clamp(0, 1)


def direction(g):
    return g.sign() if norm == "linf" else g / length(g).clamp(min=1e-30)


def cross_entropy(z):
    return F.cross_entropy(z, y, reduction="none")


def dlr(z):
    top = z.sort(dim=1, descending=True).values
    right = z[rows, y]
    other = z.masked_fill(F.one_hot(y, z.shape[1]).bool(), -float("inf")).max(1).values
    return (other - right) / (top[:, 0] - top[:, 2] + 1e-12)


def ask(x, loss):
    x = x.detach().requires_grad_()
    z = network(x)
    value = loss(z)
    g, = torch.autograd.grad(value.sum(), x)
    return z.detach().argmax(1) == y, value.detach(), g


def right(x):
    with torch.no_grad():
        return network(x).argmax(1) == y


def pgd(steps=20):
    x, ok = first, right(first)
    for _ in range(steps):
        seen, _, g = ask(x, cross_entropy)
        ok &= seen
        x = project(x + 2.5 * eps / steps * direction(g))
    return ok & right(x)


def apgd(loss, n):
    x, before = first, first
    ok, value, g = ask(x, loss)
    best, best_x, best_g, step = value, x, g, torch.full_like(value, 2 * eps)
    every, count, ups = int(.22 * n), 0, torch.zeros_like(value)
    checked, reduced = best, torch.ones_like(ok)
    for i in range(n):
        a = .75 if i else 1.
        z = project(x + step.view(-1, 1, 1, 1) * direction(g))
        x, before = project(x + a * (z - x) + (1 - a) * (x - before)), x
        seen, now, g = ask(x, loss)
        ok &= seen
        ups += now > value
        value, better = now, now > best
        b = better.view(-1, 1, 1, 1)
        best, best_x, best_g = torch.where(better, now, best), torch.where(b, x, best_x), torch.where(b, g, best_g)
        count += 1
        if count == every:
            halve = (ups <= .75 * every) | ~reduced & (checked >= best)
            checked, reduced = best, halve
            h = halve.view(-1, 1, 1, 1)
            step, x, g = torch.where(halve, step / 2, step), torch.where(h, best_x, x), torch.where(h, best_g, g)
            every, count, ups = max(every - int(.03 * n), int(.06 * n)), 0, torch.zeros_like(value)
    return ok, best


out = {"clean": right(first), "pgd": pgd()}
for name, loss in ("apgd-ce", cross_entropy), ("apgd-dlr", dlr):
    out[name], out[name + " loss"] = apgd(loss, steps)
print(json.dumps({k: v.float().tolist() for k, v in out.items()}))
