"""Pillow's pixels, as SHA-256, for pixels_test.go: the oracle of this package.

    python3 golden.py SHARED_DATA > golden.tsv

Single files have a line each; the members of a tar share one digest over the
concatenated digests, in the order of their names. A file that Pillow refuses
has the word "error". Columns: set, file, geometry, digest.
"""
import hashlib, io, os, sys, tarfile
import PIL
from PIL import Image, features

GEOMETRIES = {  # name: (pre-resize, shorter side, crop, width, height, filter)
    "decoded": None,
    "256c224": (0, 256, True, 224, 224, Image.BILINEAR),
    "bicubic": (0, 236, True, 224, 224, Image.BICUBIC),
    "exact32": (0, 0, False, 32, 32, Image.BILINEAR),
    "odd": (0, 0, False, 97, 41, Image.BICUBIC),
    "padded": (0, 40, True, 67, 90, Image.BILINEAR),
    "coarse": (32, 73, True, 64, 60, Image.BILINEAR),
}


def apply(im, g):
    if g is None:
        return im
    pre, short, crop, w, h, f = g
    if pre:
        im = im.resize((pre, pre), f)
    if not crop:
        return im.resize((w, h), f)
    iw, ih = im.size
    im = im.resize((short, max(1, int(short * ih / iw))) if iw <= ih else (max(1, int(short * iw / ih)), short), f)
    iw, ih = im.size
    if w > iw or h > ih:  # torchvision pads with zeros
        left, top = max(0, (w - iw) // 2), max(0, (h - ih) // 2)
        wide = Image.new("RGB", (max(w, iw), max(h, ih)))
        wide.paste(im, (left, top))
        im = wide
        iw, ih = im.size
    x, y = int(round((iw - w) / 2.0)), int(round((ih - h) / 2.0))
    return im.crop((x, y, x + w, y + h))


def digest(data, g):
    try:
        im = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:
        return "error"
    im = apply(im, g)
    return hashlib.sha256(b"%d %d\n" % im.size + im.tobytes()).hexdigest()


def main(root):
    print("# Pillow %s, libjpeg-turbo %s, Python %s" % (PIL.__version__, features.version("libjpeg_turbo"), sys.version.split()[0]))
    here = os.path.dirname(os.path.abspath(__file__))
    for name, folder in (("own", os.path.join(here, "images")), ("variants", os.path.join(here, "variants")), ("pillow", os.path.join(root, "pillow"))):
        for f in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if f != "LICENSE":
                data = open(os.path.join(folder, f), "rb").read()
                for g in GEOMETRIES if name != "variants" else ("decoded",):
                    print(name, f, g, digest(data, GEOMETRIES[g]), sep="\t")
    for tar, geometries in (("sign-digits", ("256c224",)), ("cifar10-jpeg", ("decoded", "exact32")), ("bccd", ("256c224", "bicubic")), ("nuclei", ("256c224",))):
        totals = {g: hashlib.sha256() for g in geometries}
        with tarfile.open(os.path.join(root, "images", tar + ".tar")) as t:
            for m in sorted(t.getmembers(), key=lambda m: m.name.encode()):
                if m.isfile() and os.path.splitext(m.name)[1].lower() in (".jpg", ".jpeg", ".png"):
                    data = t.extractfile(m).read()
                    for g in geometries:
                        totals[g].update(digest(data, GEOMETRIES[g]).encode() + b"\n")
        for g in geometries:
            print("tar", tar, g, totals[g].hexdigest(), sep="\t")


main(sys.argv[1])
