"""Peers of detect/mask and detect/box: the C code of pycocotools, called without
Python's part of it, and NMS of torchvision. It writes polygons.json and boxes.json into
a folder, and prints its versions. For every line on standard input, the name of a
function below and how often to call it, it answers with CPU seconds of a call, which
goes through all masks or boxes, less those of calling C functions that do nothing.

    python3 masks.py FOLDER
"""
import ctypes
import json
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_ubyte, c_uint, c_ulong, c_void_p
from importlib.metadata import version

import numpy as np
import torch
import torchvision
from pycocotools import _mask

H, W, N, GT = 480, 640, 400, 40


class RLE(ctypes.Structure):
    _fields_ = [("h", c_ulong), ("w", c_ulong), ("m", c_ulong), ("counts", POINTER(c_uint))]


class Bitmaps:
    pixels = (c_ubyte * (H * W * N))()


lib = ctypes.CDLL(_mask.__file__)
lib.rleToString.restype = c_void_p
lib.rleDecode.restype = c_ubyte
free = ctypes.CDLL(None).free
free.argtypes = [c_void_p]
h, w = c_ulong(H), c_ulong(W)


def outlines(r):
    """Ragged outlines of 40 corners about places in the image."""
    out = []
    for i in range(N):
        a = np.arange(40) * np.pi / 20
        x, y, rx, ry = r.uniform(0, W), r.uniform(0, H), np.exp(r.uniform(2, 5.5)), np.exp(r.uniform(2, 5.5))
        far = 1 + .2 * r.normal(size=40)
        out.append(np.stack([np.clip(x + rx * far * np.cos(a), 0, W), np.clip(y + ry * far * np.sin(a), 0, H)], 1).ravel().round(2))
    return out


def proposals(r):
    """2,000 boxes in an image of 800x1066."""
    xy = r.uniform(0, 1, (2000, 2)) * [1000, 700]
    b = np.concatenate([xy, xy + r.uniform(20, 220, (2000, 2))], 1).astype(np.float32)
    return torch.from_numpy(b), torch.from_numpy(r.permutation(2000).astype(np.float32) / 2000)


r = np.random.default_rng(0)
polygons = [np.ascontiguousarray(p) for p in outlines(r)]
pointers = [p.ctypes.data_as(POINTER(c_double)) for p in polygons]
boxes, scores = proposals(r)
with open(sys.argv[1] + "/boxes.json", "w") as f:
    json.dump({"boxes": boxes.tolist(), "scores": scores.tolist()}, f)
torch.set_num_threads(1)

masks = (RLE * N)()
for i in range(N):
    lib.rleFrPoly(byref(masks[i]), pointers[i], c_ulong(40), h, w)
# Masks of noise have long strings, so that calls do not count.
noise = (RLE * 4)()
pixels = (r.random(4 * H * W) < .3).astype(np.uint8)
lib.rleEncode(noise, pixels.ctypes.data_as(POINTER(c_ubyte)), h, w, c_ulong(4))
strings = []
for m in noise:
    s = lib.rleToString(byref(m))
    strings.append(ctypes.string_at(s))
    free(s)
with open(sys.argv[1] + "/polygons.json", "w") as f:
    json.dump({"h": H, "w": W, "gt": GT, "polygons": [p.tolist() for p in polygons], "strings": [s.decode() for s in strings]}, f)
iou, crowd, bounds, areas = (c_double * (N * GT))(), (c_ubyte * GT)(), (c_double * (4 * N))(), (c_uint * N)()


def polygon():
    for p in pointers:
        m = RLE()
        lib.rleFrPoly(byref(m), p, c_ulong(40), h, w)
        lib.rleFree(byref(m))


def string():
    for m in noise:
        free(lib.rleToString(byref(m)))


def parse():
    for s in strings:
        m = RLE()
        lib.rleFrString(byref(m), c_char_p(s), h, w)
        lib.rleFree(byref(m))


def bitmap():
    lib.rleDecode(masks, Bitmaps.pixels, c_ulong(N))


def encode():
    out = (RLE * N)()
    lib.rleEncode(out, Bitmaps.pixels, h, w, c_ulong(N))
    for m in out:
        lib.rleFree(byref(m))


def overlaps():
    lib.rleIou(masks, masks, c_ulong(N), c_ulong(GT), crowd, iou)


def union():
    for i in range(0, N, 4):
        m = RLE()
        lib.rleMerge(byref(masks[i]), byref(m), c_ulong(4), c_int(0))
        lib.rleFree(byref(m))


def areas_and_bounds():
    lib.rleArea(masks, c_ulong(N), areas)
    lib.rleToBbox(masks, bounds, c_ulong(N))


def nms():
    torchvision.ops.nms(boxes, scores, .7)


bitmap()  # what encode reads
print("Python %s (%s), pycocotools %s, torchvision %s" % (sys.version.split()[0], sys.executable, version("pycocotools"), torchvision.__version__), flush=True)
calls = {polygon: N, union: N // 4}
for line in sys.stdin:
    name, times = line.split()
    f, times = globals()[name], int(times)
    start = time.process_time()
    for _ in range(times):
        f()
    took = time.process_time() - start
    start = time.process_time()
    for _ in range(times * calls.get(f, 0)):
        m = RLE()
        lib.rleFree(byref(m))
    print((took - (time.process_time() - start)) / times, flush=True)
