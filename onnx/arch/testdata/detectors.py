"""The oracle of the detectors: names of tensors, and outputs of small ones.

    python3 detectors.py tensors > detectors.tsv
    python3 detectors.py outputs > detectoroutputs.tsv

tensors: those of torchvision's detectors, without num_batches_tracked. Columns:
network, number of tensors, number of elements, SHA-256 of the lines "name dims" in
the order of the state_dict.
outputs: values of the graph of small detectors of torchvision's modules, in float64,
with weights and inputs by the rule. Columns: network, value, dims, largest absolute
value, then eight values at equal distances in the flattened tensor.
"""
import functools
import hashlib
import math
import re
import sys

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models import detection
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead, _default_anchorgen
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.resnet import Bottleneck
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from rule import rule

torch.set_num_threads(1)
NETWORKS = """
fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 retinanet_resnet50_fpn retinanet_resnet50_fpn_v2
fasterrcnn_resnet18_fpn maskrcnn_resnet101_fpn maskrcnn_resnext101_32x8d_fpn retinanet_resnet34_fpn
""".split()
TINY = """
fasterrcnn_tiny_fpn fasterrcnn_tiny_fpn_v2 maskrcnn_tiny_fpn maskrcnn_tiny_fpn_v2 maskrcnn_tiny_msra_fpn
retinanet_tiny_fpn retinanet_tiny_fpn_v2 retinanet_tiny_msra_fpn
""".split()


def make(name):
    if hasattr(detection, name):
        return getattr(detection, name)(weights=None, weights_backbone=None, num_classes=91)
    kind, backbone = re.match(r"(\w+?)_(\w+)_fpn$", name).groups()
    if kind == "retinanet":
        fpn = resnet_fpn_backbone(backbone_name=backbone, weights=None, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))
        return RetinaNet(fpn, 91, anchor_generator=_default_anchorgen())
    return {"fasterrcnn": FasterRCNN, "maskrcnn": MaskRCNN}[kind](resnet_fpn_backbone(backbone_name=backbone, weights=None), 91)


class Body(nn.Module):
    """A residual network of four bottlenecks."""

    def __init__(self, first):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        inner = 8
        for i in range(4):
            planes, stride = 8 << i, 1 if i == 0 else 2
            down = nn.Sequential(nn.Conv2d(inner, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes))
            block = Bottleneck(inner, planes, stride, down)
            if first:
                block.conv1.stride, block.conv2.stride = (stride, stride), (1, 1)
            self.add_module("layer%d" % (i + 1), nn.Sequential(block))
            inner = 4 * planes


def tiny(name):
    kind, v2, first = name.split("_")[0], name.endswith("_v2"), "_msra" in name
    norm = nn.BatchNorm2d if v2 else None
    layers, extra = [1, 2, 3, 4], None
    if kind == "retinanet":
        layers, extra = [2, 3, 4], LastLevelP6P7(256 if v2 or first else 32, 32)
    backbone = BackboneWithFPN(Body(first), {"layer%d" % k: str(i) for i, k in enumerate(layers)}, [16 << k for k in layers], 32, extra,
                               **({"norm_layer": norm} if v2 and kind != "retinanet" else {}))
    if kind == "retinanet":
        norms = {"norm_layer": functools.partial(nn.GroupNorm, 32)} if v2 else {}
        return RetinaNet(backbone, 4, anchor_generator=_default_anchorgen(), head=RetinaNetHead(32, 9, 4, **norms))
    with_masks = {}
    if kind == "maskrcnn":
        with_masks = dict(mask_head=MaskRCNNHeads(32, [32] * 4, 1, **({"norm_layer": norm} if v2 else {})), mask_predictor=MaskRCNNPredictor(32, 32, 4))
    box = FastRCNNConvFCHead((32, 7, 7), [32] * 4, [24], norm) if v2 else TwoMLPHead(32 * 49, 24)
    return {"fasterrcnn": FasterRCNN, "maskrcnn": MaskRCNN}[kind](
        backbone, rpn_head=RPNHead(32, 3, conv_depth=2 if v2 else 1), box_head=box, box_predictor=FastRCNNPredictor(24, 4), **with_masks)


# What scales the synthetic weights of some convolutions.
GAINS = [(r"inner_blocks\.\d\.0\.weight", 0.25), (r"layer_blocks\.\d\.0\.weight", 0.5), (r"rpn\.head\.cls_logits\.weight", 0.5),
         (r"rpn\.head\.bbox_pred\.weight", 0.125), (r"head\.regression_head\.bbox_reg\.weight", 0.125)]


def fill(net):
    with torch.no_grad():
        for name, t in list(net.named_parameters()) + list(net.named_buffers()):
            kind, module = name.rsplit(".", 1)[1], net.get_submodule(name.rsplit(".", 1)[0])
            low, high = -0.1, 0.1
            if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                gain = 0.25 if name.endswith("bn3.weight") else 1
                low, high = {"weight": (0.5 * gain, 1.5 * gain), "running_var": (0.5, 1.5)}.get(kind, (low, high))
            elif kind == "weight":
                fan = t.shape[0] if isinstance(module, nn.ConvTranspose2d) else t[0].numel()
                bound = math.sqrt(6 / fan)
                for pattern, gain in GAINS:
                    if re.search(pattern, name):
                        bound *= gain
                low, high = -bound, bound
            elif name == "head.classification_head.cls_logits.bias":
                low, high = -5, -4
            if kind != "num_batches_tracked":
                t.copy_(torch.from_numpy(rule(name, t.numel(), low, high)).reshape(t.shape))
    return net.eval().double()


def outputs(net):
    x = lambda name, *dims: torch.from_numpy(rule(name, int(np.prod(dims)), -2, 2).astype(np.float64)).reshape(dims)
    out = {}
    for i, p in enumerate(net.backbone(x("images", 2, 3, 96, 160)).values()):
        if hasattr(net, "head"):
            name, heads = "p%d" % (i + 3), net.head
            cls, reg = heads.classification_head, heads.regression_head
            out[name], out[name + "/logits"], out[name + "/deltas"] = p, cls.cls_logits(cls.conv(p)), reg.bbox_reg(reg.conv(p))
        else:
            name, (logits, deltas) = "p%d" % (i + 2), net.rpn.head([p])
            out[name], out[name + "/logits"], out[name + "/deltas"] = p, logits[0], deltas[0]
    if not hasattr(net, "head"):
        heads = net.roi_heads
        out["box/logits"], out["box/deltas"] = heads.box_predictor(heads.box_head(x("box/features", 3, 32, 7, 7)))
        if heads.has_mask():
            out["mask/logits"] = heads.mask_predictor(heads.mask_head(x("mask/features", 2, 32, 14, 14)))
    return out


def main(what):
    if what == "tensors":
        for name in NETWORKS:
            state = {k: v for k, v in make(name).state_dict().items() if not k.endswith("num_batches_tracked")}
            text = "".join("%s %s\n" % (k, " ".join(map(str, v.shape))) for k, v in state.items())
            print(name, len(state), sum(v.numel() for v in state.values()), hashlib.sha256(text.encode()).hexdigest(), sep="\t", flush=True)
        return
    print("# torch %s, torchvision %s, Python %s" % (torch.__version__, torchvision.__version__, sys.version.split()[0]))
    for name in TINY:
        with torch.no_grad():
            for value, y in outputs(fill(tiny(name))).items():
                flat = y.flatten()
                at = [i * flat.numel() // 8 for i in range(8)]
                print(name, value, " ".join(map(str, y.shape)), *("%.9g" % v for v in [flat.abs().max()] + [flat[i] for i in at]), sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
