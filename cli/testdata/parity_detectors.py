"""Compares rtx import and export of detectors with torchvision.

    python3 parity_detectors.py RTX SCRATCH NETWORK STYLE

NETWORK is one of NETWORKS, with random weights and statistics; STYLE says how its
file is made: "new" and "old" are torchvision's names, "frozen" has batch norms
without counters, as released weights do, "detectron2" is a model zoo file of
Detectron2, made by its table of names: torchvision's network, with the stride moved
where Detectron2 has it, is what computes the expected outputs.

The file goes to ONNX and back; then every tensor has its name, type and bytes, and
load_state_dict(strict=True) takes them. Every output of the graph is compared with
that of torchvision's modules. Prints a JSON object: the number of tensors, the
largest difference of each output as a share of its largest value, and what the Spec
says.
"""
import json
import os
import pickle
import platform
import re
import struct
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torchvision.models import detection, resnet
from torchvision.models.detection import backbone_utils
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNN
from torchvision.models.detection.retinanet import RetinaNet, _default_anchorgen
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

torch.set_num_threads(2)


def with_backbone(kind, name, norm=torch.nn.BatchNorm2d, p6=256):
    body = resnet.__dict__[name](norm_layer=norm)

    def make(classes):
        if kind is RetinaNet:
            fpn = backbone_utils._resnet_fpn_extractor(body, 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(p6, 256))
            return RetinaNet(fpn, classes, anchor_generator=_default_anchorgen())
        return kind(backbone_utils._resnet_fpn_extractor(body, 5), classes)
    return make


def published(name):
    return lambda classes: getattr(detection, name)(weights=None, weights_backbone=None, num_classes=classes)


def frozen(kind, name):
    return with_backbone(kind, name, FrozenBatchNorm2d, 2048 if kind is RetinaNet else 256)


NETWORKS = {
    "fasterrcnn_resnet18_fpn": with_backbone(FasterRCNN, "resnet18"),
    "fasterrcnn_resnet101_fpn": with_backbone(FasterRCNN, "resnet101"),
    "frozen": with_backbone(MaskRCNN, "resnet50", FrozenBatchNorm2d),
    "faster_rcnn_R_50_FPN": frozen(FasterRCNN, "resnet50"),
    "mask_rcnn_R_50_FPN": frozen(MaskRCNN, "resnet50"),
    "mask_rcnn_R_101_FPN": frozen(MaskRCNN, "resnet101"),
    "mask_rcnn_X_101_32x8d_FPN": frozen(MaskRCNN, "resnext101_32x8d"),
    "retinanet_R_50_FPN": frozen(RetinaNet, "resnet50"),
}

# Detectron2's names of modules, first those whose beginnings are parts of others.
TABLE = [
    (r"^backbone\.body\.conv1\.", "backbone.bottom_up.stem.conv1."),
    (r"^backbone\.body\.bn1\.", "backbone.bottom_up.stem.conv1.norm."),
    (r"^backbone\.body\.layer(\d)\.(\d+)\.conv(\d)\.", lambda m: "backbone.bottom_up.res%d.%s.conv%s." % (int(m[1]) + 1, m[2], m[3])),
    (r"^backbone\.body\.layer(\d)\.(\d+)\.bn(\d)\.", lambda m: "backbone.bottom_up.res%d.%s.conv%s.norm." % (int(m[1]) + 1, m[2], m[3])),
    (r"^backbone\.body\.layer(\d)\.(\d+)\.downsample\.0\.", lambda m: "backbone.bottom_up.res%d.%s.shortcut." % (int(m[1]) + 1, m[2])),
    (r"^backbone\.body\.layer(\d)\.(\d+)\.downsample\.1\.", lambda m: "backbone.bottom_up.res%d.%s.shortcut.norm." % (int(m[1]) + 1, m[2])),
    (r"^backbone\.fpn\.inner_blocks\.(\d)\.0\.", lambda m: "backbone.fpn_lateral%d." % (int(m[1]) + FIRST)),
    (r"^backbone\.fpn\.layer_blocks\.(\d)\.0\.", lambda m: "backbone.fpn_output%d." % (int(m[1]) + FIRST)),
    (r"^backbone\.fpn\.extra_blocks\.", "backbone.top_block."),
    (r"^rpn\.head\.conv\.0\.0\.", "proposal_generator.rpn_head.conv."),
    (r"^rpn\.head\.cls_logits\.", "proposal_generator.rpn_head.objectness_logits."),
    (r"^rpn\.head\.bbox_pred\.", "proposal_generator.rpn_head.anchor_deltas."),
    (r"^roi_heads\.box_head\.fc6\.", "roi_heads.box_head.fc1."),
    (r"^roi_heads\.box_head\.fc7\.", "roi_heads.box_head.fc2."),
    (r"^roi_heads\.mask_head\.(\d)\.0\.", lambda m: "roi_heads.mask_head.mask_fcn%d." % (int(m[1]) + 1)),
    (r"^roi_heads\.mask_predictor\.conv5_mask\.", "roi_heads.mask_head.deconv."),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "roi_heads.mask_head.predictor."),
    (r"^head\.classification_head\.conv\.(\d)\.0\.", lambda m: "head.cls_subnet.%d." % (2 * int(m[1]))),
    (r"^head\.regression_head\.conv\.(\d)\.0\.", lambda m: "head.bbox_subnet.%d." % (2 * int(m[1]))),
    (r"^head\.classification_head\.cls_logits\.", "head.cls_score."),
    (r"^head\.regression_head\.bbox_reg\.", "head.bbox_pred."),
]
FIRST = 2  # Detectron2's finest level; 3 for RetinaNet

OLD = [
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.0\.", r"\1."),
    (r"^rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"^roi_heads\.mask_head\.(\d)\.0\.", lambda m: "roi_heads.mask_head.mask_fcn%d." % (int(m[1]) + 1)),
    (r"^(head\.\w+\.conv)\.(\d)\.0\.", lambda m: "%s.%d." % (m[1], 2 * int(m[2]))),
]


def renamed(name, table):
    for pattern, by in table:
        new, n = re.subn(pattern, by, name)
        if n:
            return new
    return name


def background_last(name, value):
    """The rows of Detectron2, of those of torchvision."""
    if name.startswith("roi_heads.box_predictor.cls_score."):
        return np.concatenate([value[1:], value[:1]])
    if name.startswith("roi_heads.box_predictor.bbox_pred."):
        return value[4:]
    if name.startswith("roi_heads.mask_predictor.mask_fcn_logits."):
        return value[1:]
    return value


def randomised(net):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, b in list(net.named_buffers()) + list(net.named_parameters()):
            if name.endswith("running_mean"):
                b.uniform_(-0.1, 0.1)
            elif name.endswith("running_var"):
                b.uniform_(0.5, 1.5)
            elif name.endswith("num_batches_tracked"):
                b.fill_(len(name))
            elif name.endswith("bias"):
                b.uniform_(-0.1, 0.1)
            elif re.search(r"(bn\d|downsample\.1|\d\.1)\.weight$", name):
                b.uniform_(0.2, 0.6)
            elif name.startswith("roi_heads.box_predictor") or name.startswith("head.") or name.startswith("rpn."):
                b.normal_(0, 0.03)
    return net.eval()


def stride_first(net):
    for stage in (net.backbone.body.layer2, net.backbone.body.layer3, net.backbone.body.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def run(*args):
    p = subprocess.run([rtx, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit("rtx %s: %s %s" % (" ".join(args), p.stdout, p.stderr))
    return p.stdout


def safetensors(path):
    """Reads a file as its specification says."""
    kinds = {"F32": np.float32, "I64": np.int64}
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        start, tensors = f.tell(), {}
        header.pop("__metadata__", None)
        for name, t in header.items():
            f.seek(start + t["data_offsets"][0])
            tensors[name] = np.fromfile(f, kinds[t["dtype"]], int(np.prod(t["shape"]))).reshape(t["shape"])
    return tensors


def expected(net, x, box, mask):
    """Every output of the graph by torchvision's modules, in their order."""
    out = {}
    with torch.no_grad():
        levels = list(net.backbone(x).values())
        retina = hasattr(net, "head")
        for i, p in enumerate(levels):
            name = "p%d" % (i + (3 if retina else 2))
            out[name] = p
            if retina:
                cls, reg = net.head.classification_head, net.head.regression_head
                out[name + "/logits"], out[name + "/deltas"] = cls.cls_logits(cls.conv(p)), reg.bbox_reg(reg.conv(p))
            else:
                logits, deltas = net.rpn.head([p])
                out[name + "/logits"], out[name + "/deltas"] = logits[0], deltas[0]
        if not retina:
            heads = net.roi_heads
            out["box/logits"], out["box/deltas"] = heads.box_predictor(heads.box_head(box))
            if heads.has_mask():
                out["mask/logits"] = heads.mask_predictor(heads.mask_head(mask))
    return {k: v.numpy() for k, v in out.items()}


def part(model, feed, outputs):
    """Values that the graph computes of other values."""
    proto = onnx.load(model)
    inputs = [onnx.helper.make_tensor_value_info(k, onnx.TensorProto.FLOAT, v.shape) for k, v in feed.items()]
    needed, nodes = set(outputs), []
    for n in reversed(proto.graph.node):
        if needed & set(n.output) and not set(n.output) & set(feed):
            needed.update(n.input)
            nodes.insert(0, n)
    weights = [t for t in proto.graph.initializer if t.name in needed]
    graph = onnx.helper.make_graph(nodes, "part", inputs, [onnx.helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in outputs], weights)
    cut = onnx.helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    session = onnxruntime.InferenceSession(cut.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, feed)))


def main(name, style):
    global FIRST
    classes = 91 if style != "detectron2" else 80 if name.startswith("retina") else 81
    torch.manual_seed(1)
    net = randomised(NETWORKS.get(name, published(name))(classes))
    state = {k: v.numpy() for k, v in net.state_dict().items()}
    if style == "detectron2":
        FIRST = 3 if name.startswith("retina") else 2
        if "_X_" not in name:
            stride_first(net)
        path = os.path.join(scratch, "model.pkl")
        saved = {renamed(k, TABLE): background_last(k, v) for k, v in state.items()}
        if name.startswith("faster"):  # as old files have them
            saved["pixel_mean"], saved["pixel_std"] = np.float32([[[103.53]], [[116.28]], [[123.675]]]), np.ones((3, 1, 1), np.float32)
            for i, size in enumerate((32, 64, 128, 256, 512)):
                w, h = [size / r ** 0.5 for r in (0.5, 1, 2)], [size * r ** 0.5 for r in (0.5, 1, 2)]
                saved["proposal_generator.anchor_generator.cell_anchors.%d" % i] = np.float32([[-a / 2, -b / 2, a / 2, b / 2] for a, b in zip(w, h)])
        with open(path, "wb") as f:
            pickle.dump({"model": saved, "__author__": "Detectron2 Model Zoo"}, f)
    else:
        path = os.path.join(scratch, "model.pth")
        saved = {renamed(k, OLD if style == "old" else []): v for k, v in state.items()}
        torch.save({k: torch.from_numpy(np.array(v)) for k, v in saved.items()}, path)
    model, back = os.path.join(scratch, "model.onnx"), os.path.join(scratch, "back.safetensors")
    eps = []
    if style == "frozen":
        eps = ["--bn-eps", "0"]
        for m in net.modules():
            if isinstance(m, FrozenBatchNorm2d):
                m.eps = 0.0
    run("import", path, "-o", model, "-q", *eps)
    run("export", model, "-o", back, "-q")
    got = safetensors(back)
    if list(got) != list(saved):
        sys.exit("names or their order differ: %s" % sorted(set(got) ^ set(saved))[:8])
    for k, v in saved.items():
        if got[k].dtype != v.dtype or got[k].shape != v.shape or got[k].tobytes() != v.tobytes():
            sys.exit("%s differs: %s %s, saved %s %s" % (k, got[k].dtype, got[k].shape, v.dtype, v.shape))
    if style != "detectron2":
        net.load_state_dict({k: torch.from_numpy(v) for k, v in got.items()}, strict=True)
    onnx.checker.check_model(model, full_check=True)
    spec = {p.key: p.value for p in onnx.load(model, load_external_data=False).metadata_props}["rtx.spec"]
    spec = json.loads(spec)
    rng = np.random.default_rng(0)
    high, channels = (255, "bgr") if style == "detectron2" else (1, "rgb")
    core = spec["detect"]["deployed"]["core"]
    assert core["range"][1] == high and core["channels"] == channels, spec
    images = (rng.random((2, 3, 96, 160)) * high).astype(np.float32)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    if style == "detectron2":
        mean, std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395] if "_X_" in name else [1, 1, 1]
    x = (torch.from_numpy(images) - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    box, mask = rng.standard_normal((3, 256, 7, 7)).astype(np.float32), rng.standard_normal((2, 256, 14, 14)).astype(np.float32)
    want = expected(net, x, torch.from_numpy(box), torch.from_numpy(mask))
    values = part(model, {"post/images": x.numpy()}, [k for k in want if k[0] == "p"])
    if "box/logits" in want:
        values.update(part(model, {"box/features": box}, ["box/logits", "box/deltas"]))
    if "mask/logits" in want:
        values.update(part(model, {"mask/features": mask}, ["mask/logits"]))
    normal = part(model, {"images": images[:1, ::-1].copy() / 255 if channels == "bgr" else images[:1]}, [spec["detect"]["images"]["value"]])
    apart = {"normalised": float(np.abs(list(normal.values())[0] - x[:1].numpy()).max())}
    for k, v in want.items():
        if style == "detectron2" and k in ("box/deltas", "mask/logits"):  # those of the background are nowhere in the file
            v, values[k] = v[:, 4 if k[0] == "b" else 1:], values[k][:, 4 if k[0] == "b" else 1:]
        if v.shape != values[k].shape:
            sys.exit("%s: %s, expected %s" % (k, values[k].shape, v.shape))
        apart[k] = float(np.abs(v - values[k]).max() / np.abs(v).max())
    about = "Python %s (%s), torch %s, torchvision %s, onnxruntime %s" % (
        platform.python_version(), sys.executable, torch.__version__, torchvision.__version__, onnxruntime.__version__)
    print(json.dumps({"about": about, "tensors": len(saved), "apart": apart, "arch": spec["arch"], "detect": spec["detect"]}))


rtx, scratch = sys.argv[1:3]
main(*sys.argv[3:5])
