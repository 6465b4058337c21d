#!/usr/bin/env python3
"""Writes tide.json.gz: data sets and detections without crowds and equal scores, and the
error kinds that tidecv finds in them, with what each costs of AP50 (as a fraction).
AP is read at the recalls i/100.
"""
import gzip
import json

import numpy as np
from tidecv import Data, TIDE
from tidecv.errors.main_errors import FalseNegativeError, FalsePositiveError


def make(seed):
    r = np.random.default_rng(seed)
    classes = int(r.integers(1, 6))
    images = [dict(id=i, width=400, height=300, file_name="%d.jpg" % i) for i in range(1, int(r.integers(2, 12)))]
    gt, dt = [], []
    box = lambda: [round(float(v), 1) for v in (r.uniform(0, 300), r.uniform(0, 200), r.uniform(10, 100), r.uniform(10, 100))]
    for image in images:
        for _ in range(int(r.integers(0, 7))):
            gt.append(dict(id=len(gt) + 1, image_id=image["id"], category_id=int(r.integers(1, classes + 1)), bbox=box(), iscrowd=0))
    for c in range(1, classes + 1):  # every class has an object
        gt.append(dict(id=len(gt) + 1, image_id=1, category_id=c, bbox=box(), iscrowd=0))
    for g in gt:
        g["area"] = g["bbox"][2] * g["bbox"][3]
        for _ in range(int(r.integers(0, 4))):
            b = [round(float(v), 1) for v in np.array(g["bbox"]) + r.normal(0, [3, 12, 30][int(r.integers(3))], 4)]
            b[2:] = max(b[2], 1), max(b[3], 1)
            c = g["category_id"] if r.random() < .7 else int(r.integers(1, classes + 1))
            dt.append(dict(image_id=g["image_id"], category_id=c, bbox=b))
    for _ in range(int(r.integers(1, 12))):
        dt.append(dict(image_id=int(r.integers(1, len(images) + 1)), category_id=int(r.integers(1, classes + 1)), bbox=box()))
    for d, s in zip(dt, r.permutation(10 * len(dt))):
        d["score"] = round(float(s + 1) / (10 * len(dt) + 1), 6)
    return dict(images=images, categories=[dict(id=c, name="class %d" % c) for c in range(1, classes + 1)], annotations=gt), dt


def judged(gt, dt):
    truth, found = Data("gt"), Data("dt")
    for image in gt["images"]:
        truth.add_image(image["id"], image["file_name"])
    for c in gt["categories"]:
        truth.add_class(c["id"], c["name"])
    for g in gt["annotations"]:
        truth.add_ground_truth(g["image_id"], g["category_id"], g["bbox"])
    for d in dt:
        found.add_detection(d["image_id"], d["category_id"], d["score"], d["bbox"])
    run = TIDE().evaluate(truth, found, mode=TIDE.BOX)
    special = run.fix_special_errors()
    kinds = {k.short_name: v / 100 for k, v in run.fix_main_errors().items()}
    counts = {k.short_name: v for k, v in run.count_errors().items()}
    return dict(ap=run.ap / 100, delta=kinds, count=counts, fp=special[FalsePositiveError] / 100, fn=special[FalseNegativeError] / 100)


with open("tide.json.gz", "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
    sets = []
    for seed in range(40):
        gt, dt = make(seed)
        sets.append(dict(gt=gt, dt=dt, tide=judged(gt, dt)))
    z.write(json.dumps(sets, separators=(",", ":")).encode())
