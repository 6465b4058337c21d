"""What torchvision's transforms make of drawn images, as SHA-256, for
augment_test.go: boxes resized, flips, and the adjustments of ColorJitter.

    python3 augment.py boxes > boxes.tsv        (Pillow 13: the order of the passes)
    python3 augment.py colours > colours.tsv    (torchvision, any Pillow)
"""
import hashlib, sys
import numpy as np
import PIL
from PIL import Image


def drawn(w, h):
    """An image that a formula gives: slopes, steps and a fine texture."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    return Image.fromarray(((x * (3 + c) + y * (5 - c) + (x * y >> 3) * (c + 1) + (x ^ y) * 2) & 255).astype(np.uint8))


def cube(step):
    """Every step-th colour, red slowest, in rows of all blues."""
    v = np.arange(0, 256, step)
    r, g, b = np.meshgrid(v, v, v, indexing="ij")
    return Image.fromarray(np.stack([r, g, b], -1).reshape(-1, len(v), 3).astype(np.uint8))


def digest(im):
    return hashlib.sha256(b"%d %d\n" % im.size + im.tobytes()).hexdigest()


def boxes():
    print("# Pillow %s, Python %s" % (PIL.__version__, sys.version.split()[0]))
    rng = np.random.default_rng(1)
    sizes = [(1, 1), (5, 3), (40, 200), (97, 64), (100, 100), (301, 120), (500, 375)]
    outs = [(32, 32), (64, 48), (224, 224), (7, 90)]
    for w, h in sizes:
        im = drawn(w, h)
        for k in range(8):
            bw, bh = int(rng.integers(1, w + 1)), int(rng.integers(1, h + 1))
            x, y = int(rng.integers(0, w - bw + 1)), int(rng.integers(0, h - bh + 1))
            if k == 0:
                x, y, bw, bh = 0, 0, w, h
            ow, oh = outs[k % 4]
            f = (Image.BILINEAR, Image.BICUBIC)[k // 4]
            print(w, h, x, y, bw, bh, ow, oh, ("bilinear", "bicubic")[k // 4],
                  digest(im.crop((x, y, x + bw, y + bh)).resize((ow, oh), f)), sep="\t")


def colours():
    import torch, torchvision
    from torchvision.transforms import functional as F
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print("# torchvision %s, torch %s, Pillow %s, Python %s" % (torchvision.__version__, torch.__version__, PIL.__version__, sys.version.split()[0]))
    ops = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation, "hue": F.adjust_hue}
    factors = [0, 0.1, 0.5, 0.75, 0.9371234, 1, 1.0000001, 1.1, 1.25, 1.9, 3.7]
    turns = [-0.5, -0.3, -0.1, -0.05, -0.001, 0, 0.001, 0.02, 0.1, 0.25, 0.4999]
    for name, im in (("drawn", drawn(301, 120)), ("cube", cube(step))):
        for op in ops:
            for f in turns if op == "hue" else factors:
                print(name, step, op, repr(float(f)), digest(ops[op](im, f)), sep="\t")
        print(name, step, "flip", 0.0, digest(F.hflip(im)), sep="\t")


{"boxes": boxes, "colours": colours}[sys.argv[1]]()
