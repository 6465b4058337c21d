"""Writes roialign.json: torchvision's RoIAlign on a pyramid, and its gradients, in
float64.

    python3 roialign.py > roialign.json
"""
import json
import random

import torch
from torchvision.ops import roi_align

random.seed(16)
STRIDES, MAPS = [4, 8, 16], [(10, 14), (5, 7), (3, 4)]
N, C, SIZE = 2, 2, 3


def draw(*shape):
    """Multiples of 1/16 from -2 to 2."""
    n = 1
    for d in shape:
        n *= d
    return torch.tensor([random.randint(-32, 32) for _ in range(n)], dtype=torch.float64).reshape(shape) / 16


def tensor(t):
    return {"shape": list(t.shape), "data": [float(f"{v:.15g}") for v in t.detach().flatten().tolist()]}


LEVELS = [draw(N, C, h, w) for h, w in MAPS]
# The input is 40 high and 56 wide.
BOXES = [
    (3.25, 5.5, 17.75, 20.125),  # inside
    (0, 0, 56, 40),  # all of it
    (20, 10, 20.5, 10.25),  # tiny
    (13, 17, 13, 17),  # empty
    (40.5, 30.25, 56, 40),  # to the borders
    (0, 0, 4, 4),  # a pixel
    (-9, -7.5, 6.25, 3),  # beyond the borders
    (50, 33, 75, 60),
    (-40, -30, -20, -12),  # outside
    (70, 60, 90, 80),
    (52, 36, 56, 40),  # the last pixel
    (1.5, 20, 54, 22.5),  # wide
    (30, 2, 24, 1),  # the wrong way round
    (7, 0.5, 9, 39),  # high
]


def case(aligned, sampling, bounds, boxes):
    levels = [x.clone().requires_grad_() for x in LEVELS]
    images = torch.tensor([float(i * 5 % 3 % N) for i in range(len(boxes))], dtype=torch.float64)
    rois = torch.cat([images[:, None], torch.tensor(boxes, dtype=torch.float64)], 1)
    parts = [
        roi_align(x, rois[bounds[i] : bounds[i + 1]], SIZE, 1 / STRIDES[i], sampling, aligned) for i, x in enumerate(levels)
    ]
    y = torch.cat(parts)
    dy = draw(*y.shape)
    y.backward(dy)
    out = dict(aligned=aligned, sampling=sampling, bounds=tensor(torch.tensor(bounds, dtype=torch.float64)), boxes=tensor(rois[:, 1:]), images=tensor(images), y=tensor(y), dy=tensor(dy))
    out.update({f"dx{i}": tensor(x.grad) for i, x in enumerate(levels)})
    return out


cases = []
for aligned in (False, True):
    for sampling in (2, 0):
        cases.append(case(aligned, sampling, [0, 6, 11, 14], BOXES))
    cases.append(case(aligned, 0, [0, 3, 9, 14], BOXES[::-1]))
cases.append(case(False, 3, [0, 0, 4, 4], BOXES[:4]))  # levels without boxes
cases.append(case(True, 1, [0, 4, 4, 4], BOXES[1:5]))
print(json.dumps({"strides": STRIDES, "size": SIZE, "levels": [tensor(x) for x in LEVELS], "cases": cases}, separators=(",", ":")))
