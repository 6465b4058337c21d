"""Images of slopes, steps and texture in the letterbox of Ultralytics, and resized by OpenCV: digests.

Columns: width, height, height and width of the input, stride (0: the whole input), digest of "W H\\n" and RGB.
"""
import hashlib

import cv2
import numpy as np
from ultralytics.data.augment import LetterBox


def drawn(w, h):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([(x * (3 + c) + y * (5 - c) + (x * y >> 3) * (c + 1) + (x ^ y) * 2) & 255 for c in range(3)], -1).astype(np.uint8)


def main():
    print("# ultralytics", __import__("ultralytics").__version__, "opencv", cv2.__version__)
    rng = np.random.default_rng(0)
    cases = [(640, 480, 640, 640), (480, 640, 640, 640), (97, 64, 320, 320), (1000, 20, 320, 320), (1, 300, 64, 64), (64, 64, 64, 64),
             (333, 500, 192, 320), (3, 3, 320, 320), (500, 375, 640, 640), (427, 640, 640, 640), (1, 1, 32, 32)]
    cases += [tuple(int(v) for v in (*rng.integers(1, 400, 2), *rng.integers(1, 6, 2) * 64)) for _ in range(25)]
    for w, h, height, width in cases:
        for stride in (0, 32):
            box = LetterBox((height, width), auto=stride > 0, stride=stride or 32)(image=drawn(w, h))
            digest = hashlib.sha256(b"%d %d\n" % (box.shape[1], box.shape[0]) + box.tobytes()).hexdigest()
            print(w, h, height, width, stride, digest, sep="\t")


main()
