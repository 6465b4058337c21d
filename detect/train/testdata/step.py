"""Losses and gradients of one training step of small detectors, by torchvision and autograd in float64: step.py > step.json.

Weights, images, samples and what is to be learned are made up by the rule, so that the test has the same. Of the
gradient by each parameter the file has the norm and its products with three made-up tensors.
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.models.detection.rpn import concat_box_prediction_layers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "onnx", "arch", "testdata"))
from detectors import fill, tiny  # noqa: E402
from rule import rule  # noqa: E402

N, H, W, CLASSES, REGIONS, MASKS = 2, 64, 96, 4, 24, 20
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def made(name, low, high, *dims):
    return torch.from_numpy(rule(name, int(np.prod(dims)), low, high).astype(np.float64)).reshape(dims)


def images():
    scale, shift = (torch.from_numpy(v.astype(np.float32).astype(np.float64)).reshape(1, 3, 1, 1) for v in (1 / STD, -MEAN / STD))
    return made("images", 0, 1, N, 3, H, W) * scale + shift


def boxes(name, n):
    """Boxes of all levels, most of which reach out of the images."""
    corner, size = made(name + " corner", -10, 60, n, 2), 2 ** made(name + " size", 3, 9.5, n, 2)
    return torch.cat([corner, corner + size], 1).float().double()


def rounded(v):
    return float("%.10g" % v)


def by_image(t):
    return list(t.split(t.shape[0] // N))


def anchor_losses(net, features):
    logits, deltas = net.rpn.head(features)
    logits, deltas = concat_box_prediction_layers(logits, deltas)
    n = logits.numel() // N
    chance = made("anchors", 0, 1, N * n)
    labels = torch.where(chance < 0.1, 1.0, torch.where(chance < 0.4, 0.0, -1.0)).double()
    net.rpn.fg_bg_sampler = lambda labels: ([(v == 1).float() for v in labels], [(v == 0).float() for v in labels])
    targets = made("anchor targets", -1, 1, N * n, 4)
    names = "loss_objectness", "loss_rpn_box_reg"
    return dict(zip(names, net.rpn.compute_loss(logits, deltas, by_image(labels), by_image(targets))))


def two_stages(net):
    maps = net.backbone(images())
    losses = anchor_losses(net, list(maps.values()))
    heads, sizes = net.roi_heads, [(H, W)] * N
    pooled = heads.box_roi_pool(maps, by_image(boxes("regions", REGIONS)), sizes)
    logits, deltas = heads.box_predictor(heads.box_head(pooled))
    labels = made("labels", 0, 2 * CLASSES, REGIONS).long()
    labels[labels >= CLASSES] = 0
    losses["loss_classifier"], losses["loss_box_reg"] = fastrcnn_loss(logits, deltas, by_image(labels), by_image(made("targets", -2, 2, REGIONS, 4)))
    if heads.has_mask():
        pooled = heads.mask_roi_pool(maps, by_image(boxes("masks", MASKS)), sizes)
        logits = heads.mask_predictor(heads.mask_head(pooled))
        labels = made("mask labels", 1, CLASSES, MASKS).long()
        losses["loss_mask"] = F.binary_cross_entropy_with_logits(logits[torch.arange(MASKS), labels], made("mask targets", 0, 1, MASKS, 28, 28))
    return losses


def one_stage(net):
    maps = list(net.backbone(images()).values())
    out = net.head(maps)
    n = out["bbox_regression"].shape[1]
    matched, targets, anchors = [], [], []
    chance = made("anchors", 0, 1, N, n)
    for i in range(N):
        matched.append(torch.where(chance[i] < 0.05, (made("objects", 0, 5, N, n)[i]).floor(), torch.where(chance[i] < 0.1, -2.0, -1.0)).long())
        targets.append({"boxes": boxes("objects of %d" % i, 5), "labels": made("labels of %d" % i, 0, CLASSES, 5).long()})
        anchors.append(made("anchors of %d" % i, 0, 1, n, 4) + torch.tensor([0.0, 0, 8, 8]))
    losses = net.head.compute_loss(targets, out, anchors, matched)
    return {"loss_classifier": losses["classification"], "loss_box_reg": losses["bbox_regression"]}


def step(name):
    net = fill(tiny(name))
    losses = one_stage(net) if name.startswith("retinanet") else two_stages(net)
    sum(losses.values()).backward()
    gradients = {}
    for p, t in net.named_parameters():
        by = [(t.grad * made("%s %d" % (p, k), -1, 1, *t.shape)).sum().item() for k in range(3)]
        gradients[p] = [rounded(v) for v in [t.grad.norm().item()] + by]
    return {"losses": {k: rounded(v.item()) for k, v in losses.items()}, "gradients": gradients}


torch.set_num_threads(1)
json.dump({name: step(name) for name in ("fasterrcnn_tiny_fpn", "maskrcnn_tiny_fpn", "maskrcnn_tiny_fpn_v2", "retinanet_tiny_fpn")}, sys.stdout, indent=0)
