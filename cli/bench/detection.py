"""Peers of detect/coco: pycocotools and faster-coco-eval. It writes gt.json, bbox.json
and segm.json into a folder: 1,000 images of 80 classes with 100 detections each, which
are boxes, or masks as run lengths. For every line on standard input, bbox or segm, it
answers with the seconds on one core of pycocotools to load the detections (json.load and
loadRes), to evaluate them (evaluate and accumulate), those of faster-coco-eval for the
same two, and the twelve figures of pycocotools.

    python3 detection.py FOLDER
"""
import contextlib
import io
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
import faster_coco_eval
import numpy as np
from importlib.metadata import version
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES, CLASSES, DETECTIONS, W, H = 1000, 80, 100, 640, 480


def outline(x, y, w, h):
    """An ellipse of 16 corners."""
    a = np.arange(16) * np.pi / 8
    return np.stack([x + w / 2 * (1 + np.cos(a)), y + h / 2 * (1 + np.sin(a))], 1).ravel().round(2).tolist()


def runs(p):
    q = masks.merge(masks.frPyObjects([p], H, W))
    return dict(size=q["size"], counts=q["counts"].decode())


def box(r, largest):
    w, h = np.exp(r.uniform(2, largest, 2))
    return [float(v) for v in (r.uniform(0, W - min(w, W - 10)), r.uniform(0, H - min(h, H - 10)), min(w, W - 10), min(h, H - 10))]


def make(folder):
    r = np.random.default_rng(0)
    gt, bbox, segm = [], [], []
    for i in range(1, IMAGES + 1):
        mine = []
        for _ in range(r.poisson(7)):
            b, crowd = box(r, 5.7), int(r.random() < .01)
            p = outline(*b)
            mine.append(dict(id=len(gt) + len(mine) + 1, image_id=i, category_id=int(r.integers(1, CLASSES + 1)), bbox=[round(v, 2) for v in b],
                             area=round(b[2] * b[3] * np.pi / 4, 2), iscrowd=crowd, segmentation=runs(p) if crowd else [p]))
        gt += mine
        for _ in range(DETECTIONS):
            if r.random() < .3 and mine:
                a = mine[int(r.integers(len(mine)))]
                b, c = [float(v) for v in np.array(a["bbox"]) + r.normal(0, 6, 4)], a["category_id"]
                b[2:] = max(b[2], 1), max(b[3], 1)
            else:
                b, c = box(r, 5.5), int(r.integers(1, CLASSES + 1))
            d = dict(image_id=i, category_id=c, score=round(float(r.random()), 5))
            bbox.append(dict(d, bbox=[round(v, 3) for v in b]))
            segm.append(dict(d, segmentation=runs(outline(*b))))
    images = [dict(id=i, width=W, height=H, file_name="%d.jpg" % i) for i in range(1, IMAGES + 1)]
    categories = [dict(id=k, name="class %d" % k) for k in range(1, CLASSES + 1)]
    for name, v in (("gt", dict(images=images, annotations=gt, categories=categories)), ("bbox", bbox), ("segm", segm)):
        with open("%s/%s.json" % (folder, name), "w") as f:
            json.dump(v, f)


def judge(folder, kind, coco, judge_class, **options):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = coco(folder + "/gt.json")
        start = time.perf_counter()
        with open("%s/%s.json" % (folder, kind)) as f:
            dt = gt.loadRes(json.load(f))
        loaded = time.perf_counter()
        e = judge_class(gt, dt, kind, **options)
        e.evaluate()
        e.accumulate()
        end = time.perf_counter()
        e.summarize()
    return [loaded - start, end - loaded], [float(v) for v in e.stats[:12]]


folder = sys.argv[1]
make(folder)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print("Python %s (%s), pycocotools %s, faster-coco-eval %s, one core" % (sys.version.split()[0], sys.executable, version("pycocotools"), version("faster-coco-eval")), flush=True)
for line in sys.stdin:
    kind = line.strip()
    slow, figures = judge(folder, kind, COCO, COCOeval)
    fast, _ = judge(folder, kind, faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster, extra_calc=False)
    print(*slow, *fast, *figures, flush=True)
