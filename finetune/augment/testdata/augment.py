"""What torchvision's random transforms do with recorded random numbers, for
golden_test.go, and how the boxes of RandomResizedCrop are distributed.

    python3 augment.py > augment.json
"""
import hashlib, json, sys
import numpy as np
import PIL, torch, torchvision
from PIL import Image
from torchvision import transforms as T

tape = []  # the numbers drawn since the last reset: uniform in [0,1), integers, permutations


def record():
    uniform, randint, rand, randperm = torch.Tensor.uniform_, torch.randint, torch.rand, torch.randperm

    def uniform_(self, a=0.0, b=1.0):
        state = torch.get_rng_state()
        tape.append({"u": float(uniform(torch.empty(1), 0, 1))})
        torch.set_rng_state(state)
        return uniform(self, a, b)

    def note(f, key):
        def g(*a, **k):
            x = f(*a, **k)
            tape.append({key: x.tolist() if key == "perm" else x.item()})
            return x
        return g
    torch.Tensor.uniform_, torch.randint, torch.rand, torch.randperm = uniform_, note(randint, "i"), note(rand, "u"), note(randperm, "perm")


def drawn(w, h):
    """The image of featurize/pixels/testdata/augment.py."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    return Image.fromarray(((x * (3 + c) + y * (5 - c) + (x * y >> 3) * (c + 1) + (x ^ y) * 2) & 255).astype(np.uint8))


def digest(im):
    return hashlib.sha256(b"%d %d\n" % im.size + im.tobytes()).hexdigest()


def boxes():
    out, rng = [], np.random.default_rng(0)
    for k in range(80):
        w, h = [int(v) for v in rng.integers(1, 700, 2)]
        scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
        if k % 5 == 1:  # rarely fits: the fallbacks
            w, h = [(w, max(1, w // 9)), (max(1, h // 9), h)][k % 2]
            scale = (0.9, 1.0)
        if k % 5 == 2:
            scale, ratio = (0.2, 0.6), (0.5, 3.0)
        if k % 5 == 3:
            w = h = 32
        tape.clear()
        i, j, bh, bw = T.RandomResizedCrop.get_params(drawn(w, h), scale, ratio)
        out.append({"size": [w, h], "scale": scale, "ratio": ratio, "tape": list(tape), "box": [j, i, bw, bh]})
    return out


def spread():
    out, n = [], 20000
    for w, h, scale, ratio in [(500, 375, (0.08, 1.0), (3 / 4, 4 / 3)), (32, 32, (0.08, 1.0), (3 / 4, 4 / 3)), (200, 100, (0.3, 1.0), (3 / 4, 4 / 3))]:
        im = Image.new("RGB", (w, h))
        x = np.array([T.RandomResizedCrop.get_params(im, scale, ratio) for _ in range(n)], dtype=np.float64)[:, [1, 0, 3, 2]]
        d = x - x.mean(0)
        out.append({"size": [w, h], "scale": scale, "ratio": ratio, "n": n, "mean": x.mean(0).tolist(), "var": x.var(0).tolist(), "fourth": (d ** 4).mean(0).tolist()})
    return out


def crops():
    out = []
    for k, (w, h, size, padding, mode, needed) in enumerate([
        (32, 32, 32, 4, "constant", False), (32, 32, 32, 4, "reflect", False), (40, 56, 32, 0, "constant", False), (32, 32, 32, 0, "reflect", False),
        (3, 5, 20, 12, "reflect", False), (3, 5, 20, 12, "constant", False), (9, 30, 24, 2, "reflect", True), (9, 30, 24, 2, "constant", True),
        (2, 3, 33, 1, "reflect", True), (56, 41, 48, 8, "reflect", False)] * 2):
        t = T.RandomCrop(size, padding or None, needed, 0, mode)
        tape.clear()
        out.append({"size": [w, h], "out": size, "padding": padding, "reflect": mode == "reflect", "tape": list(tape), "digest": digest(t(drawn(w, h))), "tape": list(tape)})
    return out


def chains():
    out = []
    for k in range(24):
        w, h, size = [(97, 64, 32), (40, 60, 48), (200, 150, 64)][k % 3]
        b, c, s, hue = [(0.1, 0.1, 0.1, 0), (0.4, 0, 1.3, 0.5), (0, 0.25, 0, 0.1), (0, 0, 0, 0)][k % 4]
        steps = [T.RandomResizedCrop(size), T.RandomHorizontalFlip(0.5)] + ([T.ColorJitter(b, c, s, hue)] if k % 4 < 3 else [])
        while True:
            state = torch.get_rng_state()
            _, _, bh, bw = T.RandomResizedCrop.get_params(drawn(w, h), (0.08, 1.0), (3 / 4, 4 / 3))
            if not 0 < bh - size > 2 * (bw - size):  # else Pillow 13 takes another order than older ones
                break
        torch.set_rng_state(state)
        tape.clear()
        got = digest(T.Compose(steps)(drawn(w, h)))
        out.append({"size": [w, h], "out": size, "jitter": [b, c, s, hue], "tape": list(tape), "digest": got})
    return out


def mixup():
    """timm.data.Mixup in its batch mode, cutmix off: x.flip(0).mul_(1 - lam), x.mul_(lam).add_(flipped)."""
    out = []
    for n in (1, 2, 5):
        for lam in (0.3, 0.9999, 0.0217):
            x = torch.from_numpy((np.arange(n * 6) * 37 % 256).astype(np.float32)).div(255)
            flipped = x.reshape(n, 6).flip(0).mul(1.0 - lam)
            out.append({"n": n, "lambda": lam, "mixed": x.reshape(n, 6).mul(lam).add(flipped).flatten().tolist()})
    return out


torch.manual_seed(6)
table = {"by": "torchvision %s, torch %s, Pillow %s, Python %s" % (torchvision.__version__, torch.__version__, PIL.__version__, sys.version.split()[0])}
table["spread"] = spread()
record()
table.update(boxes=boxes(), crops=crops(), chains=chains(), mixup=mixup())
table["to_tensor"] = T.ToTensor()(Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3).reshape(16, 16, 3)))[1].flatten().tolist()
text = json.dumps(table)
for name in ("spread", "boxes", "crops", "chains", "mixup", "to_tensor"):
    text = text.replace('"%s": ' % name, '\n"%s": ' % name)
print(text.replace('{"size', '\n{"size'))
