"""What torchvision's augmentation does to Pillow images, without its random
numbers: writes crops.json.

    python3 crops.py

An image of width W and height H has the pixels floor(rule("crop/WxH", H*W*3, 0,
256)) in the order [y, x, channel]. A digest is SHA-256 of the result's bytes in
that order, alone; "first" its first 12 bytes.

  resized  crop to top, left, height, width, then Pillow's bilinear (antialiased)
           resize to size x size
  cropped  pad by 4 on each side with zeros or by reflection (the edge is not
           repeated), then crop h x w at top, left of the padded image
  flipped  left and right exchanged
  jitter   one adjustment with a fixed factor (hue in turns, -.5 .. .5)
  jitters  several in the order given
  ranges   of ColorJitter(b, c, s, h): factors are uniform in them, the order of
           the four is a random permutation
  draws    20,000 of RandomResizedCrop.get_params, scale (.08, 1), ratio (3/4, 4/3):
           area = h*w/(H*W), aspect = ln(w/h), y = top/(H-h), x = left/(W-w) where
           there is room; mean and variance, each with its standard error; the share
           of the boxes that are the fall-back (10 failed tries), which for a ratio
           in range is the whole image
"""
import hashlib
import math

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as F

from oracle import integers, save, versions


def image(w, h):
    return Image.fromarray(integers("crop/%dx%d" % (w, h), h * w * 3, 256).astype(np.uint8).reshape(h, w, 3))


def result(im, **about):
    data = np.asarray(im).tobytes()
    return {**about, "out": list(im.size), "sha256": hashlib.sha256(data).hexdigest(), "first": list(data[:12])}


resized = []
for (w, h), boxes in {
    (45, 31): [(0, 0, 31, 45), (3, 5, 20, 17), (30, 44, 1, 1), (0, 10, 31, 2)],
    (160, 120): [(0, 0, 120, 160), (17, 33, 64, 64), (50, 20, 70, 53), (5, 7, 113, 151)],
    (100, 300): [(0, 0, 300, 100), (111, 9, 97, 91), (120, 0, 133, 100), (299, 0, 1, 100)],
}.items():
    for n, (i, j, ch, cw) in enumerate(boxes):
        for size in (32, 64, 224) if n < 2 else ((32, 224)[n % 2],):
            im = F.resized_crop(image(w, h), i, j, ch, cw, [size, size], transforms.InterpolationMode.BILINEAR)
            resized.append(result(im, width=w, height=h, box=[i, j, ch, cw], size=size))

cropped = []
for mode in ("constant", "reflect"):
    for i, j in ((0, 0), (8, 8), (3, 6)):
        im = F.crop(F.pad(image(45, 31), 4, 0, mode), i, j, 31, 45)
        cropped.append(result(im, width=45, height=31, pad=4, mode={"constant": "zero"}.get(mode, mode), box=[i, j, 31, 45]))

adjust = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation, "hue": F.adjust_hue}
jitter = [result(adjust[k](image(45, 31), f), width=45, height=31, adjust=k, factor=f)
          for k, factors in (("brightness", (0.0, 0.6, 1.0, 1.4)), ("contrast", (0.0, 0.6, 1.0, 1.4)), ("saturation", (0.0, 0.6, 1.0, 1.4)), ("hue", (-0.5, -0.1, 0.0, 0.1)))
          for f in factors]
jitters = []
for order in ([("brightness", 1.3), ("contrast", 0.7), ("saturation", 1.2), ("hue", 0.05)], [("hue", -0.05), ("saturation", 0.8), ("brightness", 0.9), ("contrast", 1.35)]):
    im = image(45, 31)
    for k, f in order:
        im = adjust[k](im, f)
    jitters.append(result(im, width=45, height=31, order=[[k, f] for k, f in order]))
ranges = []
for args in ((0.4, 0.4, 0.4, 0.1), (0.1, 0.2, 1.5, 0.5)):
    t = transforms.ColorJitter(*args)
    ranges.append({"jitter": args, "brightness": t.brightness, "contrast": t.contrast, "saturation": t.saturation, "hue": t.hue})


def moments(v):
    """Mean, variance and their standard errors."""
    v, n = np.asarray(v, np.float64), len(v)
    c = v - v.mean()
    var = (c**2).sum() / (n - 1)
    return {"n": n, "mean": v.mean(), "mean_error": math.sqrt(var / n), "variance": var, "variance_error": math.sqrt(max((c**4).mean() - var**2, 0) / n)}


def whole(w, h):
    """The fall-back's box."""
    if w / h < 3 / 4:
        cw, ch = w, int(round(w / (3 / 4)))
    elif w / h > 4 / 3:
        cw, ch = int(round(h * (4 / 3))), h
    else:
        cw, ch = w, h
    return (h - ch) // 2, (w - cw) // 2, ch, cw


draws = []
for w, h in ((100, 100), (500, 375), (300, 60), (400, 20)):
    torch.manual_seed(0)
    im = torch.empty(3, h, w)
    boxes = np.array([transforms.RandomResizedCrop.get_params(im, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(20000)])
    i, j, ch, cw = boxes.T
    fall = (boxes == np.array(whole(w, h))).all(1).mean()
    out = {"width": w, "height": h, "fallback": whole(w, h), "fallbacks": fall, "fallbacks_error": math.sqrt(fall * (1 - fall) / 20000)}
    if fall < 1:
        out.update(area=moments(ch * cw / (h * w)), aspect=moments(np.log(cw / ch)), y=moments((i / np.maximum(h - ch, 1))[ch < h]), x=moments((j / np.maximum(w - cw, 1))[cw < w]))
    draws.append(out)
    print(w, h, "fall-back %.4f" % fall, *("%s %.4f" % (k, out[k]["mean"]) for k in ("area", "aspect", "y", "x") if k in out))

save("crops.json", {"made_by": "finetune/testdata/crops.py", "versions": versions(), "resized": resized, "cropped": cropped,
                    "flipped": [result(F.hflip(image(45, 31)), width=45, height=31)], "jitter": jitter, "jitters": jitters, "ranges": ranges, "draws": draws}, 2)
