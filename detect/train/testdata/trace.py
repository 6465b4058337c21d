"""Steps of torchvision's training, for TestParityTrace: trace.py INPUT > OUTPUT.

INPUT has images in normalised values, boxes, labels and masks, the network's name, the seed, the learning rate, and
the batches of each step. Weights are made up by the rule. Anchors and regions are sampled by keys, as package train
does; the rest is torchvision's code, in float64. OUTPUT has the losses and the regions of each step, and at the end of
each parameter and its momentum the length and the products with three made-up tensors.
"""
import json
import math
import os
import sys

import numpy as np
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import boxes as box_ops

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "onnx", "arch", "testdata"))
from detectors import fill, tiny  # noqa: E402
from rule import rule  # noqa: E402

given = json.load(open(sys.argv[1]))
ANCHORS, REGIONS = 1, 2  # what is sampled


def mix(x):
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)


def keys(step, row, purpose, ids):
    h = mix(np.uint64(given["seed"]))
    for v in (step, row):
        h = mix(h ^ np.uint64(v))
    return mix(mix(h ^ np.uint64(purpose)) ^ ids.astype(np.uint64))


class Sampler:
    """In place of BalancedPositiveNegativeSampler: those of the lowest keys."""

    def __init__(self, purpose, samples, positives):
        self.purpose, self.samples, self.positives = purpose, samples, positives

    def __call__(self, labels):
        pos, neg = [], []
        for i, l in enumerate(labels):
            key = keys(self.step, self.rows[i], self.purpose, self.ids[i])
            lowest = lambda at, n: at[np.argsort(key[at], kind="stable")[:n]]
            p = lowest(np.flatnonzero(l.numpy() >= 1), self.positives)
            n = lowest(np.flatnonzero(l.numpy() == 0), self.samples - len(p))
            for at, to in ((p, pos), (n, neg)):
                mask = torch.zeros(len(l), dtype=torch.uint8)
                mask[torch.from_numpy(at)] = 1
                to.append(mask)
        return pos, neg


def filter_proposals(rpn, proposals, objectness, shapes, counts):
    """RegionProposalNetwork.filter_proposals, which keeps the anchors' identities in rpn.kept."""
    n = proposals.shape[0]
    objectness = objectness.detach().reshape(n, -1)
    levels = torch.cat([torch.full((c,), i) for i, c in enumerate(counts)]).reshape(1, -1).expand_as(objectness)
    top = rpn._get_top_n_idx(objectness, counts)
    batch = torch.arange(n)[:, None]
    objectness, levels, proposals = objectness[batch, top], levels[batch, top], proposals[batch, top]
    out, rpn.kept = [], []
    for boxes, scores, lvl, shape, at in zip(proposals, torch.sigmoid(objectness), levels, shapes, top):
        boxes = box_ops.clip_boxes_to_image(boxes, shape)
        keep = box_ops.remove_small_boxes(boxes, rpn.min_size)
        boxes, scores, lvl, at = boxes[keep], scores[keep], lvl[keep], at[keep]
        keep = box_ops.batched_nms(boxes, scores, lvl, rpn.nms_thresh)[: rpn.post_nms_top_n()]
        out.append(boxes[keep])
        rpn.kept.append(rpn.identities[at[keep].numpy()])
    return out, None


def identities(sizes, per):
    """Of anchors in torchvision's order: level << 32 + index, and the place among all, in the order [A,H,W] of each level."""
    ids, places, first = [], [], 0
    for level, (h, w) in enumerate(sizes):
        y, x, a = np.meshgrid(np.arange(h), np.arange(w), np.arange(per), indexing="ij")
        at = ((a * h + y) * w + x).reshape(-1)
        ids.append((level << 32) + at)
        places.append(first + at)
        first += len(at)
    return np.concatenate(ids), np.concatenate(places)


def network():
    net, name = fill(tiny(given["network"])), given["network"]
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for p in module.parameters():
                p.requires_grad_(False)
    sizes = [8, 16, 32, 64, 128]
    if name.startswith("retinanet"):
        net.anchor_generator = AnchorGenerator(tuple((s, s * 2 ** (1 / 3), s * 2 ** (2 / 3)) for s in sizes), ((0.5, 1.0, 2.0),) * 5)
        return net
    net.rpn.anchor_generator = AnchorGenerator(tuple((s,) for s in sizes), ((0.5, 1.0, 2.0),) * 5)
    net.rpn.fg_bg_sampler = Sampler(ANCHORS, 256, 128)
    net.roi_heads.fg_bg_sampler = Sampler(REGIONS, given["regions"], given["positives"])
    net.rpn._pre_nms_top_n, net.rpn._post_nms_top_n = {"training": 2000}, {"training": 2000}
    net.rpn.pre_nms_top_n, net.rpn.post_nms_top_n = lambda: 2000, lambda: 2000
    net.rpn.filter_proposals = lambda *a: filter_proposals(net.rpn, *a)
    return net


def losses(net, step, rows, images, targets):
    """The losses of a step, and the regions that were sampled."""
    n, _, h, w = images.shape
    features, shapes = net.backbone(images), [(h, w)] * n
    listed = ImageList(images, shapes)
    if hasattr(net, "anchor_generator"):
        out = net.head(list(features.values()))
        l = net.compute_loss(targets, out, net.anchor_generator(listed, list(features.values())))
        return {"loss_classifier": l["classification"], "loss_box_reg": l["bbox_regression"]}, []
    rpn, heads = net.rpn, net.roi_heads
    rpn.identities, places = identities([f.shape[2:] for f in features.values()], 3)
    for s in (rpn.fg_bg_sampler, heads.fg_bg_sampler):
        s.step, s.rows = step, rows
    rpn.fg_bg_sampler.ids = [places] * n
    rpn.training = heads.training = True
    proposals, l = rpn(listed, features, targets)
    heads.fg_bg_sampler.ids = [np.concatenate([k.astype(np.uint64), np.arange(len(t["boxes"]), dtype=np.uint64) + np.uint64(1 << 63)]) for k, t in zip(rpn.kept, targets)]
    sampled = []
    chosen = heads.select_training_samples

    def select(p, t):
        out = chosen(p, t)
        for boxes, matched, labels, deltas in zip(*out):
            sampled.append([[*b, m, c, *d] for b, m, c, d in zip(boxes.tolist(), matched.tolist(), labels.tolist(), deltas.tolist())])
        return out

    heads.select_training_samples = select
    _, more = heads(features, proposals, shapes, targets)
    heads.select_training_samples = chosen
    return {**l, **more}, sampled


def told(name, t):
    by = [(t * torch.from_numpy(rule("%s %d" % (name, k), t.numel(), -1, 1).astype(np.float64)).reshape(t.shape)).sum().item() for k in range(3)]
    return [t.norm().item()] + by


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    net = network()
    trained = {k: p for k, p in net.named_parameters() if p.requires_grad}
    opt = torch.optim.SGD(trained.values(), lr=given["lr"], momentum=0.9, weight_decay=1e-4)
    images = [torch.tensor(i["pixels"], dtype=torch.float64).reshape(3, *i["size"]) for i in given["images"]]
    targets = []
    for i in given["images"]:
        t = {"boxes": torch.tensor(i["boxes"], dtype=torch.float64).reshape(-1, 4), "labels": torch.tensor(i["labels"], dtype=torch.int64) + given["first"]}
        if "mask" in given["network"]:
            t["masks"] = torch.tensor(i["masks"], dtype=torch.uint8).reshape(-1, *i["size"])
        targets.append(t)
    steps = []
    for step, rows in enumerate(given["batches"]):
        l, regions = losses(net, step, rows, torch.stack([images[r] for r in rows]), [targets[r] for r in rows])
        opt.zero_grad()
        sum(l.values()).backward()
        opt.step()
        steps.append({"losses": {k: v.item() for k, v in l.items()}, "regions": regions})
    end = {k: told(k, p.detach()) for k, p in trained.items()}
    momentum = {k: told(k, opt.state[p]["momentum_buffer"]) for k, p in trained.items()}
    json.dump({"steps": steps, "parameters": end, "momentum": momentum}, sys.stdout)


main()
