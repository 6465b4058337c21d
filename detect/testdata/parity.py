"""What torchvision's detectors find: parity.py MODEL WEIGHTS.safetensors MIN MAX EPS THREADS [--double] IMAGE.ppm... > JSON lines.

MODEL is fasterrcnn, fasterrcnn_v2, maskrcnn, maskrcnn_v2, retinanet or retinanet_v2, all on ResNet-50. A line
is {boxes, labels, scores, masks: [{h, w, counts}], seconds}, or {about: versions}, the first.
"""
import json
import sys
import time

import numpy as np
import torch
import torchvision
from torchvision.models import detection


def tensors(path):
    data = open(path, "rb").read()
    n = int.from_bytes(data[:8], "little")
    for name, t in json.loads(data[8 : 8 + n]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            yield name, torch.from_numpy(np.frombuffer(data[8 + n + a : 8 + n + b], np.float32).reshape(t["shape"]).copy())


def ppm(path):
    data = open(path, "rb").read()
    kind, w, h, top = data.split(maxsplit=4)[:4]
    assert kind == b"P6" and top == b"255"
    return torch.from_numpy(np.frombuffer(data[-int(w) * int(h) * 3 :], np.uint8).reshape(int(h), int(w), 3).copy()).permute(2, 0, 1).float() / 255


def build(name, state, low, high, eps):
    kind, v2 = name.removesuffix("_v2"), "_v2" if name.endswith("_v2") else ""
    classes = state["roi_heads.box_predictor.cls_score.bias"].numel() if "rcnn" in kind else state["head.classification_head.cls_logits.bias"].numel() // 9
    make = getattr(detection, f"{kind}_resnet50_fpn{v2}")
    model = make(weights=None, weights_backbone=None, num_classes=classes, min_size=low, max_size=high).eval()
    missing, more = model.load_state_dict(state, strict=False)
    assert not more and all(m.endswith("num_batches_tracked") for m in missing), (missing, more)
    for m in model.modules():
        if isinstance(m, (torch.nn.BatchNorm2d, torchvision.ops.FrozenBatchNorm2d)):
            m.eps = eps
    return model


def runs(mask):
    flat = (mask > 0.5).numpy().reshape(mask.shape[-2:]).flatten(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist() + [flat.size]
    return {"h": mask.shape[-2], "w": mask.shape[-1], "counts": np.diff([0] + ends).tolist()}


def main(name, weights, low, high, eps, threads, *images):
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    model = build(name, dict(tensors(weights)), int(low), int(high), float(eps))
    double = "--double" in images
    if double:
        model = model.double()
    print(json.dumps({"about": f"torch {torch.__version__}, torchvision {torchvision.__version__}"}))
    for path in images:
        if path == "--double":
            continue
        x = ppm(path)
        start = time.time()
        found = model([x.double() if double else x])[0]
        line = {k: found[k].tolist() for k in ("boxes", "labels", "scores")}
        line["seconds"] = time.time() - start
        line["masks"] = [runs(m) for m in found.get("masks", [])]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
