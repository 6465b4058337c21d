"""What torchvision makes of images, boxes and masks before a detector sees them: transform.py > transform.json.

Images are mirrored as torchvision's references do, and then go through GeneralizedRCNNTransform. Of the pixels every
STEP-th is kept.
"""
import json
import sys

import torch
import torchvision
from torchvision.models.detection.transform import GeneralizedRCNNTransform

STEP = 5
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
torch.set_num_threads(1)


def image(w, h):
    y, x, c = torch.meshgrid(torch.arange(h), torch.arange(w), torch.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 29 + x * y * 3) % 256).to(torch.uint8)


def shape(w, h, kind):
    """A mask, column by column in runs, and its box."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    if kind == "disc":
        m = (x - w * 0.4) ** 2 + (y - h * 0.6) ** 2 < (min(w, h) * 0.3) ** 2
    elif kind == "stripes":
        m = ((x + 2 * y) % 5 < 2) & (x > 2) & (y < h - 3)
    else:  # a single pixel
        m = (x == w - 1) & (y == h // 2)
    ys, xs = torch.where(m)
    box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
    counts, last = [0], False
    for v in m.T.flatten().tolist():
        if v != last:
            counts.append(0)
            last = v
        counts[-1] += 1
    return m.to(torch.uint8), [float(v) for v in box], counts


def case(w, h, least, most, normal, flipped):
    mean, std = (MEAN, STD) if normal else ([0.0] * 3, [1.0] * 3)
    t = GeneralizedRCNNTransform(least, most, mean, std)
    t.training = False
    x = image(w, h).permute(2, 0, 1).float() / 255
    masks, boxes, counts = zip(*[shape(w, h, k) for k in ("disc", "stripes", "pixel")])
    masks, boxes = torch.stack(masks), torch.tensor(boxes)
    boxes[0] += torch.tensor([0.25, -0.5, 0.125, 0.75])
    given = boxes.clone()
    if flipped:
        x, masks = x.flip(-1), masks.flip(-1)
        boxes[:, [0, 2]] = w - boxes[:, [2, 0]]
    images, targets = t([x], [{"boxes": boxes, "masks": masks, "labels": torch.tensor([1, 2, 1])}])
    out = targets[0]
    # the last object is a pixel, which may vanish
    return {
        "width": w, "height": h, "min_size": least, "max_size": most, "normal": normal, "flipped": flipped,
        "given": given.tolist(), "counts": counts,
        "size": list(images.image_sizes[0]), "canvas": list(images.tensors.shape[-2:]),
        "pixels": [round(v, 8) for v in images.tensors.flatten()[::STEP].tolist()],
        "boxes": out["boxes"].tolist(),
        "masks": ["".join(map(str, m.flatten().tolist())) for m in out["masks"]],
    }


cases = [case(23, 17, 24, 40, normal, flipped) for normal in (False, True) for flipped in (False, True)]
cases += [case(31, 50, 20, 64, False, True), case(64, 20, 32, 45, True, False), case(40, 41, 13, 100, False, True), case(30, 30, 32, 32, False, False)]
by = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
json.dump({"by": by, "step": STEP, "mean": MEAN, "std": STD, "cases": cases}, sys.stdout, separators=(",", ":"))
print()
