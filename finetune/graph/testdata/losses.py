"""Writes losses.json: PyTorch's losses of detectors, and their gradients, in float64.

    python3 losses.py > losses.json
"""
import json
import platform
import random

import torch
import torch.nn.functional as F

random.seed(16)


def draw(n):
    """Multiples of 1/16 from -2 to 2."""
    return torch.tensor([random.randint(-32, 32) for _ in range(n)], dtype=torch.float64) / 16


def tensor(t):
    return {"shape": list(t.shape), "data": [float(f"{v:.15g}") for v in t.detach().flatten().tolist()]}


def case(x, t, loss, **attributes):
    x, w = x.requires_grad_(), draw(len(x)).abs()
    y = (w * loss(x, t)).sum()
    y.backward()
    return dict(attributes, x=tensor(x), t=tensor(t), w=tensor(w), y=tensor(y), dx=tensor(x.grad))


def sigmoid_cross_entropy():
    x = torch.cat([draw(12) * 4, torch.tensor([1e4, 1e4, -1e4, -1e4, 100, -100, 0, 40], dtype=torch.float64)])
    t = torch.cat([draw(12).abs() / 2, torch.tensor([0, 1, 0, 1, 0, 1, 0, 1], dtype=torch.float64)])
    return case(x, t, lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"))


def smooth_l1(beta):
    x = torch.cat([draw(20), torch.tensor([0.25, -0.25, 0.125, 0, 1, -1], dtype=torch.float64)])
    t = torch.cat([draw(20), torch.zeros(6, dtype=torch.float64)])
    if beta == 0:  # the gradient of smooth_l1_loss at 0 was -1 in old versions
        return case(x, t, lambda x, t: F.l1_loss(x, t, reduction="none"), beta=beta)
    return case(x, t, lambda x, t: F.smooth_l1_loss(x, t, beta=beta, reduction="none"), beta=beta)


print(json.dumps({
    "made by": f"losses.py, Python {platform.python_version()}, PyTorch {torch.__version__}",
    "sigmoid_cross_entropy": [sigmoid_cross_entropy()],
    "smooth_l1": [smooth_l1(beta) for beta in (0, 1 / 9, 0.25, 1)],
}, separators=(",", ":")))
