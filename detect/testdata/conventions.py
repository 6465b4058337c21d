"""What torchvision and Detectron2 choose of made-up outputs of a network: conventions.py > conventions.json.

torchvision's part is its own code. Detectron2's is written from its documented conventions with torch: anchors
that are not rounded, fixed strides, empty boxes dropped, RoIAlign shifted by half a pixel with as many samples as
a bin has pixels, epsilon within the logarithm, masks sampled at the centres of pixels.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.roi_heads import RoIHeads, paste_masks_in_image
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import MultiScaleRoIAlign, batched_nms, roi_align

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "onnx", "arch", "testdata"))
from rule import rule  # noqa: E402

H, W, PH, PW, CHANNELS, CLASSES, OUT = 112, 150, 128, 160, 8, 4, 28
CLAMP = math.log(1000.0 / 16)
torch.set_num_threads(1)


def made(name, low, high, *dims):
    return torch.from_numpy(rule(name, int(np.prod(dims)), low, high).reshape(dims))


sizes = [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]
maps = [made(f"map{i}", -1, 1, 1, CHANNELS, h, w) for i, (h, w) in enumerate(sizes)]


def heads(features):  # of boxes: logits and deltas of the means of their channels
    x = features.mean((2, 3))
    return x @ made("logits", -10, 10, CHANNELS, CLASSES + 1), x @ made("deltas", -8, 8, CHANNELS, 4 * (CLASSES + 1))


def masks(features, labels):  # of boxes: the channel of the label, every value four times
    x = torch.stack([f[k] for f, k in zip(features, labels)]) if len(labels) else features[:, 0]
    return torch.sigmoid(4 * x.repeat_interleave(2, 1).repeat_interleave(2, 2))


def outputs(anchors, classes):
    logits = [made(f"logits{i}", -5, 5, 1, anchors * classes, h, w) for i, (h, w) in enumerate(sizes)]
    return logits, [made(f"deltas{i}", -0.7, 0.7, 1, 4 * anchors, h, w) for i, (h, w) in enumerate(sizes)]


def runs(mask, least):
    flat = least(mask).numpy().flatten(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist() + [flat.size]
    return np.diff([0] + ends).tolist()


def told(proposals, boxes, scores, labels, pasted):
    return {"proposals": proposals.tolist(), "boxes": boxes.tolist(), "scores": scores.tolist(), "labels": labels.tolist(), "masks": pasted}


def torchvision():
    logits, deltas = outputs(3, 1)
    generator = AnchorGenerator(tuple((32 * 2**i,) for i in range(5)), ((0.5, 1.0, 2.0),) * 5)
    anchors = generator(ImageList(torch.zeros(1, 3, PH, PW), [(H, W)]), maps)
    counts = [o[0].numel() for o in logits]
    flat, moves = concat_box_prediction_layers(logits, deltas)
    rpn = RegionProposalNetwork(generator, None, 0.7, 0.3, 256, 0.5, {"training": 300, "testing": 300}, {"training": 200, "testing": 200}, 0.7).eval()
    boxes = rpn.box_coder.decode(moves, anchors).view(1, -1, 4)
    proposals = rpn.filter_proposals(boxes, flat, [(H, W)], counts)[0]
    named = {str(i): m for i, m in enumerate(maps[:4])}
    pool = lambda size: MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2)
    heads_of = RoIHeads(None, None, None, 0.5, 0.5, 512, 0.25, None, 0.05, 0.5, 100)
    boxes, scores, labels = heads_of.postprocess_detections(*heads(pool(7)(named, proposals, [(H, W)])), proposals, [(H, W)])
    m = masks(pool(14)(named, boxes, [(H, W)]), labels[0])
    pasted = [runs(x[0], lambda v: v > 0.5) for x in paste_masks_in_image(m[:, None], boxes[0], (H, W))]
    return told(proposals[0], boxes[0], scores[0], labels[0], pasted)


def detectron2():
    logits, deltas = outputs(3, 1)
    boxes, scores, levels = [], [], []
    rpn, head = BoxCoder((1.0, 1.0, 1.0, 1.0), CLAMP), BoxCoder((10.0, 10.0, 5.0, 5.0), CLAMP)
    clip = lambda b: torch.stack([b[:, 0].clamp(0, W), b[:, 1].clamp(0, H), b[:, 2].clamp(0, W), b[:, 3].clamp(0, H)], 1)
    for i, (h, w) in enumerate(sizes):
        size, cells = 32 * 2**i, []
        for ratio in (0.5, 1.0, 2.0):
            width = math.sqrt(size**2.0 / ratio)
            cells.append([-width / 2, -ratio * width / 2, width / 2, ratio * width / 2])
        y, x = torch.meshgrid(torch.arange(h) * 4 * 2**i, torch.arange(w) * 4 * 2**i, indexing="ij")
        shifts = torch.stack([x, y, x, y], -1).view(-1, 1, 4).float()
        anchors = (shifts + torch.tensor(cells).view(1, -1, 4)).view(-1, 4)
        score, best = logits[i][0].permute(1, 2, 0).flatten().sort(descending=True)
        best = best[:300]
        moves = deltas[i].view(3, 4, h, w).permute(2, 3, 0, 1).reshape(-1, 4)
        b = clip(rpn.decode_single(moves[best], anchors[best]))
        keep = (b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1])
        boxes.append(b[keep]), scores.append(score[:300][keep]), levels.append(torch.full((int(keep.sum()),), i))
    boxes, scores = torch.cat(boxes), torch.cat(scores)
    proposals = boxes[batched_nms(boxes, scores, torch.cat(levels), 0.7)[:200]]

    def pool(b, size):
        area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
        level = torch.floor(4 + torch.log2(area.sqrt() / 224 + 1e-8)).clamp(2, 5).long() - 2
        out = torch.zeros(len(b), CHANNELS, size, size)
        for i in range(4):
            rois = torch.cat([torch.zeros(len(b), 1), b], 1)[level == i]
            out[level == i] = roi_align(maps[i], rois, size, 1 / (4 * 2**i), 0, aligned=True)
        return out

    cls, moves = heads(pool(proposals, 7))
    moved = head.decode_single(moves, proposals).view(-1, 4)
    moved = clip(moved).view(-1, CLASSES + 1, 4)
    row, label = torch.where(F.softmax(cls, 1)[:, 1:] > 0.05)
    boxes, scores = moved[row, label + 1], F.softmax(cls, 1)[row, label + 1]
    keep = batched_nms(boxes, scores, label, 0.5)[:100]
    boxes, scores, label = boxes[keep], scores[keep], label[keep]
    m = masks(pool(boxes, 14), label + 1)
    x = (torch.arange(W)[None] + 0.5 - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1]) * 2 - 1
    y = (torch.arange(H)[None] + 0.5 - boxes[:, 1:2]) / (boxes[:, 3:] - boxes[:, 1:2]) * 2 - 1
    grid = torch.stack([x[:, None, :].expand(-1, H, W), y[:, :, None].expand(-1, H, W)], -1)
    pasted = F.grid_sample(m[:, None], grid, align_corners=False)[:, 0]
    return told(proposals, boxes, scores, label + 1, [runs(p, lambda v: v >= 0.5) for p in pasted])


def retinanet():
    logits, deltas = outputs(9, CLASSES)
    generator = AnchorGenerator(tuple((x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5)
    anchors = generator(ImageList(torch.zeros(1, 3, PH, PW), [(H, W)]), maps)
    counts = [h * w * 9 for h, w in sizes]
    split = lambda x, k: [o.view(1, 9, k, *o.shape[2:]).permute(0, 3, 4, 1, 2).reshape(1, -1, k) for o in x]
    net = RetinaNet.__new__(RetinaNet)
    torch.nn.Module.__init__(net)
    net.score_thresh, net.topk_candidates, net.nms_thresh, net.detections_per_img, net.box_coder = 0.05, 200, 0.5, 150, BoxCoder((1.0,) * 4, CLAMP)
    found = net.postprocess_detections({"cls_logits": split(logits, CLASSES), "bbox_regression": split(deltas, 4)}, [list(anchors[0].split(counts))], [(H, W)])[0]
    return told(torch.zeros(0, 4), found["boxes"], found["scores"], found["labels"] + 1, [])


print(json.dumps({"torchvision": torchvision(), "detectron2": detectron2(), "retinanet": retinanet()}))
