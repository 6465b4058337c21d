"""The references' corruptions of two computed images, for corrupt_test.go: the oracle of
this package.

    corrupt.py imagenet > imagenet.json          the functions of imagecorruptions
    corrupt.py cifar > cifar.json                those of make_cifar_c.py of hendrycks/robustness

$MAKE_CIFAR_C names make_cifar_c.py, which is in ImageNet-C/create_c of that repository.

Random numbers come from a stream that the test repeats: 64-bit numbers of splitmix64;
12 of them, added, stand for a normal one, and the place where one falls between 0 and
twice the mean for a count. Motion blur of make_cifar_c.py is ImageMagick's; the function
of imagecorruptions stands in for it. Frost is left out.
"""
import base64, io, json, os, sys, types, zlib

import cv2
import numpy as np
import scipy.ndimage
from PIL import Image

M = (1 << 64) - 1


class Stream:
    def __init__(self):
        self.state = 0

    def one(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & M
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def fill(self, size, f):
        if size is None:
            return f()
        return np.array([f() for _ in range(int(np.prod(size)))]).reshape(size)

    def uniform(self, low=0.0, high=1.0, size=None):
        return low + (high - low) * self.fill(size, self.one)

    def random(self, size=None):
        return self.fill(size, self.one)

    def twelve(self):
        s = 0.0
        for _ in range(12):
            s += self.one()
        return s - 6

    def normal(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * self.fill(size, self.twelve)

    def poisson(self, lam):
        return np.array([np.floor(2 * m * self.one()) for m in lam.ravel()]).reshape(lam.shape)

    def randint(self, low, high=None, size=None):
        return self.fill(size, lambda: low + int(self.one() * (high - low)))


def image(w, h):
    """A smooth gradient, a bright disk, a dark bar and a fine pattern."""
    a = np.zeros((h, w, 3), np.uint8)
    for y in range(h):
        for x in range(w):
            p = [(x * 255) // w, (y * 255) // h, ((x + 2 * y) * 5) % 256]
            if (x - w // 3) ** 2 + (y - h // 2) ** 2 < (min(w, h) // 4) ** 2:
                p = [250, 240, 60 + (x * y) % 90]
            if w // 2 <= x < w // 2 + 3:
                p = [10, 0, 30]
            if y > 3 * h // 4 and (x + y) % 2:
                p = [255 - v for v in p]
            a[y, x] = p
    return a


def modules():
    """Stands in for what has moved since."""
    np.float_ = np.float64
    old = types.ModuleType("scipy.ndimage.interpolation")
    old.map_coordinates = scipy.ndimage.map_coordinates
    sys.modules[old.__name__] = old
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda a, b: b
    sys.modules["pkg_resources"] = resources
    import skimage.filters
    blur = skimage.filters.gaussian

    def gaussian(*args, multichannel=None, **kw):
        return blur(*args, channel_axis=-1 if multichannel else None, **kw)

    skimage.filters.gaussian = gaussian
    import imagecorruptions.corruptions
    return imagecorruptions.corruptions


def cifar(script, ours):
    """The functions of make_cifar_c.py."""
    names = ("torch", "torch.utils", "torch.utils.data", "torchvision", "torchvision.datasets", "torchvision.transforms", "wand", "wand.image", "wand.api", "wand.color")
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["wand.image"].Image = object
    sys.modules["wand.api"].library = types.SimpleNamespace(MagickMotionBlurImage=types.SimpleNamespace())
    for whole, part in (("torch", "utils"), ("torch.utils", "data"), ("torchvision", "datasets"), ("torchvision", "transforms"), ("wand", "color")):
        setattr(sys.modules[whole], part, sys.modules[whole + "." + part])
    np.fromstring = lambda data, dtype: np.frombuffer(data, dtype)
    found = {"__name__": "make_cifar_c"}
    exec(compile(open(script).read().split("import collections")[0], script, "exec"), found)
    for name in names:
        del sys.modules[name]

    class Motion:
        def __init__(self, blob):
            self.x = np.asarray(Image.open(io.BytesIO(blob))).astype(float)

        def motion_blur(self, radius, sigma, angle):
            self.x = ours._motion_blur(self.x, radius=radius, sigma=sigma, angle=angle)

        def make_blob(self):
            out = io.BytesIO()
            Image.fromarray(np.rint(self.x).astype(np.uint8)).save(out, "PNG")
            return out.getvalue()

    found["MotionImage"] = Motion
    return types.SimpleNamespace(**found)


NAMES = """gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow fog
brightness contrast elastic_transform pixelate jpeg_compression""".split()


def main():
    functions = modules()
    sizes = [(45, 37), (224, 160)]
    if sys.argv[1] == "cifar":
        functions, sizes = cifar(os.environ["MAKE_CIFAR_C"], functions), [(32, 32)]
    out = []
    for w, h in sizes:
        for name in NAMES:
            for severity in range(1, 6) if w < 100 else (3,):
                stream = Stream()
                for f in "uniform", "normal", "poisson", "randint":
                    setattr(np.random, f, getattr(stream, f))
                np.random.default_rng = lambda seed=None: stream
                pixels = np.uint8(getattr(functions, name)(Image.fromarray(image(w, h)), severity))
                assert pixels.shape == (h, w, 3), (name, pixels.shape)
                step = 1 if w < 100 else 101  # of large images, some bytes
                data = zlib.compress(pixels.ravel()[::step].tobytes(), 9)
                out.append({"width": w, "height": h, "kind": name, "severity": severity, "step": step,
                            "pixels": base64.b64encode(data).decode(), "drawn": stream.one()})
    json.dump(out, sys.stdout, indent=0)
    print()


main()
