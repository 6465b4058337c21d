"""Detectors of random weights, exported by their own packages, and what those find.

python packages.py DIR IMAGES.tar [NAME...]: for each network that an installed package
makes, DIR gets NAME.onnx and NAME.json, the detections of the package in each of
DIR/images/*.png, which are made of pictures in IMAGES.tar. Networks that are there are
not made again; what cannot be made is told on stderr.
"""
import copy, io, json, os, sys, tarfile

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
    """Images as a tensor in [0,1], for statistics of batch norms."""
    read = [np.asarray(Image.open(p).resize((size, size))) for p in paths]
    return torch.tensor(np.stack(read)).permute(0, 3, 1, 2).float() / 255


def liven(model, x, run=None):
    """Gives batch norms the statistics of x, without which random networks answer alike."""
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = None
            m.reset_running_stats()
            torch.nn.init.normal_(m.weight, 1, 0.3)
            torch.nn.init.normal_(m.bias, 0, 0.3)
    model.train()
    with torch.no_grad():
        (run or model)(x)
    model.eval()


def spread(layer, scale, mean, std):
    """Makes a layer's outputs vary more, about other means."""
    with torch.no_grad():
        layer.weight.mul_(scale)
        layer.bias.copy_(torch.randn_like(layer.bias) * std + mean)


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
        y = ultralytics_model(name, export.pop("width", 0.0625) if False else 0.0625, seg)
        net = y.model
        net.names = {i: n for i, n in enumerate(["cell", "it's", "red \"one\"", "été", "platelet"])}
        if name == "rtdetr":
            liven(net.model[:10], batch(paths, 320))
            for head in list(net.model[-1].dec_score_head):
                spread(head, 2, -1, 1)
        else:
            liven(net, batch(paths, 320))
            head = net.model[-1]
            for layers in [head.cv3, getattr(head, "one2one_cv3", None)]:
                for l in layers or []:
                    spread(l[-1], 3, -5, 1)
            for layers in [head.cv2, getattr(head, "one2one_cv2", None)]:
                for l in layers or []:
                    spread(l[-1], 2, 0.5, 1)
        out = y.export(format="onnx", simplify=False, verbose=False, **export)
        os.replace(out, file)
        return {}

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
    "yolo26_columns": make_ultralytics("yolo26", imgsz=320),
    "rtdetr_ultralytics": make_ultralytics("rtdetr", imgsz=320),
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
            known = make(file, paths) if not os.path.exists(file) else {}
            result = {"images": [os.path.basename(p) for p in paths], "predict": find(file, paths, False), "val": find(file, paths, True), **known}
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
