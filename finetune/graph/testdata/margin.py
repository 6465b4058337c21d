"""Writes margin.json: the margin and the DLR losses of Croce and Hein (2020) by their
formulas in PyTorch, and their gradients, in float64.

    python3 margin.py > margin.json
"""
import json
import platform
import random

import torch

random.seed(17)
ROWS, CLASSES = 5, 7


def tensor(t):
    return {"shape": list(t.shape), "data": [float(f"{v:.15g}") for v in t.detach().flatten().tolist()]}


def case(scaled, targeted):
    """The labels are the classes of the largest logits, in order; the last row does not count."""
    values = random.sample(range(-64, 64), ROWS * CLASSES)
    x = (torch.tensor(values, dtype=torch.float64) / 16).reshape(ROWS, CLASSES).requires_grad_()
    order = x.detach().argsort(dim=1, descending=True)
    losses, labels, targets = [], torch.zeros(ROWS, CLASSES), torch.zeros(ROWS, CLASSES)
    for i in range(ROWS - 1):
        y, t = order[i, i], order[i, (i + 2) % 5]
        labels[i, y] = targets[i, t] = 1
        top = x[i].sort(descending=True).values
        other = x[i, t] if targeted else torch.cat([x[i, :y], x[i, y + 1:]]).max()
        low = (top[2] + top[3]) / 2 if targeted else top[2]
        losses.append((other - x[i, y]) / ((top[0] - low + 1e-12) if scaled else 1))
    loss = sum(losses)
    loss.backward()
    out = {"scaled": scaled, "x": tensor(x), "labels": tensor(labels), "y": tensor(loss), "dx": tensor(x.grad)}
    return dict(out, targets=tensor(targets)) if targeted else out


print(json.dumps({
    "made by": f"margin.py, Python {platform.python_version()}, PyTorch {torch.__version__}",
    "margin": [case(s, t) for s in (False, True) for t in (False, True)],
}, separators=(",", ":")))
