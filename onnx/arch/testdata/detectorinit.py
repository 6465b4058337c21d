"""What torchvision and Detectron2 fill the layers of detectors behind the trunk with: the
oracle of TestNewDetectorInit.

    python3 detectorinit.py > detectorinit.tsv

The columns are those of init.py; a network is a kind of detector of three classes and the
project. Of Detectron2, which is not needed here, FILLS are the rules in its source
(v0.6): modeling/backbone/fpn.py, proposal_generator/rpn.py, roi_heads/box_head.py,
fast_rcnn.py and mask_head.py, meta_arch/retinanet.py, and fvcore's c2_xavier_fill and
c2_msra_fill.
"""
import sys
import torch
import torchvision
from torch import nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNN
from torchvision.models.detection.retinanet import RetinaNet, _default_anchorgen
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from distribution import describe

TIMES = 8


def xavier(w):
    nn.init.kaiming_uniform_(w, a=1)


def msra(w):
    nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")


def normal(std):
    return lambda w: nn.init.normal_(w, std=std)


# What the name of a layer begins with, and what fills its weight. Biases are zero.
FILLS = [
    ("backbone.fpn.", xavier), ("rpn.head.", normal(0.01)), ("head.", normal(0.01)),
    ("roi_heads.box_head.", xavier), ("roi_heads.box_predictor.cls_score", normal(0.01)), ("roi_heads.box_predictor.bbox_pred", normal(0.001)),
    ("roi_heads.mask_head.", msra), ("roi_heads.mask_predictor.conv5_mask", msra), ("roi_heads.mask_predictor.mask_fcn_logits", normal(0.001)),
]


def make(kind, project):
    if kind == "retinanet":
        p6 = 512 if project == "detectron2" else 256  # of the trunk's last map, or of P5
        return RetinaNet(resnet_fpn_backbone(backbone_name="resnet18", weights=None, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(p6, 256)), 3, anchor_generator=_default_anchorgen())
    return {"fasterrcnn": FasterRCNN, "maskrcnn": MaskRCNN}[kind](resnet_fpn_backbone(backbone_name="resnet18", weights=None), 4)


def detectron2(net):
    for name, p in net.named_parameters():
        for prefix, fill in FILLS:
            if name.startswith(prefix):
                if name.endswith(".weight"):
                    fill(p.data)
                elif name != "head.classification_head.cls_logits.bias":  # the prior, as in torchvision
                    nn.init.zeros_(p.data)


torch.manual_seed(0)
torch.set_num_threads(1)
print("# torch %s, torchvision %s, Python %s" % (torch.__version__, torchvision.__version__, sys.version.split()[0]))
for kind in ["fasterrcnn", "maskrcnn", "retinanet"]:
    for project in ["torchvision", "detectron2"]:
        seen = {}
        for _ in range(TIMES):
            net = make(kind, project)
            if project == "detectron2":
                detectron2(net)
            for k, v in net.state_dict().items():
                if not k.startswith("backbone.body."):
                    seen.setdefault(k, []).append(v.flatten())
        print("%s %s" % (kind, project), TIMES, sep="\t")
        for k, v in seen.items():
            how, value = describe(torch.cat(v))
            print(k, how, ("%.9g" if how == "constant" else "%.5g") % value, sep="\t", flush=True)
