"""A peer of finetune/roialign: torchvision's RoIAlign, whose gradients autograd computes. It
draws boxes of 2 images of 512x512 for a pyramid of strides 4 to 32, and writes them into a folder
as rois.json. For every line on standard input it pools the features of all boxes (forward), or
computes the gradients of all levels (backward), and answers with how many times it could in a second.

    python3 roialign.py forward|backward FOLDER BOXES SIZE THREADS
"""
import json
import sys
import time

import numpy as np
import torch
import torchvision

way, folder, k, size, threads = *sys.argv[1:3], *map(int, sys.argv[3:6])
IMAGES, CHANNELS, SIDE, STRIDES = 2, 256, 512, (4, 8, 16, 32)
torch.set_num_threads(threads)

# Sides from 16 pixels to 9/10 of the image, and ratios of height and width from 0.4 to 2.5; on the
# levels that Lin et al. (2017) give them.
r = np.random.default_rng(0)
side = np.exp(r.uniform(np.log(16), np.log(SIDE * 0.9), k))
ratio = np.exp(r.uniform(np.log(0.4), np.log(2.5), k))
w, h = np.minimum(side * np.sqrt(ratio), SIDE - 1), np.minimum(side / np.sqrt(ratio), SIDE - 1)
x, y = r.uniform(0, 1, k) * (SIDE - w), r.uniform(0, 1, k) * (SIDE - h)
level = np.clip(np.floor(4 + np.log2(np.sqrt(w * h) / 224)), 2, 5).astype(int) - 2
order = np.argsort(level, kind="stable")
boxes = np.stack([x, y, x + w, y + h], 1).astype(np.float32)[order]
images = (np.arange(k) * IMAGES // k)[order]
bounds = np.concatenate([[0], np.cumsum(np.bincount(level, minlength=4))])
with open(folder + "/rois.json", "w") as f:
    json.dump({"boxes": boxes.ravel().tolist(), "images": images.tolist(), "bounds": bounds.tolist()}, f)

rois = torch.from_numpy(np.concatenate([images[:, None].astype(np.float32), boxes], 1))
levels = [torch.randn(IMAGES, CHANNELS, SIDE // s, SIDE // s, requires_grad=True) for s in STRIDES]


def forward():
    return torch.cat([torchvision.ops.roi_align(x, rois[a:b], size, 1 / s, 2) for x, s, a, b in zip(levels, STRIDES, bounds, bounds[1:])])


pooled = forward()
dy = torch.randn_like(pooled)
torch.set_grad_enabled(way == "backward")
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {threads} threads", flush=True)
for line in sys.stdin:
    for x in levels:
        x.grad = None
    start = time.perf_counter()
    if way == "forward":
        forward()
    else:
        pooled.backward(dy, retain_graph=True)
    print(1 / (time.perf_counter() - start), flush=True)
