"""A training of a detector by torchvision, as a folder that the tests of detect/train
have written says it:

    python3 peer.py train FOLDER SHARED [NAME]
    python3 peer.py judge FOLDER METRIC FILE...

train reads plan.json, truth.json and core.onnx of FOLDER, takes the initial tensors of the
core by their names, and visits the images in the order of the plan, mirrored and at the
learning rates that it says. Objects are read from the archive itself. Anchors and regions
are sampled by torchvision, and otherwise with another NAME than peer. It writes
NAME.json, with the losses of each step, and NAME_results.json, what it finds in the
validation images, and tells the losses now and then. SHARED is the folder of the test
data.

judge prints AP, AP50 and AP75 of results files, as pycocotools has them.
"""
import contextlib
import io
import json
import sys
import tarfile
import time
import xml.etree.ElementTree as ET
from collections import OrderedDict

import numpy as np
from PIL import Image


def main():
    command, folder = sys.argv[1:3]
    if command == "judge":
        print(json.dumps([judge(folder, sys.argv[3], name) for name in sys.argv[4:]]))
    else:
        train(folder, sys.argv[3], *sys.argv[4:])


def judge(folder, metric, name):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder + "/truth.json")
        e = COCOeval(truth, truth.loadRes(folder + "/" + name), metric)
        e.evaluate()
        e.accumulate()
        e.summarize()
    return [float(v) for v in e.stats[:3]]


class Archive:
    """Images of an archive and their objects: Pascal VOC, or a file of each mask."""

    def __init__(self, name, classes):
        self.tar, self.classes, self.kept = tarfile.open(name), classes, {}
        self.masks = {}
        for n in self.tar.getnames():
            if "/masks/" in n and n.endswith(".png"):
                self.masks.setdefault(n.split("/masks/")[0], []).append(n)

    def read(self, name):
        return io.BytesIO(self.tar.extractfile(name).read())

    def image(self, path):
        if path not in self.kept:
            self.kept[path] = torch.tensor(np.asarray(Image.open(self.read(path)).convert("RGB"))).permute(2, 0, 1)
        return self.kept[path].float() / 255

    def objects(self, path):
        if "/JPEGImages/" in path:
            boxes, labels = [], []
            for o in ET.parse(self.read(path.replace("/JPEGImages/", "/Annotations/").replace(".jpg", ".xml"))).getroot().findall("object"):
                b = [float(o.find("bndbox").find(side).text) for side in ("xmin", "ymin", "xmax", "ymax")]
                b[0], b[1] = b[0] - 1, b[1] - 1  # pixels are counted from 1, and xmax is of the last one
                if b[2] > b[0] and b[3] > b[1]:
                    boxes.append(b)
                    labels.append(self.classes.index(o.find("name").text) + 1)
            return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}
        masks = [np.asarray(Image.open(self.read(n)).convert("L")) > 0 for n in self.masks[path.split("/images/")[0]]]
        masks = torch.tensor(np.stack([m for m in masks if m.any()]))
        boxes = torchvision.ops.masks_to_boxes(masks)
        boxes[:, 2:] += 1
        return {"boxes": boxes, "labels": torch.ones(len(masks), dtype=torch.int64), "masks": masks.to(torch.uint8)}


def network(plan, tensors):
    """The detector of the plan with the tensors of a core on MobileNetV1, whose
    convolution i is L.i.0 there, and its batch norm L.i.1."""
    from torch import nn
    from torchvision.models.detection import FasterRCNN, MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList()
            for i in range(25):
                out, within, side, _ = tensors[f"L.{i}.0.weight"].shape
                stride, groups = 2 if i in (0, 3, 7, 11, 23) else 1, out if within == 1 else 1
                pad = nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else (side // 2,) * 4)
                conv = nn.Conv2d(within * groups, out, side, stride, groups=groups, bias=False)
                self.layers.append(nn.Sequential(OrderedDict(pad=pad, conv=conv, bn=FrozenBatchNorm2d(out, eps=1e-3), relu=nn.ReLU6())))

        def forward(self, x):
            out = OrderedDict()
            for i, layer in enumerate(self.layers):
                x = layer(x)
                if i in (6, 10, 22, 24):
                    out[str(len(out))] = x
            return out

    class Backbone(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.body, self.out_channels = Body(), channels
            self.fpn = FeaturePyramidNetwork([128, 256, 512, 1024], channels, LastLevelMaxPool())

        def forward(self, x):
            return self.fpn(self.body(x))

    channels, outputs = plan["channels"], len(plan["classes"]) + 1
    options = dict(
        min_size=plan["min_size"], max_size=plan["max_size"], image_mean=[.5] * 3, image_std=[.5] * 3,
        rpn_anchor_generator=AnchorGenerator(tuple(map(tuple, plan["anchors"])), ((.5, 1., 2.),) * 5),
        rpn_pre_nms_top_n_train=plan["proposals"], rpn_post_nms_top_n_train=plan["proposals"],
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2), box_head=TwoMLPHead(channels * 49, plan["hidden"]),
        box_predictor=FastRCNNPredictor(plan["hidden"], outputs), box_batch_size_per_image=plan["regions"])
    if plan["masks"]:
        model = MaskRCNN(Backbone(channels), None, mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2),
                         mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1), mask_predictor=MaskRCNNPredictor(channels, channels, outputs), **options)
    else:
        model = FasterRCNN(Backbone(channels), None, **options)
    state, taken = model.state_dict(), set()
    for name, to in state.items():
        if name.startswith("backbone.body.layers."):
            i, part, what = name.split(".")[3:]
            name = f"L.{i}.{0 if part == 'conv' else 1}.{what}"
        assert to.shape == tensors[name].shape, name
        to.copy_(tensors[name])
        taken.add(name)
    left = [n for n, v in tensors.items() if n not in taken and v.numel() > 8]
    assert not left, left
    for layer in model.backbone.body.layers[:plan["frozen"]]:
        layer.requires_grad_(False)
    return model


def train(folder, shared, name="peer"):
    import onnx
    plan, truth = (json.load(open(f"{folder}/{name}.json")) for name in ("plan", "truth"))
    torch.set_num_threads(1)
    torch.manual_seed(plan["seed"] + (1000 if name != "peer" else 0))
    model = network(plan, {i.name: torch.tensor(onnx.numpy_helper.to_array(i)) for i in onnx.load(folder + "/core.onnx").graph.initializer}).train()
    archive = Archive(f"{shared}/images/{plan['archive']}", plan["classes"])
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1, momentum=plan["momentum"], weight_decay=plan["weight_decay"])
    losses, start = [], time.time()
    for batch in plan["batches"]:
        images, targets = [], []
        for row in batch["images"]:
            image, target = archive.image(row["path"]), archive.objects(row["path"])
            if row["mirrored"]:
                image, boxes = image.flip(-1), target["boxes"].clone()
                boxes[:, [0, 2]] = image.shape[2] - boxes[:, [2, 0]]
                target["boxes"] = boxes
                if plan["masks"]:
                    target["masks"] = target["masks"].flip(-1)
            images.append(image)
            targets.append(target)
        for group in optimizer.param_groups:
            group["lr"] = batch["rate"]
        parts = model(images, targets)
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
        losses.append({name: float(v) for name, v in parts.items()})
        if len(losses) <= 3 or len(losses) % 10 == 0:
            print(len(losses), f"{(time.time() - start) / len(losses):.1f} s a step, {time.process_time() / len(losses):.2f} of a core", losses[-1], flush=True)
    found = find(model, archive, truth, plan)
    json.dump(found, open(f"{folder}/{name}_results.json", "w"))
    json.dump({"about": f"torchvision {torchvision.__version__}, torch {torch.__version__}", "losses": losses}, open(f"{folder}/{name}.json", "w"))


def find(model, archive, truth, plan):
    """What the detector finds in the images of the truth, as COCO's results."""
    from pycocotools import mask
    category, found = {c["name"]: c["id"] for c in truth["categories"]}, []
    model.eval()
    for image in truth["images"]:
        with torch.no_grad():
            out = model([archive.image(plan["validation"][str(image["id"])])])[0]
        for i, (b, label, score) in enumerate(zip(out["boxes"].tolist(), out["labels"].tolist(), out["scores"].tolist())):
            d = {"image_id": image["id"], "category_id": category[plan["classes"][label - 1]], "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "score": score}
            if plan["masks"]:
                d["segmentation"] = mask.encode(np.asfortranarray((out["masks"][i, 0] >= .5).numpy().astype(np.uint8)))
                d["segmentation"]["counts"] = d["segmentation"]["counts"].decode()
            found.append(d)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "train":
        import torch
        import torchvision
    main()
