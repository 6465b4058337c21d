"""Writes ops.json: PyTorch's convolutions, batch norms and clips, and their gradients,
in float64.

    python3 ops.py > ops.json
"""
import json
import platform
import random

import torch
import torch.nn.functional as F

random.seed(6)


def draw(*shape):
    """Multiples of 1/16 from -2 to 2."""
    n = 1
    for d in shape:
        n *= d
    return torch.tensor([random.randint(-32, 32) for _ in range(n)], dtype=torch.float64).reshape(shape) / 16


def tensor(t):
    return {"shape": list(t.shape), "data": [float(f"{v:.15g}") for v in t.detach().flatten().tolist()]}


def conv(x, w, strides, pads, dilations, group, bias):
    x, w, b = draw(*x).requires_grad_(), draw(*w).requires_grad_(), draw(w[0]).requires_grad_() if bias else None
    top, left, bottom, right = pads
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, strides, 0, dilations, group)
    dy = draw(*y.shape)
    y.backward(dy)
    case = dict(strides=strides, pads=pads, dilations=dilations, group=group, x=x, w=w, y=y, dy=dy, dx=x.grad, dw=w.grad)
    if bias:
        case.update(b=b, db=b.grad)
    return {k: tensor(v) if torch.is_tensor(v) else v for k, v in case.items()}


def norm(shape, adapt, offset):
    c = shape[1]
    m = (torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d)(c, eps=1e-3, momentum=0.25).double().train(adapt)
    mean, variance = draw(c), draw(c).abs() + 0.25
    with torch.no_grad():
        m.weight.copy_(draw(c) + 3)
        m.bias.copy_(draw(c))
        m.running_mean.copy_(mean)
        m.running_var.copy_(variance)
    x = (draw(*shape) + offset).requires_grad_()
    y = m(x)
    dy = draw(*y.shape)
    y.backward(dy)
    case = dict(adapt=adapt, x=x, scale=m.weight, shift=m.bias, mean=mean, variance=variance, y=y, dy=dy, dx=x.grad, dscale=m.weight.grad,
                dshift=m.bias.grad, nextmean=m.running_mean, nextvariance=m.running_var)
    return {k: tensor(v) if torch.is_tensor(v) else v for k, v in case.items()}


def clip(f, low=None, high=None):
    """A clip of values of which some equal the limits."""
    x = torch.cat([(draw(20) * 4).flatten(), torch.tensor([-1., 0., 1., 6., -0.5, 0.75, 6.25, -6.], dtype=torch.float64)]).requires_grad_()
    y = {"clamp": lambda: torch.clamp(x, low, high), "hardtanh": lambda: F.hardtanh(x, low, high), "relu6": lambda: F.relu6(x)}[f]()
    dy = draw(*y.shape)
    y.backward(dy)
    return dict(f=f, low=low, high=high, x=tensor(x), y=tensor(y), dy=tensor(dy), dx=tensor(x.grad))


def clamped(f, low, high):
    """A network that limits its images, some of which equal the limits, and its own values."""
    x, w, scale = (draw(2, 3, 4, 4) * 2).clamp(-1, 1).requires_grad_(), draw(4, 3, 1, 1), draw(1, 3, 1, 1) + 4
    y = F.conv2d(torch.clamp(x, low, high) * scale, w)
    y = getattr(F, f)(y)
    dy = draw(*y.shape)
    y.backward(dy)
    return dict(f=f, low=low, high=high, x=tensor(x), w=tensor(w), scale=tensor(scale), y=tensor(y), dy=tensor(dy), dx=tensor(x.grad))


print(json.dumps({
    "made by": f"ops.py, Python {platform.python_version()}, PyTorch {torch.__version__}",
    "convs": [
        conv((2, 3, 5, 4), (2, 3, 3, 2), [1, 1], [1, 0, 1, 1], [1, 1], 1, True),
        conv((1, 2, 6, 7), (3, 2, 3, 3), [2, 3], [0, 1, 2, 1], [1, 1], 1, False),
        conv((1, 4, 5, 6), (6, 2, 2, 3), [2, 1], [1, 1, 0, 2], [2, 1], 2, True),
        conv((2, 3, 4, 5), (6, 1, 3, 3), [1, 2], [1, 1, 1, 1], [1, 1], 3, False),
        conv((1, 3, 7, 7), (3, 1, 3, 3), [1, 1], [2, 2, 2, 2], [2, 2], 3, True),
        conv((2, 3, 5, 5), (4, 3, 1, 1), [2, 2], [0, 0, 0, 0], [1, 1], 1, False),
    ],
    "norms": [norm(s, a, o) for a in (False, True) for s, o in (((2, 3, 2, 3), 0), ((3, 3, 1, 2), 100), ((5, 12), 0))],
    "clips": [clip("clamp", 0, 1), clip("clamp", -0.5, 0.75), clip("clamp", 0, 6), clip("clamp", 0), clip("clamp", None, 1),
              clip("hardtanh", -1, 1), clip("hardtanh", 0, 6), clip("relu6", 0, 6)],
    "clamped": [clamped(f, low, high) for f in ("relu6", "hardtanh") for low, high in ((0, 1), (-1, 1))],
}, separators=(",", ":")))
