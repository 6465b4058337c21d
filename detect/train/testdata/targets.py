"""What torchvision matches, samples, encodes and loses in training: targets.py > targets.json.

torchvision's samplers draw with torch.randperm. Here they take the lowest keys, by the rule of package train. Detectron2's
losses are written from its documented conventions, of torchvision's matches: anchors that are not rounded, L1, and a
fixed divisor. Indices of anchors are those of [A,H,W], level by level.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetClassificationHead, RetinaNetRegressionHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import box_iou, roi_align

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "onnx", "arch", "testdata"))
from rule import rule  # noqa: E402

torch.set_num_threads(1)
CANVAS, SIZES, MAPS = (128, 160), [(112, 150), (128, 160), (96, 160)], [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]
SEED, STEP, ROWS, CLASSES, PROPOSALS = 7, 3, [11, 2, 5], 3, 60
ANCHOR_SAMPLES, ANCHOR_POSITIVES, ROI_SAMPLES, ROI_POSITIVES = 64, 8, 32, 8


def made(name, low, high, *dims):
    return torch.from_numpy(rule(name, int(np.prod(dims)), low, high).reshape(dims))


def mix(x):
    with np.errstate(over="ignore"):
        x = np.uint64(x) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)


class Keyed:
    """BalancedPositiveNegativeSampler with the lowest keys instead of random ones."""

    def __init__(self, samples, positives, purpose, ids):
        self.samples, self.positives, self.purpose, self.ids = samples, positives, purpose, ids

    def __call__(self, labels):
        chosen = [], []
        for label, row, ids in zip(labels, ROWS, self.ids):
            h = mix(mix(mix(mix(SEED) ^ np.uint64(STEP)) ^ np.uint64(row)) ^ np.uint64(self.purpose))
            keys, label, left = mix(h ^ ids), label.numpy(), self.samples
            for masks, of in zip(chosen, (label >= 1, label == 0)):
                where = np.flatnonzero(of)
                where = where[np.argsort(keys[where])][: min(left, self.positives) if masks is chosen[0] else left]
                left -= len(where)
                mask = torch.zeros(len(label), dtype=torch.uint8)
                mask[where] = 1
                masks.append(mask)
        return chosen


def indices(each):  # of anchors in torchvision's order, which is level, y, x, a
    offset, out = 0, []
    for h, w in MAPS:
        out.append(offset + np.arange(h * w * each).reshape(each, h, w).transpose(1, 2, 0).ravel())
        offset += h * w * each
    return np.concatenate(out).astype(np.uint64)


def objects():
    out = []
    for i, ((h, w), n) in enumerate(zip(SIZES, (12, 1, 0))):
        u = made(f"objects{i}", 0, 1, n, 4)
        x, y = u[:, 0] * w * 0.8, u[:, 1] * h * 0.8
        boxes = torch.stack([x, y, (x + 2 + u[:, 2] ** 2 * w).clamp(max=w), (y + 2 + u[:, 3] ** 2 * h).clamp(max=h)], 1)
        if n > 6:
            boxes[1] = torch.tensor([40.0, 24, 41, 25])
            boxes[2] = boxes[3]
            boxes[4] = torch.tensor([w - 1.0, h - 3, w, h])
            boxes[5] = torch.tensor([16.0, 16, 48, 48])
        out.append({"boxes": boxes, "labels": (made(f"labels{i}", 0, CLASSES, n).floor().long())})
    return out


def matches(matched):
    where = np.flatnonzero(matched.numpy() != -1)
    return where, matched.numpy()[where]


def told(indices, matched):  # [index, object] of anchors that are not background
    return sorted([int(indices[i]), int(m)] for i, m in zip(*matches(matched)))


def anchors_of(per):
    sizes = tuple((32 * 2**i,) if per == 3 else tuple(int(32 * 2**i * 2 ** (k / 3)) for k in range(3)) for i in range(5))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)(ImageList(torch.zeros(3, 3, *CANVAS), SIZES), [torch.zeros(3, 1, h, w) for h, w in MAPS])


def unrounded():
    levels = []
    for i, (h, w) in enumerate(MAPS):
        cells = []
        for ratio in (0.5, 1.0, 2.0):
            width = math.sqrt((32.0 * 2**i) ** 2 / ratio)
            cells.append([-width / 2, -ratio * width / 2, width / 2, ratio * width / 2])
        y, x = torch.meshgrid(torch.arange(h) * 4 * 2**i, torch.arange(w) * 4 * 2**i, indexing="ij")
        levels.append((torch.stack([x, y, x, y], -1).view(-1, 1, 4).float() + torch.tensor(cells).view(1, -1, 4)).view(-1, 4))
    return [torch.cat(levels)] * 3


def outputs(per, classes):
    logits = [made(f"logits{i}", -5, 5, 3, per * classes, h, w).double() for i, (h, w) in enumerate(MAPS)]
    return logits, [made(f"deltas{i}", -0.7, 0.7, 3, 4 * per, h, w).double() for i, (h, w) in enumerate(MAPS)]


def first_stage(targets, anchors, fixed):
    ids = indices(3)
    rpn = RegionProposalNetwork(None, None, 0.7, 0.3, ANCHOR_SAMPLES, 0.5, {}, {}, 0.7)
    rpn.fg_bg_sampler = Keyed(ANCHOR_SAMPLES, ANCHOR_POSITIVES, 1, [ids] * 3)
    labels, boxes = rpn.assign_targets_to_anchors(anchors, targets)
    deltas = rpn.box_coder.encode(boxes, anchors)
    logits, moves = concat_box_prediction_layers(*outputs(3, 1))
    losses = rpn.compute_loss(logits, moves, labels, [d.double() for d in deltas])
    positive, negative = rpn.fg_bg_sampler(labels)
    if fixed:
        p, n = torch.cat(positive).bool(), torch.cat(negative).bool()
        kept, of = p | n, ANCHOR_SAMPLES * len(targets)
        losses = (F.binary_cross_entropy_with_logits(logits[:, 0][kept], p[kept].double(), reduction="sum") / of, F.l1_loss(moves[p], torch.cat(deltas)[p].double(), reduction="sum") / of)
    matched = [rpn.proposal_matcher(rpn.box_similarity(t["boxes"], a)) if len(t["boxes"]) else torch.full((len(a),), -1) for t, a in zip(targets, anchors)]
    return {
        "matched": [told(ids, m) for m in matched],
        "objects": [sorted(ids[np.flatnonzero(p)].tolist()) for p in positive],
        "background": [sorted(ids[np.flatnonzero(n)].tolist()) for n in negative],
        "deltas": [d[p.bool()][np.argsort(ids[np.flatnonzero(p)])].tolist() for d, p in zip(deltas, positive)],
        "losses": [x.item() for x in losses],
    }


def second_stage(targets):
    proposals, ids = [], []
    for i, ((h, w), t) in enumerate(zip(SIZES, targets)):
        u = made(f"proposals{i}", 0, 1, PROPOSALS, 4)
        n = len(t["boxes"])
        of = t["boxes"][torch.arange(PROPOSALS) % n] if n else u * 0
        moved = of + (u - 0.5) * 0.4 * (of[:, 2:] - of[:, :2]).repeat(1, 2)
        x, y = u[:, 0] * w * 0.8, u[:, 1] * h * 0.8
        free = torch.stack([x, y, (x + 2 + u[:, 2] * w).clamp(max=w), (y + 2 + u[:, 3] * h).clamp(max=h)], 1)
        boxes = torch.where((torch.arange(PROPOSALS) % 3 == 0)[:, None] | (n == 0), free, moved)
        boxes = torch.stack([boxes[:, 0].clamp(0, w), boxes[:, 1].clamp(0, h), boxes[:, 2].clamp(0, w), boxes[:, 3].clamp(0, h)], 1)
        proposals.append(boxes)
        index = np.arange(PROPOSALS, dtype=np.uint64)  # proposal i is of level i%5 and anchor i/5
        ids.append(np.concatenate([(index % np.uint64(5) << np.uint64(32)) + index // np.uint64(5), np.uint64(1 << 63) + np.arange(n, dtype=np.uint64)]))
    heads = RoIHeads(None, None, None, 0.5, 0.5, ROI_SAMPLES, 0.25, None, 0.05, 0.5, 100)
    heads.fg_bg_sampler = Keyed(ROI_SAMPLES, ROI_POSITIVES, 2, ids)
    shifted = [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets]
    candidates = heads.add_gt_proposals(proposals, [t["boxes"] for t in targets])
    sampled = heads.subsample(heads.assign_targets_to_proposals(candidates, [t["boxes"] for t in targets], [t["labels"] for t in shifted])[1])
    boxes, matched, labels, deltas = heads.select_training_samples(list(proposals), shifted)
    rows = lambda name, high, columns: torch.cat([made(f"{name}{i}", -high, high, PROPOSALS + 12, columns)[s] for i, s in enumerate(sampled)]).double()
    losses = fastrcnn_loss(rows("class", 5, CLASSES + 1), rows("move", 1, 4 * CLASSES + 4), labels, [d.double() for d in deltas])
    return {
        "proposals": [p.flatten().tolist() for p in proposals],
        "rois": [[[int(s), int(k), int(m) if k else -1, *(d if k else d * 0).nan_to_num(0, 0, 0).tolist()] for s, k, m, d in zip(*of)] for of in zip(sampled, labels, matched, deltas)],
        "losses": [x.item() for x in losses],
    }


def one_stage(targets):
    anchors, ids, matcher = anchors_of(9), indices(9), Matcher(0.5, 0.4, allow_low_quality_matches=True)
    matched = [matcher(box_iou(t["boxes"], a)) if len(t["boxes"]) else torch.full((len(a),), -1) for t, a in zip(targets, anchors)]
    logits, moves = outputs(9, CLASSES)
    split = lambda x, k: torch.cat([o.view(3, 9, k, *o.shape[2:]).permute(0, 3, 4, 1, 2).reshape(3, -1, k) for o in x], 1)
    out = {"cls_logits": split(logits, CLASSES), "bbox_regression": split(moves, 4)}
    classes, boxes = RetinaNetClassificationHead(8, 9, CLASSES), RetinaNetRegressionHead(8, 9)
    losses = classes.compute_loss(targets, out, matched), boxes.compute_loss(targets, out, anchors, matched)
    return {"matched": [told(ids, m) for m in matched], "losses": [x.item() for x in losses]}


def masks():
    h, w = 40, 52
    bits = torch.zeros(3, h, w)
    bits[0, 5:31, 8:44] = (made("blob", 0, 1, 26, 36) > 0.3).float()
    bits[1, 0:40, 30:52] = 1  # up to the border
    bits[2, 12, 17] = 1  # a pixel
    rois = torch.tensor([
        [0, 5, 3, 47, 33], [0, 8, 5, 44, 31], [0, 10.3, 7.9, 20.2, 12.4], [0, 0, 0, 52, 40], [0, 45, 33, 50, 38], [1, 20, 0, 52, 40], [1, 30, 10, 52, 39.5],
        [1, 51, 39, 52, 40], [1, 29.5, 2, 31.5, 30], [1, 23, 4, 37, 18], [2, 17, 12, 18, 13], [2, 10, 10, 24, 24], [2, 16.7, 11.8, 17.9, 12.6], [1, 33.25, 8, 33.5, 8.5],
    ])
    soft = project_masks_on_boxes(bits, rois[:, 1:], rois[:, 0].long(), 7)
    fine = project_masks_on_boxes(bits, rois[:1, 1:], rois[:1, 0].long(), 28)
    hard = roi_align(bits[:, None], rois, (14, 14), 1.0, 0, aligned=True)[:, 0] >= 0.5
    return {
        "bits": ["".join(str(int(v)) for v in b.flatten()) for b in bits],
        "rois": rois.tolist(),
        "soft": [s.flatten().tolist() for s in soft],
        "fine": fine[0].flatten().tolist(),
        "hard": ["".join(str(int(v)) for v in b.flatten()) for b in hard],
    }


def rounded(x):  # floats as float32 prints them
    if isinstance(x, float):
        return float(f"{x:.9g}")
    return [rounded(v) for v in x] if isinstance(x, list) else {k: rounded(v) for k, v in x.items()} if isinstance(x, dict) else x


targets = objects()
print(json.dumps(rounded({
    "objects": [{"boxes": t["boxes"].flatten().tolist(), "labels": t["labels"].tolist()} for t in targets],
    "torchvision": first_stage(targets, anchors_of(3), False),
    "detectron2": first_stage(targets, unrounded(), True),
    "rois": second_stage(targets),
    "retinanet": one_stage(targets),
    "masks": masks(),
})))
