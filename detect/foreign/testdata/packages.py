"""Detectors of random weights, exported by their own packages, and what those find.

python packages.py DIR IMAGES.tar [NAME...]: for each network that an installed package
makes, DIR gets NAME.onnx and NAME.json, the detections of the package in each of
DIR/images/*.png, which are made of pictures in IMAGES.tar. Networks that are there are
not made again; what cannot be made is told on stderr.
"""
import io
import json
import os
import sys
import tarfile

import numpy as np
import torch
from PIL import Image

torch.set_num_threads(2)
SIZES = [(640, 480), (480, 640), (500, 333), (97, 64), (1000, 200), (31, 40), (320, 320), (63, 250)]
CLASSES = 5


def images(folder, tar):
    """PNG files of several sizes and aspect ratios, cut out of photographs and resized."""
    os.makedirs(folder, exist_ok=True)
    with tarfile.open(tar) as t:
        jpegs = sorted((m for m in t.getmembers() if m.name.endswith(".jpg")), key=lambda m: m.name)[: len(SIZES)]
        for i, (member, (w, h)) in enumerate(zip(jpegs, SIZES)):
            path = f"{folder}/{i}_{w}x{h}.png"
            if not os.path.exists(path):
                picture = Image.open(io.BytesIO(t.extractfile(member).read())).convert("RGB")
                side = min(picture.width / w, picture.height / h)
                picture.crop((0, 0, int(w * side), int(h * side))).resize((w, h), Image.BICUBIC).save(path)
    return sorted(f"{folder}/{f}" for f in os.listdir(folder))


def batch(paths, size):
    """Images as a tensor in [0,1], padded with grey to squares, for statistics of batch norms."""
    out = []
    for p in paths:
        picture, square = Image.open(p), Image.new("RGB", (size, size), (114, 114, 114))
        picture.thumbnail((size, size))
        square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
        out.append(np.asarray(square))
    return torch.tensor(np.stack(out)).permute(0, 3, 1, 2).float() / 255


def liven(model, x, run=None):
    """Gives batch norms the statistics of x, without which random networks answer alike."""
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = None
            m.reset_running_stats()
            torch.nn.init.normal_(m.weight, 1, 0.1)
            torch.nn.init.normal_(m.bias, 0, 0.1)
    model.train()
    with torch.no_grad():
        (run or model)(x)
    model.eval()


def spread(net, x, layers, std, mean, run=None):
    """Scales layers so that their outputs for x have these std and mean, and vary by channel."""
    seen = {}
    hooks = [l.register_forward_hook(lambda m, i, o: seen.__setitem__(m, o)) for l in layers]
    with torch.no_grad():
        (run or net)(x)
        for h in hooks:
            h.remove()
        for l in layers:
            o = seen[l].float()
            k = std / o.std()
            l.weight.mul_(k)
            l.bias.mul_(k)
            l.bias.add_(mean - o.mean() * k + 0.3 * torch.randn_like(l.bias))


def rle(mask):
    """Run lengths down the columns, of zeros first."""
    flat = np.concatenate([[0], np.asarray(mask, dtype=np.uint8).T.reshape(-1), [0]])
    ends = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], ends, [np.asarray(mask).size]])).tolist()
    return counts if len(counts) < 2 or counts[-1] else counts[:-1]


def detections(boxes, scores, classes, masks=None):
    out = []
    for i in range(len(scores)):
        d = {"box": [float(v) for v in boxes[i]], "score": float(scores[i]), "class": int(classes[i])}
        if masks is not None:
            d["counts"] = rle(masks[i])
        out.append(d)
    return out


# Ultralytics


def ultralytics_model(name, width, seg, **kw):
    import yaml
    from ultralytics import YOLO
    from ultralytics.utils import ROOT

    folder, file = {"yolov8": ("v8", "yolov8.yaml"), "yolov8-seg": ("v8", "yolov8-seg.yaml"), "yolo11": ("11", "yolo11.yaml"),
                    "yolo11-seg": ("11", "yolo11-seg.yaml"), "yolov10": ("v10", "yolov10n.yaml"), "yolo26": ("26", "yolo26.yaml"),
                    "yolo26-seg": ("26", "yolo26-seg.yaml"), "rtdetr": ("rt-detr", "rtdetr-l.yaml")}[name]
    with open(f"{ROOT}/cfg/models/{folder}/{file}") as f:
        cfg = yaml.safe_load(f)
    cfg["nc"] = CLASSES
    cfg["scales"] = {"n": [0.33, width, 1024]}
    path = f"{os.environ['MADE']}/{name}-n.yaml" if name != "rtdetr" else f"{os.environ['MADE']}/rtdetr-l.yaml"
    with open(path, "w") as f:
        yaml.safe_dump(cfg, f)
    return YOLO(path, task="segment" if seg else "detect") if name != "rtdetr" else __import__("ultralytics").RTDETR(path)


def make_ultralytics(name, **export):
    def make(file, paths):
        seg = name.endswith("-seg")
        y = ultralytics_model(name, 0.0625, seg)
        net = y.model
        net.names = {i: n for i, n in enumerate(["cell", "it's", "red \"one\"", "été", "platelet"])}
        x = batch(paths, 320)
        head = net.model[-1]
        if name == "rtdetr":
            liven(net.model[:10], x)
            spread(net, x, list(head.dec_score_head)[-1:], 1, -2)
        else:
            liven(net, x)
            both = lambda kind: [l[-1] for n in (kind, "one2one_" + kind) for l in getattr(head, n, None) or []]
            spread(net, x, both("cv3"), 1.2, -3.5)
            spread(net, x, both("cv2"), 1.5 if head.reg_max > 1 else 0.5, 0 if head.reg_max > 1 else 4)
        out = y.export(format="onnx", simplify=False, verbose=False, **export)
        os.replace(out, file)

    def find(file, paths, val):
        from functools import partial

        import ultralytics.utils.nms as nms
        from ultralytics import RTDETR, YOLO

        y = RTDETR(file) if name == "rtdetr" else YOLO(file, task="segment" if name.endswith("-seg") else "detect")
        original = nms.non_max_suppression
        if val:
            nms.non_max_suppression = partial(original, multi_label=True)
        try:
            out = []
            for p in paths:
                # The size of a file with an open one is that of its metadata, which predict does not read.
                r = y.predict(p, conf=0.001 if val else 0.25, verbose=False, retina_masks=True, device="cpu", imgsz=export.get("imgsz", 640), rect=True)[0]
                out.append(detections(r.boxes.xyxy, r.boxes.conf, r.boxes.cls, None if r.masks is None else r.masks.data))
            return out
        finally:
            nms.non_max_suppression = original

    return make, find


# YOLOv5


def make_yolov5(seg=False, dynamic=False):
    def make(file, paths):
        from pathlib import Path

        import yaml
        import yolov5
        from yolov5.export import export_onnx
        from yolov5.models.yolo import DetectionModel, SegmentationModel

        root = Path(yolov5.__file__).parent / "models"
        with open(root / ("segment/yolov5s-seg.yaml" if seg else "yolov5s.yaml")) as f:
            cfg = yaml.safe_load(f)
        cfg.update(nc=CLASSES, width_multiple=0.0625)
        net = (SegmentationModel if seg else DetectionModel)(cfg)
        net.names = ["cell", "it's", 'red "one"', "été", "platelet"]
        x, head = batch(paths, 320), net.model[-1]
        liven(net, x)
        spread(net, x, list(head.m), 2, 0.5)
        net.fuse()
        net.eval()
        head.export, head.inplace, head.dynamic = True, False, dynamic
        size = x[:1]
        net(size)
        exporter = torch.onnx.export
        torch.onnx.export = lambda *a, **k: exporter(*a, **k, dynamo=False)  # the exporter that YOLOv5 was written for
        try:
            result = export_onnx(net, size, Path(file), 17, dynamic, False)
        finally:
            torch.onnx.export = exporter
        if not os.path.exists(file):
            raise RuntimeError(f"no file: {result}")

    def find(file, paths, val):
        import cv2
        import onnxruntime
        from yolov5.utils.augmentations import letterbox
        from yolov5.utils.general import non_max_suppression, scale_boxes
        from yolov5.utils.segment.general import process_mask_native

        session, out = onnxruntime.InferenceSession(file), []
        for p in paths:
            image = cv2.imread(p)
            fitted = letterbox(image, (640, 640) if dynamic else (320, 320), auto=False)[0]
            x = torch.from_numpy(np.ascontiguousarray(fitted.transpose(2, 0, 1)[::-1])).float()[None] / 255
            y = [torch.from_numpy(v) for v in session.run(None, {"images": x.numpy()})]
            d = non_max_suppression(y[0], 0.001 if val else 0.25, 0.6 if val else 0.45, multi_label=val, max_det=300 if val else 1000, nm=32 if seg else 0)[0]
            d[:, :4] = scale_boxes(x.shape[2:], d[:, :4], image.shape)
            masks = ([] if not len(d) else process_mask_native(y[1][0], d[:, 6:], d[:, :4], image.shape[:2])) if seg else None
            out.append(detections(d[:, :4], d[:, 4], d[:, 5], masks))
        return out

    return make, find


# torchvision


def make_torchvision(kind, size=None):
    def build():
        import torchvision.models.detection as d

        common = dict(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
        if kind == "ssd300":
            return d.ssd300_vgg16(**common)
        if kind == "ssdlite":
            return d.ssdlite320_mobilenet_v3_large(**common)
        small = dict(min_size=160, max_size=260, **common)
        if kind == "retinanet":
            return d.retinanet_resnet50_fpn(**small)
        if kind == "mask":
            return d.maskrcnn_resnet50_fpn(rpn_pre_nms_top_n_test=200, rpn_post_nms_top_n_test=100, **small)
        return d.fasterrcnn_mobilenet_v3_large_320_fpn(**small)

    def network(paths):
        torch.manual_seed(0)
        net = build()
        x = batch(paths, 320)
        run = lambda x: net.backbone(x)
        liven(net.backbone, x)
        net.eval()
        with torch.no_grad():
            for name, layer in net.named_modules():
                if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)) and any(k in name for k in ("cls_score", "cls_logits", "classification_head", "bbox_pred", "mask_fcn_logits")):
                    if layer.bias is not None:
                        layer.bias.add_(0.3 * torch.randn_like(layer.bias))
            final = {"faster": ["roi_heads.box_predictor.cls_score"], "mask": ["roi_heads.box_predictor.cls_score", "roi_heads.mask_predictor.mask_fcn_logits"]}.get(kind, [])
            images = list(x)
            if kind in ("faster", "mask"):  # boxes that are no slivers, which rounding moves
                spread(net, images, [net.rpn.head.bbox_pred], 0.2, 0)
                spread(net, images, [net.roi_heads.box_predictor.bbox_pred], 0.2, 0)
            for name in final:
                spread(net, images, [net.get_submodule(name)], 1, 0)
            if kind in ("ssd300", "ssdlite"):
                spread(net, images, [m if isinstance(m, torch.nn.Conv2d) else m[-1] for m in net.head.classification_head.module_list], 1.5, 0)
            if kind == "retinanet":
                spread(net, images, [net.head.classification_head.cls_logits], 1, -3)
        return net

    def make(file, paths):
        net = network(paths)
        h, w = size or (160, 200)
        x = torch.rand(3, h, w)
        names = ["boxes", "labels", "scores", "masks"] if kind == "mask" else ["boxes", "scores", "labels"] if kind in ("retinanet", "ssd300", "ssdlite") else ["boxes", "labels", "scores"]
        torch.onnx.export(net, ([x],), file, opset_version=17, input_names=["image"], output_names=names, dynamo=False,
                          dynamic_axes=None if size else {"image": {1: "height", 2: "width"}})

    def find(file, paths, val):
        import onnxruntime

        net = network(paths) if size else None
        # Of a file for any size the graph does all: what torchvision's own exporter made of it is the reference.
        session, out = onnxruntime.InferenceSession(file), []
        for p in paths:
            x = torch.from_numpy(np.asarray(Image.open(p)).copy()).permute(2, 0, 1).float() / 255
            with torch.no_grad():
                d = net([x])[0] if size else dict(zip((o.name for o in session.get_outputs()), map(torch.from_numpy, session.run(None, {"image": x.numpy()}))))
            out.append(detections(d["boxes"], d["scores"], d["labels"] - 1, (d["masks"][:, 0] > 0.5) if "masks" in d else None))
        return out

    return make, find


# transformers


def make_transformers(kind, size=None):
    def network(paths):
        import transformers as t

        torch.manual_seed(0)
        backbone = t.ResNetConfig(embedding_size=8, hidden_sizes=[16, 16, 32, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"])
        if kind == "detr":
            config = t.DetrConfig(use_timm_backbone=False, backbone_config=backbone, backbone=None, use_pretrained_backbone=False, d_model=32, encoder_layers=1, decoder_layers=2,
                                  encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=40, num_labels=CLASSES)
            net = t.DetrForObjectDetection(config)
        elif kind == "yolos":
            config = t.YolosConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, image_size=[64, 96], patch_size=16, num_detection_tokens=30, num_labels=CLASSES)
            net = t.YolosForObjectDetection(config)
        else:
            backbone = t.RTDetrResNetConfig(embedding_size=8, hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1], layer_type="bottleneck", out_features=["stage2", "stage3", "stage4"])
            config = t.RTDetrConfig(backbone_config=backbone, d_model=32, encoder_hidden_dim=32, encoder_in_channels=[32, 64, 64], encoder_ffn_dim=32, decoder_ffn_dim=32, decoder_in_channels=[32, 32, 32],
                                    decoder_layers=2, decoder_attention_heads=4, encoder_attention_heads=4, num_queries=50, num_labels=CLASSES, use_pretrained_backbone=False)
            net = t.RTDetrForObjectDetection(config)
        net.eval()
        x = batch(paths, 320 if kind == "rtdetr" else 160)
        if kind == "rtdetr":
            spread(net, x, [net.class_embed[-1] if hasattr(net, "class_embed") else net.model.decoder.class_embed[-1]], 1.5, 0)
        else:
            spread(net, x, [net.class_labels_classifier if kind == "detr" else net.class_labels_classifier.layers[-1]], 2, 0)
        return net

    def processor():
        # Those of Pillow, with which the models were trained; torchvision's round otherwise.
        from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
        from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
        from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

        if kind == "rtdetr":
            return RTDetrImageProcessorPil(size={"height": 320, "width": 320})
        return (DetrImageProcessorPil if kind == "detr" else YolosImageProcessorPil)(**({"size": {"height": size[0], "width": size[1]}} if size else {}))

    def make(file, paths):
        net = network(paths)

        class Outputs(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net

            def forward(self, pixel_values):
                o = self.net(pixel_values)
                return o.logits, o.pred_boxes

        h, w = (320, 320) if kind == "rtdetr" else size or (160, 192)
        torch.onnx.export(Outputs(), (torch.rand(1, 3, h, w),), file, opset_version=17, input_names=["pixel_values"], output_names=["logits", "pred_boxes"], dynamo=False,
                          dynamic_axes=None if size or kind == "rtdetr" else {"pixel_values": {2: "height", 3: "width"}})

    def find(file, paths, val):
        from types import SimpleNamespace

        import onnxruntime

        session, p, out = onnxruntime.InferenceSession(file), processor(), []
        for path in paths:
            image = Image.open(path)
            x = p(images=image, return_tensors="pt")["pixel_values"].numpy()
            o = SimpleNamespace(**dict(zip(("logits", "pred_boxes"), map(torch.from_numpy, session.run(None, {"pixel_values": x})))))
            d = p.post_process_object_detection(o, threshold=-1 if val else 0.5, target_sizes=[(image.height, image.width)])[0]
            out.append(detections(d["boxes"], d["scores"], d["labels"]))
        return out

    return make, find


NETWORKS = {
    "yolov8": make_ultralytics("yolov8", imgsz=320),
    "yolov8_rect": make_ultralytics("yolov8", imgsz=[192, 320]),
    "yolov8_dynamic": make_ultralytics("yolov8", imgsz=320, dynamic=True),
    "yolov8_nms": make_ultralytics("yolov8", imgsz=320, nms=True),
    "yolov8_seg": make_ultralytics("yolov8-seg", imgsz=320),
    "yolov8_seg_dynamic": make_ultralytics("yolov8-seg", imgsz=320, dynamic=True),
    "yolov8_seg_nms": make_ultralytics("yolov8-seg", imgsz=320, nms=True),
    "yolo11": make_ultralytics("yolo11", imgsz=320),
    "yolo11_seg": make_ultralytics("yolo11-seg", imgsz=320),
    "yolov10": make_ultralytics("yolov10", imgsz=320, nms=False),
    "yolo26": make_ultralytics("yolo26", imgsz=320, nms=False),
    "yolo26_seg": make_ultralytics("yolo26-seg", imgsz=320, nms=False),
    "yolo26_dynamic": make_ultralytics("yolo26", imgsz=320, nms=False, dynamic=True),
    "yolov8_nms_dynamic": make_ultralytics("yolov8", imgsz=320, nms=True, dynamic=True),
    "yolo26_columns": make_ultralytics("yolo26", imgsz=320),
    "rtdetr_ultralytics": make_ultralytics("rtdetr", imgsz=320),
    "yolov5": make_yolov5(),
    "yolov5_dynamic": make_yolov5(dynamic=True),
    "yolov5_seg": make_yolov5(seg=True),
    "ssd300": make_torchvision("ssd300", size=(300, 300)),
    "ssd_any": make_torchvision("ssd300"),
    "ssdlite": make_torchvision("ssdlite", size=(320, 320)),
    "fasterrcnn": make_torchvision("faster"),
    "maskrcnn": make_torchvision("mask"),
    "retinanet": make_torchvision("retinanet"),
    "detr": make_transformers("detr"),
    "detr_fixed": make_transformers("detr", size=(160, 192)),
    "yolos": make_transformers("yolos", size=(64, 96)),
    "rtdetr": make_transformers("rtdetr"),
}


def main():
    folder, tar, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    os.environ["MADE"] = folder
    paths = images(folder + "/images", tar)
    for name, (make, find) in NETWORKS.items():
        file, found = f"{folder}/{name}.onnx", f"{folder}/{name}.json"
        if only and name not in only or os.path.exists(found):
            continue
        try:
            torch.manual_seed(0)
            if not os.path.exists(file):
                make(file, paths)
            result = {"images": [os.path.basename(p) for p in paths], "predict": find(file, paths, False), "val": find(file, paths, True)}
            if name.startswith(("ssd", "retinanet")):  # whose files do not say how many classes there are
                result["labels"] = [f"class {i}" for i in range(CLASSES)]
        except Exception as e:
            print(f"{name}: not made: {type(e).__name__}: {e}".split("\n")[0], file=sys.stderr)
            if only:
                raise
            continue
        with open(found, "w") as f:
            json.dump(result, f)
        print(name, [len(d) for d in result["predict"]], [len(d) for d in result["val"]])


if __name__ == "__main__":
    main()
