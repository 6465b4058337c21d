"""Training of whole networks in PyTorch, float64 and float32, step by step: the
oracle of the tests of finetune against PyTorch.

    python3 trace.py [PART...]     rewrites these parts of trace.json.gz
    python3 trace.py --table       prints the bounds
    python3 trace.py --again       trains each network once more, in float32, and
                                   prints how far that is from the file, as JSON
    python3 trace.py --sensitivity prints how far wrong settings stray (ResNet-18)

Parts: data (digests of images and labels, summaries of the first weights, to check
a reader), resnet18, mobilenet_v2, shufflenet_v2_x1_0, variants; without one, all.

Weights are onnx/arch's by the rule (fill in nets.py), 10 classes, the same for
every seed, then made calm, in float32:
  convolutions' weights            *= 8
  batch norms' mean and variance   *= 8, 64
  batch norms' scale               *= .5,  shift += .75   (not in ResNet-18)
As they are, MobileNetV2 and ShuffleNetV2 multiply a difference by 10 to 100 in
each step at this learning rate, so that after four steps float32 is 1e-2 off and
no bound would find an error.
Dropout is off. Seed S makes the data: 308 images of 64x64, all in whole numbers,
  label[i]       = I("labels/S", 308, 10)[i]
  pixel[i,c,y,x] = (2*I("classes/S", 10*3*4*4, 256)[label[i],c,y//16,x//16]
                    + I("blocks/S", 308*3*8*8, 256)[i,c,y//8,x//8]
                    + I("images/S", 308*3*64*64, 256)[i,c,y,x]) // 4
where I(name, n, k) = floor(rule(name, n, 0, k)), of float32; the pixel over 255 and then
ImageNet's mean and std. Soft targets are .7 of the label's one-hot vector and .3
of that of I("labels2/S", 308, 10). The order is 0..307, batches of 32, the tenth
of 20; two epochs are 20 steps. "adapt" is BatchNorm in training mode (momentum
.1), "frozen" in evaluation mode; its scale and shift are trained in both. "fixed"
trains fc alone, "last-1" layer4 and fc; what is not trained has no decay either,
but under adapt all running statistics move. "clip" is clip_grad_norm_ over all
trained parameters, norm64 the norms before it.

Distances of float32 from float64: of a loss |a-b|/|b|; of batch norms' buffers
"full" is the largest ||a-b||/||b|| of a buffer, "seen" the same from what the file
holds: the larger of |‖a‖-‖b‖|/‖b‖ and max_{i<4} |a_i-b_i|*sqrt(n)/‖b‖.
A buffer or weight is [‖b‖, b_0, b_1, b_2, b_3] in float64.
"""
import gzip
import hashlib
import json
import math
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oracle import HERE, integers, numbers, rule, text, versions
from nets import IMAGENET, fill, make

SIZE, IMAGES, CLASSES, BATCH, SEEDS, STEPS = 64, 308, 10, 32, 5, 20
NETWORKS = "resnet18", "mobilenet_v2", "shufflenet_v2_x1_0"
FILE = os.path.join(HERE, "trace.json.gz")
BASE = dict(optimizer="sgd", lr=0.01, momentum=0.9, nesterov=False, weight_decay=5e-4, bn="adapt", trained="full", loss="labels")
VARIANTS = {  # what differs from BASE
    "nesterov": dict(nesterov=True),
    "adamw": dict(optimizer="adamw", lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8),
    "smoothing": dict(loss="smoothing .1"),
    "soft": dict(loss="soft .7"),
    "clip": dict(clip=1.0),
    "no_decay": dict(weight_decay=0.05, decay="matrices only: no decay on batch norms and biases"),
    "fixed_adapt": dict(trained="fixed"),
    "fixed_frozen": dict(trained="fixed", bn="frozen"),
    "last1_adapt": dict(trained="last-1"),
    "last1_frozen": dict(trained="last-1", bn="frozen"),
}


class Depthwise(nn.Module):
    """A depthwise convolution in float64 as a sum over its taps: PyTorch's own
    goes channel by channel."""

    def __init__(self, conv):
        super().__init__()
        self.weight, self.stride, self.padding = conv.weight, conv.stride, conv.padding

    def forward(self, x):
        p, s, (kh, kw) = self.padding, self.stride, self.weight.shape[2:]
        x = F.pad(x, (p[1], p[1], p[0], p[0]))
        h, w = (x.shape[2] - kh) // s[0] + 1, (x.shape[3] - kw) // s[1] + 1
        y = 0
        for i in range(kh):
            for j in range(kw):
                y = y + x[:, :, i:i + (h - 1) * s[0] + 1:s[0], j:j + (w - 1) * s[1] + 1:s[1]] * self.weight[:, 0, i, j].view(1, -1, 1, 1)
        return y


def network(name, dtype):
    net = fill(make(name, CLASSES)[0])
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
        elif isinstance(m, nn.Conv2d):
            m.weight.data *= 8
        elif isinstance(m, nn.BatchNorm2d):
            m.running_mean *= 8
            m.running_var *= 64
            if name != "resnet18":
                m.weight.data *= 0.5
                m.bias.data += 0.75
    if dtype is torch.float64:
        for m in list(net.modules()):
            for k, c in list(m.named_children()):
                if isinstance(c, nn.Conv2d) and c.groups == c.in_channels == c.out_channels and c.bias is None:
                    setattr(m, k, Depthwise(c))
    return net.to(dtype)


def pixels_of(seed):
    """uint8-like pixels [n,3,h,w] and labels."""
    labels = integers("labels/%d" % seed, IMAGES, CLASSES)

    def blocks(name, n, edge):
        v = integers("%s/%d" % (name, seed), n * 3 * edge * edge, 256).reshape(n, 3, edge, edge)
        return v.repeat(SIZE // edge, 2).repeat(SIZE // edge, 3)

    pixels = (2 * blocks("classes", CLASSES, 4)[labels] + blocks("blocks", IMAGES, 8) + blocks("images", IMAGES, SIZE)) // 4
    return pixels, labels


def data(seed, dtype):
    pixels, labels = pixels_of(seed)
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in IMAGENET)
    x = torch.from_numpy((pixels / 255.0 - mean) / std).to(dtype)
    return x, torch.from_numpy(labels), torch.from_numpy(integers("labels2/%d" % seed, IMAGES, CLASSES))


def trained(net, which):
    """The parameters of the last layer, of it and the last stage, or all."""
    prefix = {"fixed": ("fc.",), "last-1": ("layer4.", "fc."), "full": ("",)}[which]
    for k, p in net.named_parameters():
        p.requires_grad_(k.startswith(prefix))
    return [(k, p) for k, p in net.named_parameters() if p.requires_grad]


def optimizer(params, o):
    groups = [p for _, p in params]
    if "decay" in o:
        groups = [dict(params=[p for _, p in params if p.dim() > 1]), dict(params=[p for _, p in params if p.dim() < 2], weight_decay=0)]
    if o["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=o["lr"], betas=o["betas"], eps=o["eps"], weight_decay=o["weight_decay"])
    return torch.optim.SGD(groups, lr=o["lr"], momentum=o["momentum"], nesterov=o["nesterov"], weight_decay=o["weight_decay"])


def loss_of(kind, logits, y, y2):
    if kind == "smoothing .1":
        return F.cross_entropy(logits, y, label_smoothing=0.1)
    if kind == "soft .7":
        one = lambda v: F.one_hot(v, CLASSES).to(logits.dtype)
        return F.cross_entropy(logits, 0.7 * one(y) + 0.3 * one(y2))
    return F.cross_entropy(logits, y)


def train(name, seed, dtype, options, steps, snapshots=(), change=None):
    """Losses, norms of the gradient, and copies of all tensors after some steps."""
    o, net = {**BASE, **options}, network(name, dtype)
    if change:
        change(net)
    params = trained(net, o["trained"])
    opt, (x, y, y2) = optimizer(params, o), data(seed, dtype)
    net.train(o["bn"] == "adapt")
    losses, norms, states, starts = [], [], {}, list(range(0, IMAGES, BATCH))
    for step in range(steps):
        i = starts[step % len(starts)]
        rows = slice(i, min(i + BATCH, IMAGES))
        loss = loss_of(o["loss"], net(x[rows]), y[rows], y2[rows])
        opt.zero_grad()
        loss.backward()
        if "clip" in o:
            norms.append(float(nn.utils.clip_grad_norm_([p for _, p in params], o["clip"])))
        opt.step()
        losses.append(loss.item())
        if step + 1 in snapshots:
            states[step + 1] = {k: v.detach().double().numpy().copy() for k, v in net.state_dict().items() if v.is_floating_point()}
    return losses, norms, states


def relative(a, b):
    return [abs(x - y) / abs(y) for x, y in zip(a, b)]


def buffers(state):
    return [k for k in state if k.endswith((".running_mean", ".running_var"))]


def summary(v):
    v = v.ravel()
    return numbers(np.concatenate([[np.linalg.norm(v)], v[:4]]), 11)


def distance(a, b, keys):
    """full and seen, over these tensors of two states."""
    full = seen = 0.0
    for k in keys:
        u, v = a[k].ravel(), b[k].ravel()
        n = np.linalg.norm(v)
        if n == 0:
            continue
        full = max(full, np.linalg.norm(u - v) / n)
        seen = max(seen, abs(np.linalg.norm(u) - n) / n, np.abs(u[:4] - v[:4]).max() * math.sqrt(v.size) / n)
    return {"full": float("%.4g" % full), "seen": float("%.4g" % seen)}


def some_weights(state):
    """The first convolution, the middle and the last matrix and what is last."""
    keys = [k for k in state if k not in buffers(state)]
    matrices = [k for k in keys if state[k].ndim > 1]
    norms = [k[:-len("running_mean")] for k in state if k.endswith("running_mean")]
    return [matrices[0], norms[0] + "weight", norms[0] + "bias", matrices[len(matrices) // 2], norms[-1] + "weight", norms[-1] + "bias", keys[-2], keys[-1]]


def pair(name, seed, options, steps, snapshots, log=True):
    begin = time.time()
    l64, n64, s64 = train(name, seed, torch.float64, options, steps, snapshots)
    middle = time.time()
    l32, n32, s32 = train(name, seed, torch.float32, options, steps, snapshots)
    d = relative(l32, l64)
    run = {"seed": seed, "float64": numbers(l64), "float32": numbers(l32, 9), "distance": numbers(d, 4)}
    if n64:
        run["norm64"], run["norm_distance"] = numbers(n64), float("%.4g" % max(relative(n32, n64)))
    last = snapshots[-1]
    run["bn_distance"] = {str(t): distance(s32[t], s64[t], buffers(s64[t])) for t in snapshots}
    run["bn"] = {k: summary(s64[last][k]) for k in buffers(s64[last])}
    w = some_weights(s64[last])
    run["weights_distance"] = distance(s32[last], s64[last], w)
    run["weights"] = {k: summary(s64[last][k]) for k in w}
    if log:
        print("%s seed %d %s: loss %.4f .. %.4f, distance %.2g, bn %s, %.0f s + %.0f s" % (name, seed, options, l64[0], l64[-1], max(d),
              run["bn_distance"], middle - begin, time.time() - middle), file=sys.stderr, flush=True)
    return run, s64


def part(name):
    """The part, after each of its runs."""
    out = {}
    if name == "data":
        yield describe()
        return
    if name == "variants":
        for k, v in VARIANTS.items():
            out[k] = {"options": {**BASE, **v}, "run": pair("resnet18", 0, v, 6, (6,))[0]}
            yield out
        return
    out = {"options": BASE, "runs": []}
    for seed in range(SEEDS):
        run, states = pair(name, seed, {}, STEPS, (1, 10, 20))
        out["runs"].append(run)
        if seed == 0:
            out["bn_step1"] = {k: summary(states[1][k]) for k in buffers(states[1])}
            norms = [k[:-len(".running_mean")] for k in states[20] if k.endswith(".running_mean")]
            out["layers"] = {n: {k: numbers(states[20][n + "." + k].ravel()[:8], 13) for k in ("running_mean", "running_var")}
                             for n in (norms[0], norms[len(norms) // 2], norms[-1])}
        yield out
    out["frozen"] = {"options": {**BASE, "bn": "frozen"}, "run": pair(name, 0, dict(bn="frozen"), STEPS, (20,))[0]}
    del out["frozen"]["run"]["bn"], out["frozen"]["run"]["bn_distance"]  # they stay
    yield out


def describe():
    """pixels_sha256: of uint8 [n,3,h,w]; labels: the first 20; start: tensors before
    the first step."""
    d = {"size": SIZE, "images": IMAGES, "classes": CLASSES, "batch": BATCH, "mean": IMAGENET[0], "std": IMAGENET[1], "seeds": [], "start": {}}
    for seed in range(SEEDS):
        pixels, labels = pixels_of(seed)
        d["seeds"].append({"seed": seed, "pixels_sha256": hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest(), "labels": labels[:20].tolist()})
    for name in NETWORKS:
        state = {k: v.detach().double().numpy() for k, v in network(name, torch.float32).state_dict().items() if v.is_floating_point()}
        keys = some_weights(state) + buffers(state)[:2] + buffers(state)[-2:]
        d["start"][name] = {k: summary(state[k]) for k in keys}
    return d


def load():
    if not os.path.exists(FILE):
        return {}
    with gzip.open(FILE, "rt") as f:
        return json.load(f)


def store(all_parts):
    order = ["made_by", "versions", "data", *NETWORKS, "variants"]
    with open(FILE + ".part", "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write((text({k: all_parts[k] for k in order if k in all_parts}, 4) + "\n").encode())
    os.replace(FILE + ".part", FILE)
    print("trace.json.gz: %d bytes" % os.path.getsize(FILE), file=sys.stderr)


def table(t):
    print("%-32s %9s %9s %9s  %9s %9s   %s" % ("", "step 1", "largest", "bound", "bn seen", "bound", "loss"))
    bound = lambda v: max(1e-4, 3 * v)
    for name in NETWORKS:
        if name not in t:
            continue
        runs = t[name]["runs"]
        d, b = max(max(r["distance"]) for r in runs), max(r["bn_distance"]["20"]["seen"] for r in runs)
        print("%-32s %9.1e %9.1e %9.1e  %9.1e %9.1e   %.3f .. %.3f" % (name + ", %d seeds" % len(runs), max(r["distance"][0] for r in runs), d, bound(d), b, bound(b),
              runs[0]["float64"][0], runs[0]["float64"][-1]))
        if "frozen" not in t[name]:
            continue
        r = t[name]["frozen"]["run"]
        d = max(r["distance"])
        print("%-32s %9.1e %9.1e %9.1e  %9s %9s   %.3f .. %.3f" % (name + ", frozen", r["distance"][0], d, bound(d), "", "", r["float64"][0], r["float64"][-1]))
    for name, v in t.get("variants", {}).items():
        r = v["run"]
        d, b = max(r["distance"]), r["bn_distance"]["6"]["seen"]
        print("%-32s %9.1e %9.1e %9.1e  %9.1e %9.1e   %.3f .. %.3f" % ("resnet18 " + name, r["distance"][0], d, bound(d), b, bound(b), r["float64"][0], r["float64"][-1]))


def again():
    """Distances of seed 0's losses and buffers from the float64 of the file."""
    t, out = load(), {"torch": torch.__version__, "networks": {}}
    for name in NETWORKS:
        want = t[name]["runs"][0]
        losses, _, states = train(name, 0, torch.float32, {}, STEPS, (STEPS,))
        bn = 0.0
        for k, w in want["bn"].items():
            v = states[STEPS][k].ravel()
            bn = max(bn, abs(np.linalg.norm(v) - w[0]) / w[0], np.abs(v[:4] - np.array(w[1:])).max() * math.sqrt(v.size) / w[0])
        out["networks"][name] = {"losses": numbers(losses), "distance": numbers(relative(losses, want["float64"]), 4), "bn": float("%.4g" % bn)}
    print(json.dumps(out))


def sensitivity():
    """How far the loss strays in 20 steps (float64) where something is wrong."""
    right = train("resnet18", 0, torch.float64, {}, STEPS, (20,))

    def norms(**kw):
        return lambda net: [setattr(m, k, v) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for k, v in kw.items()]

    for what, options, change in (
        ("no weight decay", dict(weight_decay=0.0), None),
        ("decay not on batch norms, biases", dict(decay=""), None),
        ("nesterov", dict(nesterov=True), None),
        ("momentum .89", dict(momentum=0.89), None),
        ("lr 1 % higher", dict(lr=0.0101), None),
        ("bn eps 1e-3", {}, norms(eps=1e-3)),
        ("bn momentum .09", {}, norms(momentum=0.09)),
    ):
        losses, _, states = train("resnet18", 0, torch.float64, options, STEPS, (20,), change)
        print("%-34s loss %.1e, bn %s, weights %s" % (what, max(relative(losses, right[0])), distance(states[20], right[2][20], buffers(states[20])),
              distance(states[20], right[2][20], some_weights(states[20]))), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    args = sys.argv[1:]
    if args == ["--table"]:
        table(load())
    elif args == ["--again"]:
        again()
    elif args == ["--sensitivity"]:
        sensitivity()
    else:
        for name in args or ["data", *NETWORKS, "variants"]:
            for made in part(name):
                t = load()
                t.update({"made_by": "finetune/testdata/trace.py", "versions": versions(), name: made})
                store(t)
        table(load())
