"""Writes golden.tsv: masks of made-up polygons and bitmaps by pycocotools, and what it
computes of them.

    golden.py > golden.tsv           hashes of blocks, some masks spelled out
    golden.py --all SEED             all masks of other polygons and bitmaps

mask_golden_test.go makes the same polygons and bitmaps by the same rule, as written
in the functions polygon and bitmap below. Lines of golden.tsv:

    polygons|bitmaps  FIRST  SHA-256 of the strings of BLOCK masks, each with a newline
    computed          FIRST  SHA-256 of areas, bounds, merges and IoU of a block's masks
    polygon|bitmap    I      height width string
"""
import hashlib
import struct
import sys

import numpy as np
from pycocotools import _mask

N, BLOCK = 10000, 250
M64 = (1 << 64) - 1


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed & M64

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & M64
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M64
        return z ^ z >> 31

    def below(self, n):
        return self.next() % n

    def between(self, lo, hi):
        return lo + (self.next() >> 11) * 2.0**-53 * (hi - lo)


def size(r):
    return [(1 + r.below(64), 1 + r.below(64)), (1 + r.below(600), 1 + r.below(600)), (1, 1 + r.below(50)), (1 + r.below(50), 1)][max(0, r.below(8) - 4)]


def corners(r, n, x0, x1, y0, y1):
    return [v for _ in range(n) for v in (r.between(x0, x1), r.between(y0, y1))]


def polygon(seed, i):
    """Polygon i: height, width, coordinates."""
    r = Random(seed << 32 | i)
    h, w = size(r)
    kind = i % 10
    if kind == 0:  # inside the image
        xy = corners(r, 3 + r.below(10), 0, w, 0, h)
    elif kind == 1:  # tiny
        x, y = r.between(-1, w), r.between(-1, h)
        xy = corners(r, 3 + r.below(4), x, x + 2, y, y + 2)
    elif kind == 2:  # partly outside
        xy = corners(r, 3 + r.below(10), -w, 2 * w, -h, 2 * h)
    elif kind == 3:  # all outside, some with negative coordinates alone
        x, y = r.between(-3 * w, 3 * w), -2.0 * h if r.below(2) else 1.5 * h
        xy = corners(r, 3 + r.below(4), x, x + w, y, y + h)
    elif kind == 4:  # on whole tenths of a pixel: ties of rounding
        xy = [(r.below(12 * (h + w)) - h - w) / 10 for _ in range(2 * (3 + r.below(6)))]
    elif kind == 5:  # huge
        big = 1e6 if i % 1000 == 5 else 1e4
        xy = corners(r, 3 + r.below(4), -big, big, -big, big)
    elif kind == 6:  # one or two points
        xy = corners(r, 1 + r.below(2), -5, w + 5, -5, h + 5)
    elif kind == 7:  # points repeated, and edges along the axes
        x, y = float(r.below(w + 1)), r.between(0, h)
        xy = []
        for _ in range(2 + r.below(6)):
            if r.below(2):
                x = r.between(-2, w + 2)
            else:
                y = r.between(-2, h + 2)
            xy += [x, y] * (1 + r.below(3))
    elif kind == 8:  # many edges that cross
        xy = corners(r, 20 + r.below(60), -1, w + 1, -1, h + 1)
    else:  # an outline of short steps
        x, y = r.between(0, w), r.between(0, h)
        xy = []
        for _ in range(5 + r.below(60)):
            x += r.between(-3, 3)
            y += r.between(-3, 3)
            xy += [x, y]
    return h, w, xy


def bitmap(seed, i):
    """Bitmap i: height, width, pixels by columns."""
    r = Random(seed << 32 | 1 << 31 | i)
    h, w = 1 + r.below(48), 1 + r.below(48)
    kind = i % 8
    x = np.arange(1, h * w + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(r.state)
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    percent = (x ^ x >> np.uint64(31)) % np.uint64(100)
    if kind == 0:
        pix = percent < 50
    elif kind == 1:
        pix = percent < 3
    elif kind == 2:
        pix = percent >= 3
    elif kind == 3:
        pix = percent >= 100
    elif kind == 4:
        pix = percent < 100
    elif kind == 5:  # long runs
        pix = np.cumsum(percent < 5) % 2 == 1
    elif kind == 6:
        pix = np.arange(h * w) % 2 == i // 8 % 2
    else:  # a box
        x0, y0 = r.below(w), r.below(h)
        x1, y1 = x0 + r.below(w), y0 + r.below(h)
        pix = np.zeros((w, h), bool)
        pix[x0:x1, y0:y1] = True
        pix = pix.ravel()
    return h, w, pix.astype(np.uint8)


def polygon_mask(seed, i):
    h, w, xy = polygon(seed, i)
    return _mask.frPoly([xy], h, w)[0]


def bitmap_mask(seed, i):
    h, w, pix = bitmap(seed, i)
    return _mask.encode(pix.reshape((h, w, 1), order="F"))[0]


def computed(masks):
    """Areas and bounds; of neighbours that were cut or filled up to one size, the
    union and intersection; IoU of all with all, every third being a crowd."""
    out = []
    for m in masks:
        out.append("%d %d %d %d %d\n" % (_mask.area([m])[0], *_mask.toBbox([m])[0]))
    canvases = [on_canvas(m) for m in masks]
    for i in range(0, len(masks) - 2, 3):
        for intersect in 0, 1:
            out.append(_mask.merge(canvases[i:i + 3], intersect)["counts"].decode() + "\n")
    iou = _mask.iou(masks, canvases, [g % 3 == 0 for g in range(len(masks))])
    iou2 = _mask.iou(canvases, canvases, [g % 3 == 0 for g in range(len(masks))])
    h = hashlib.sha256("".join(out).encode())
    for m in iou, iou2:
        h.update(np.ascontiguousarray(m).astype("<f8").tobytes())
    return h.hexdigest()


def on_canvas(m):
    """The mask's upper left part on 40x40 pixels."""
    pix = _mask.decode([m])[:40, :40, 0]
    canvas = np.zeros((40, 40, 1), np.uint8, order="F")
    canvas[:pix.shape[0], :pix.shape[1], 0] = pix
    return _mask.encode(canvas)[0]


def string(m):
    return m["counts"].decode()


def main():
    seed = int(sys.argv[2]) if sys.argv[1:2] == ["--all"] else 1
    masks = {"polygon": [polygon_mask(seed, i) for i in range(N)], "bitmap": [bitmap_mask(seed, i) for i in range(N)]}
    if sys.argv[1:]:
        for kind in masks:
            for i, m in enumerate(masks[kind]):
                print(kind, i, *m["size"], string(m), sep="\t")
        return
    for kind in masks:
        for first in range(0, N, BLOCK):
            block = masks[kind][first:first + BLOCK]
            text = "".join(string(m) + "\n" for m in block)
            print(kind + "s", first, hashlib.sha256(text.encode()).hexdigest(), sep="\t")
        for i in range(30) if kind == "polygon" else range(10):
            m = masks[kind][i]
            print(kind, i, *m["size"], string(m), sep="\t")
    for first in range(0, N, BLOCK):
        block = [m for kind in masks for m in masks[kind][first:first + 40]]
        print("computed", first, computed(block), sep="\t")


main()
