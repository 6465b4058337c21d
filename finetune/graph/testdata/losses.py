"""Writes losses.json: PyTorch's and torchvision's losses of detectors, and their gradients, in float64.

    python3 losses.py > losses.json
"""
import json
import platform
import random

import torch
import torch.nn.functional as F
import torchvision

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


def focal(alpha, gamma):
    """As RetinaNet's head computes it: the sum over anchors that count, for each image
    divided by its number of objects' anchors, and the mean over images."""
    n, a, k, h, w = 2, 3, 4, 2, 3
    x = (draw(n * a * k * h * w) * 3).reshape(n, a * k, h, w)
    x[0, 0, 0, 0], x[0, 5, 1, 1], x[1, 2, 0, 1] = 0, 60, -60
    x.requires_grad_()
    labels = torch.tensor([random.randint(-1, k) for _ in range(n * a * h * w)], dtype=torch.float64).reshape(n, a, h, w)
    weights, losses = [], []
    for i in range(n):
        logits = x[i].reshape(a, k, h, w).permute(2, 3, 0, 1).reshape(-1, k)
        label = labels[i].permute(1, 2, 0).reshape(-1).long()
        target = torch.zeros_like(logits)
        target[label > 0, label[label > 0] - 1] = 1
        kept = label >= 0
        count = max(1, int((label > 0).sum()))
        weights.append(1 / count / n)
        losses.append(torchvision.ops.sigmoid_focal_loss(logits[kept], target[kept], alpha, gamma, reduction="sum") / count)
    y = sum(losses) / n
    y.backward()
    return dict(alpha=alpha, gamma=gamma, x=tensor(x), labels=tensor(labels), w=tensor(torch.tensor(weights, dtype=torch.float64)), y=tensor(y), dx=tensor(x.grad))


print(json.dumps({
    "made by": f"losses.py, Python {platform.python_version()}, PyTorch {torch.__version__}, torchvision {torchvision.__version__}",
    "sigmoid_cross_entropy": [sigmoid_cross_entropy()],
    "smooth_l1": [smooth_l1(beta) for beta in (0, 1 / 9, 0.25, 1)],
    "focal": [focal(0.25, 2), focal(0.4, 1), focal(-1, 2), focal(0.25, 0), focal(0.75, 1.5)],
}, separators=(",", ":")))
