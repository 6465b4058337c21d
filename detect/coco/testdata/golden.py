#!/usr/bin/env python3
"""Makes data sets and detections, and what pycocotools says of them.

    golden.py                 writes sets.jsonl.gz: 200 sets, with all arrays for every 40th
    golden.py --all SEED N    writes N other sets, with all arrays, as JSON lines to standard output
    golden.py --judge         reads {"gt", "dt", "kind", "params"} and writes what pycocotools says of it, with all arrays

A line is {"name", "gt": instances, "dt": results, "want": {"bbox", "segm"}}, and of some
sets "bbox custom" and "segm custom" with the thresholds of CUSTOM; each of want has the
twelve figures ("stats"; not with CUSTOM), the SHA-256 of the arrays precision, recall and
scores as little-endian float64 in pycocotools' order of axes, and, where all arrays are
asked for, the bytes themselves ("arrays"), deflated and in base64.
"""
import base64
import contextlib
import gzip
import hashlib
import io
import json
import sys
import zlib

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

KINDS = ["general", "score ties", "one score", "crowds", "empty images", "absent categories", "area limits",
         "more than 100", "equal overlaps", "unknown categories", "gaps in ids", "no objects", "at thresholds",
         "odd boxes", "perfect", "few"]
FORMS = ["boxes", "both", "masks", "polygons", "some masks"]


CUSTOM = dict(iouThrs=np.array([1, 0, .3, .5]), recThrs=np.array([-.5, 0, .25, .5, 1, 1.5]), maxDets=[300, 2, 7],
              areaRng=[[0, 500], [100, 2000], [5, 4]], areaRngLbl=["all", "medium", "none"])


def r1(v):
    return round(float(v), 1)


class Set:
    def __init__(self, seed, i):
        self.r = np.random.default_rng([seed, i])
        self.kind, self.form = KINDS[i % len(KINDS)], FORMS[i // len(KINDS) % len(FORMS)]
        self.name = f"{i} {self.kind}, {self.form}"
        r = self.r
        n = 1 if self.kind == "few" else int(r.integers(2, 7))
        gap = self.kind in ("gaps in ids", "few")
        ids = r.permutation(np.arange(1, 60))[:n] * (7919 if gap else 1)
        self.images = [dict(id=int(v), width=int(r.integers(40, 240)), height=int(r.integers(40, 240)), file_name=f"{v}.jpg") for v in ids]
        cats = r.permutation(np.arange(1, 20))[: int(r.integers(1, 5))] * (90 if gap else 1)
        self.cats = [int(c) for c in cats]
        self.gt, self.dt = [], []
        for image in self.images:
            self.objects(image)
        for image in self.images:
            self.detections(image)
        order = r.permutation(len(self.gt))
        numbers = 1 + (r.permutation(5 * len(self.gt))[: len(self.gt)] if gap else np.arange(len(self.gt)))
        self.gt = [dict(self.gt[k], id=int(numbers[j])) for j, k in enumerate(order)]
        self.dt = [self.dt[k] for k in r.permutation(len(self.dt))]
        if not self.dt:
            self.dt = [self.found(self.images[0], [1, 1, 5, 5], self.cats[0])]

    def box(self, image):
        r, w, h = self.r, image["width"], image["height"]
        if self.kind == "area limits":
            bw, bh = [(32, 32), (96, 96), (16, 64), (64, 16), (96.1, 96), (32, 31.9), (31.9, 32), (96, 95.9)][int(r.integers(8))]
        elif self.kind == "at thresholds":
            bw, bh = 20, 20
        else:
            bw, bh = np.exp(r.uniform(1, np.log(w))), np.exp(r.uniform(1, np.log(h)))
        x, y = r.uniform(0, max(w - bw, 1)), r.uniform(0, max(h - bh, 1))
        if self.kind in ("equal overlaps", "at thresholds", "area limits"):
            x, y = int(x), int(y)
        if self.kind == "equal overlaps":
            bw, bh = int(bw) + 2, int(bh) + 2
        return [r1(x), r1(y), r1(bw), r1(bh)]

    def objects(self, image):
        r = self.r
        if self.kind == "no objects" or self.kind == "empty images" and r.random() < .5:
            return
        for _ in range(int(r.integers(1, 7))):
            c = self.cats[int(r.integers(len(self.cats)))]
            if self.kind == "absent categories" and c == self.cats[0]:
                continue
            b = self.box(image)
            for shift in (0, 4) if self.kind == "equal overlaps" else (0,):
                b = [b[0] + shift] + b[1:]
                crowd = int(r.random() < (.5 if self.kind == "crowds" else .05))
                area = r1(b[2] * b[3] * (1 if self.kind == "area limits" else r.uniform(.4, 1.1)))
                if self.kind == "area limits" and r.random() < .5:
                    area = [1024, 1024.0001, 1023.9999, 9216, 9216.0001, 9215.9999, 0, 1e10, 2e10][int(r.integers(9))]
                self.gt.append(dict(image_id=image["id"], category_id=c, bbox=b, area=area, iscrowd=crowd,
                                    segmentation=self.segmentation(image, b, "rle" if crowd else None)))

    def segmentation(self, image, b, form=None):
        """Polygons of a box with a corner cut off, or run lengths."""
        r, (x, y, w, h) = self.r, b
        form = form or ["polygon", "polygons", "rle", "list"][int(r.integers(4))]
        p = [x, y, x + w, y, x + w, r1(y + h * .6), r1(x + w * .7), y + h, x, y + h]
        if form == "polygon":
            return [[r1(v) for v in p]]
        if form == "polygons":
            return [[r1(v) for v in p], [r1(v) for v in (x, y, x + w / 2, y - h / 4, x + w, y, x + w / 2, y + h / 4)]]
        q = masks.merge(masks.frPyObjects([p], image["height"], image["width"]))
        if form == "list":
            m = masks.decode(q).flatten(order="F")
            edges = np.flatnonzero(np.diff(np.concatenate([[0], m, [m[-1] ^ 1]])))
            return dict(size=q["size"], counts=[int(v) for v in np.diff(np.concatenate([[0], edges]))])
        return dict(size=q["size"], counts=q["counts"].decode())

    def score(self):
        r = self.r
        if self.kind == "one score":
            return .5
        if self.kind == "score ties":
            return [.1, .5, .9][int(r.integers(3))]
        return round(float(r.random()), 4)

    def found(self, image, b, c):
        d = dict(image_id=image["id"], category_id=c, score=self.score())
        if self.form != "masks":
            d["bbox"] = b
        if self.form in ("both", "masks"):
            d["segmentation"] = self.segmentation(image, b, "rle")
        if self.form == "polygons" or self.form == "some masks" and self.r.random() < .5:
            d["segmentation"] = self.segmentation(image, b)
        return d

    def detections(self, image):
        r, k = self.r, self.kind
        if k == "empty images" and r.random() < .3:
            return
        mine = [g for g in self.gt if g["image_id"] == image["id"]]
        for g in mine:
            if k != "perfect" and r.random() < .15 or k == "absent categories" and g["category_id"] == self.cats[-1]:
                continue
            for _ in range(1 if k == "perfect" else int(r.integers(1, 4))):
                x, y, w, h = g["bbox"]
                b = [x, y, w, h]
                if k == "at thresholds":
                    b = [x, y, w, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20][int(r.integers(11))]]
                elif k == "equal overlaps":
                    b = [x + [-2, 2, 0][int(r.integers(3))], y, w, h]
                elif k != "perfect":
                    s = .15 * r.normal(size=4)
                    b = [x + s[0] * w, y + s[1] * h, w * np.exp(s[2]), h * np.exp(s[3])]
                c = g["category_id"]
                if k != "perfect" and r.random() < .1:
                    c = self.cats[int(r.integers(len(self.cats)))]
                if k == "unknown categories" and r.random() < .3:
                    c = 777
                self.dt.append(self.found(image, [r1(v) for v in b], c))
        for _ in range(0 if k == "perfect" else int(r.integers(0, 4))):
            self.dt.append(self.found(image, self.box(image), self.cats[int(r.integers(len(self.cats)))]))
        if k == "odd boxes":
            w, h = image["width"], image["height"]
            odd = [[-5, -5, 9, 9], [w - 4, h - 4, 20, 20], [w + 5, 3, 4, 4], [3, 3, 0, 5], [3, 3, 5, 0], [0, 0, w, h], [2, 2, .5, .5]]
            if self.form == "boxes":
                odd += [[3, 3, -2, 5], [9, 9, -3, -3]]
            self.dt += [self.found(image, b, self.cats[0]) for b in odd]
        if k == "more than 100" and image is self.images[0] and mine:
            g = mine[0]
            for _ in range(130):
                b = [r1(v + r.normal() * 6) for v in g["bbox"]]
                b[2], b[3] = max(b[2], 1), max(b[3], 1)
                self.dt.append(self.found(image, b, g["category_id"]))

    def dataset(self):
        return dict(images=self.images, categories=[dict(id=c, name=f"class {c}") for c in self.cats], annotations=self.gt)


def judged(gt, dt, kind, arrays, params={}):
    with contextlib.redirect_stdout(io.StringIO()):
        g = COCO()
        g.dataset = json.loads(json.dumps(gt))
        g.createIndex()
        # loadRes fails without detections
        found = g.loadRes(json.loads(json.dumps(dt))) if dt else COCO()
        e = COCOeval(g, found, kind.split()[0])
        for name, v in (CUSTOM if kind.endswith("custom") else params).items():
            setattr(e.params, name, v)
        e.evaluate()
        e.accumulate()
        if not kind.endswith("custom"):
            e.summarize()
    want = dict(stats=[float(v) for v in e.stats]) if len(e.stats) else {}
    for name in ("precision", "recall", "scores"):
        b = e.eval[name].astype("<f8").tobytes()
        want[name] = hashlib.sha256(b).hexdigest()
        if arrays:
            want.setdefault("arrays", {})[name] = base64.b64encode(zlib.compress(b, 9)).decode()
    return want


def lines(seed, n, every):
    for i in range(n):
        s = Set(seed, i)
        gt = s.dataset()
        kinds = ["bbox", "segm"] + (["bbox custom", "segm custom"] if i % 3 == 0 else [])
        want = {kind: judged(gt, s.dt, kind, i % every == every // 2) for kind in kinds}
        yield json.dumps(dict(name=s.name, gt=gt, dt=s.dt, want=want), separators=(",", ":")) + "\n"


if sys.argv[1:2] == ["--judge"]:
    case = json.load(sys.stdin)
    params = {name: np.array(v) for name, v in case["params"].items()}
    print(json.dumps(judged(case["gt"], case["dt"], case["kind"], True, params)))
elif sys.argv[1:2] == ["--all"]:
    for line in lines(int(sys.argv[2]), int(sys.argv[3]), 1):
        sys.stdout.write(line)
else:
    with open("sets.jsonl.gz", "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
        for line in lines(1, 200, 40):
            z.write(line.encode())
