"""Writes golden.json: what torchvision.ops makes of made-up boxes.

    golden.py > golden.json
"""
import hashlib
import json

import torch
import torchvision.ops as ops
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops.boxes import _batched_nms_vanilla

torch.set_num_threads(1)


def numbers(t):
    return [float("%.9g" % v) for v in t.flatten().tolist()]


def boxes(g, n, side=200.0, objects=0):
    """n boxes, or so many about each of some objects."""
    xy = torch.rand(n, 2, generator=g) * side
    wh = torch.rand(n, 2, generator=g) * side * .3 + .5
    if objects:
        at = torch.randint(objects, (n,), generator=g)
        xy, wh = xy[at], wh[at]
        xy = xy + torch.randn(n, 2, generator=g) * wh * .1
        wh = wh * (.8 + .4 * torch.rand(n, 2, generator=g))
    return torch.cat([xy, xy + wh], 1)


def iou(g):
    a = boxes(g, 16, objects=4)
    a = torch.cat([a, torch.tensor([
        [0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 3, 3], [0, 0, 1, 2], [-5, -5, 5, 5], [3, 3, 3, 3],
        [5, 5, 1, 1], [1e-20, 0, 2e-20, 1e-20], [0, 0, 3e38, 3e38], [1e4, 1e4, 1.00001e4, 1e4 + 7]])])
    return {"boxes": numbers(a), "iou": numbers(ops.box_iou(a, a).nan_to_num(0))}


def clip(g):
    b = (boxes(g, 20) - 50) * 2
    return {"boxes": numbers(b), "width": 150, "height": 90, "clipped": numbers(ops.clip_boxes_to_image(b, (90, 150)))}


def coder(g, weights):
    c = BoxCoder(weights)
    anchors, b = boxes(g, 40), boxes(g, 40)
    deltas = torch.randn(40, 4, generator=g) * 2
    deltas[:6] *= 20  # beyond the clamp
    return {"weights": weights, "anchors": numbers(anchors), "boxes": numbers(b), "deltas": numbers(deltas),
            "encoded": numbers(c.encode_single(b, anchors)), "decoded": numbers(c.decode_single(deltas, anchors))}


def nms(g, name, b, scores, threshold):
    return {"name": name, "boxes": numbers(b), "scores": numbers(scores), "threshold": threshold, "keep": ops.nms(b, scores, threshold).tolist()}


def all_nms(g):
    out = []
    for n, objects in (40, 5), (60, 20), (30, 0):
        for threshold in .3, .5, .7:
            b = boxes(g, n, objects=objects)
            out.append(nms(g, "%d boxes about %d objects" % (n, objects), b, torch.rand(n, generator=g), threshold))
    b = boxes(g, 40, objects=4)
    out.append(nms(g, "equal scores", b, torch.randint(3, (40,), generator=g) / 4, .5))
    # Boxes [0,n] and [0,m]: overlaps that are n/m, rounded, and the threshold itself.
    b = torch.tensor([[0, 0, float(n), 1] for n in range(1, 21)])
    for threshold in .1, .3, .5, .6, .7, .8, .9:
        out.append(nms(g, "overlaps equal to the threshold", b, torch.rand(20, generator=g), threshold))
    b = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 5], [0, 0, 2, 2], [0, 0, 2, 2], [3, 3, 2, 2.]])
    out.append(nms(g, "boxes without area", b, torch.rand(6, generator=g), .5))
    b = boxes(g, 10, objects=1)
    b[3, 3] = b[7, 2] = 3e38
    b[5, 0] = -3e38
    out.append(nms(g, "boxes with vast sides", b, torch.rand(10, generator=g), .5))
    return out


def by_class(g):
    b, scores = boxes(g, 60, objects=4), torch.rand(60, generator=g)
    classes = torch.randint(4, (60,), generator=g)
    return {"boxes": numbers(b), "scores": numbers(scores), "classes": classes.tolist(), "threshold": .5,
            "keep": _batched_nms_vanilla(b, scores, classes, .5).tolist()}


def large(g):
    """2,000 boxes by a rule: quarters of pixels by SplitMix64, as in box_test.go."""
    state = [1]

    def below(n):
        m = (1 << 64) - 1
        state[0] = (state[0] + 0x9E3779B97F4A7C15) & m
        z = state[0]
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & m
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & m
        return (z ^ z >> 31) % n

    rows, scores = [], []
    for _ in range(2000):
        x, y = below(4000) / 4, below(2800) / 4
        w, h = (1 + below(600)) / 4, (1 + below(600)) / 4
        rows.append([x, y, x + w, y + h])
        scores.append(below(1 << 24))
    b, scores = torch.tensor(rows), torch.tensor(scores, dtype=torch.float32)
    out = []
    for threshold in .1, .3, .5, .7:
        keep = ops.nms(b, scores, threshold).tolist()
        out.append({"threshold": threshold, "kept": len(keep), "sha256": hashlib.sha256(json.dumps(keep).encode()).hexdigest()})
    return out


def topk(g):
    scores = torch.randint(-20, 20, (100,), generator=g) / 4
    scores[50] = 0.
    scores[51] = -0.
    order = torch.sort(scores, descending=True, stable=True)[1].tolist()
    return {"scores": numbers(scores), "order": order}


g = torch.Generator().manual_seed(1)
golden = {"iou": iou(g), "clip": clip(g), "coders": [coder(g, (1., 1., 1., 1.)), coder(g, (10., 10., 5., 5.))],
          "nms": all_nms(g), "by_class": by_class(g), "large": large(g), "topk": topk(g)}
print("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v)) for k, v in golden.items()) + "\n}")
