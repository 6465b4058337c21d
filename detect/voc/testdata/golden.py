"""Writes golden.json: average precision of made-up detections, by the rules of Pascal
VOC as Detectron2 applies them, written out one step after the other.

    golden.py > golden.json
"""
import json
import math
import random


def overlap(a, b):
    """Of boxes xmin, ymin, xmax, ymax, in pixels from 1 on, the last within."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1.0
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1.0
    if width < 0 or height < 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0] + 1.0) * (a[3] - a[1] + 1.0) + (b[2] - b[0] + 1.0) * (b[3] - b[1] + 1.0) - both)


def curve(images, label, threshold, rounded):
    """Recall and precision after each detection, and the number of objects."""
    objects = sum(1 for image in images for o in image["objects"] if o["class"] == label and not o["difficult"])
    lines = []
    for number, image in enumerate(images):
        for d in image["detections"]:
            if d["class"] == label:
                x0, y0, x1, y1 = d["box"]
                values = [d["score"], x0 + 1, y0 + 1, x1, y1]
                if rounded:
                    values = [float("%.3f" % values[0])] + [float("%.1f" % v) for v in values[1:]]
                lines.append((number, values[0], values[1:]))
    lines.sort(key=lambda line: -line[1])
    seen, right, wrong, points = set(), 0, 0, []
    for number, _, box in lines:
        best, which = -math.inf, None
        for k, o in enumerate(images[number]["objects"]):
            if o["class"] == label:
                x0, y0, x1, y1 = o["box"]
                v = overlap(box, (x0 + 1, y0 + 1, x1, y1))
                if v > best:
                    best, which = v, k
        if best > threshold:
            if not images[number]["objects"][which]["difficult"]:
                if (number, which) in seen:
                    wrong += 1
                else:
                    seen.add((number, which))
                    right += 1
        else:
            wrong += 1
        if objects:
            points.append((right / objects, right / max(right + wrong, 2.0**-52)))
    return points, objects


def average(points, area):
    if area:
        total, before = 0.0, 0.0
        for k, (recall, _) in enumerate(points):
            if recall != before:
                total += (recall - before) * max(p for _, p in points[k:])
                before = recall
        return total
    # numpy.arange(0, 1.1, 0.1) is these numbers.
    return sum(max([p for r, p in points if r >= i * 0.1] or [0.0]) / 11 for i in range(11))


def made(seed):
    """Images with objects, and detections near them and elsewhere."""
    r = random.Random(seed)
    whole = seed % 2 == 0  # scores and coordinates that are often equal

    def box():
        x, y, w, h = r.randint(0, 60), r.randint(0, 40), r.randint(5, 40), r.randint(5, 40)
        return [x, y, x + w, y + h]

    images = []
    for _ in range(r.randint(3, 8)):
        objects = [{"class": r.choice([0, 1, 1, 2]), "box": box(), "difficult": r.random() < .2} for _ in range(r.randint(0, 6))]
        detections = []
        for o in objects * 2:
            if r.random() < .7:
                shift = 4 if whole else r.choice([.6, 4])
                b = [v + (r.randint(-shift, shift) if whole else round(r.gauss(0, shift), 4)) for v in o["box"]]
                detections.append({"class": o["class"] if r.random() < .9 else 3, "box": b})
        for _ in range(r.randint(0, 5)):
            detections.append({"class": r.randint(0, 3), "box": box()})
        r.shuffle(detections)
        for d in detections:
            d["score"] = r.randint(1, 8) / 8 if whole else round(r.random(), 5 if seed % 3 else 4)
        images.append({"objects": objects, "detections": detections})
    return images


def case(seed):
    images = made(seed)
    results = []
    for area in False, True:
        for rounded in False, True:
            ap, counts = [], []
            for label in range(4):
                row = []
                for t in range(50, 100, 5):
                    points, objects = curve(images, label, t / 100.0, rounded)
                    row.append(average(points, area) if objects else None)
                counts.append(objects)
                ap.append(row)
            results.append({"area": area, "rounded": rounded, "objects": counts, "ap": ap})
    return {"images": images, "results": results}


print("[\n" + ",\n".join(json.dumps(case(seed), separators=(",", ":")) for seed in range(16)) + "\n]")
