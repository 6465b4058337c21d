"""A trained ResNet-20 fine-tuned by PyTorch, the peer of `rtx finetune`: writes
realwork.json and prints a table.

    python3 realwork.py --data SHARED_DATA --lists DIR [--only PATTERN] [--table]

DIR gets the images and for each data set a list, DIR/NAME.csv with the columns
path, label, split (paths relative to DIR), which `rtx finetune --data` reads. Runs
that realwork.json already has are left alone.

  sign-digits  all 2,059 images; of a class's files in the order of their names the
               i-th goes to val if i%10 is 0, to test if it is 1 or 2, else to train
  cifar        of each class of cifar10-jpeg the first 200 files of train are train,
               the next 20 val, the first 100 of test are test

Pixels: Pillow's bilinear resize of the whole image to 32x32 (CIFAR's are that
already), over 255, ImageNet's mean and std, no augmentation. Weights: resnet20-
12fca82f.th, its head replaced by PyTorch's Linear initialisation. Recipe: 5 epochs,
batch 32 in an order drawn anew for each epoch, the last one short; SGD-Nesterov .9,
lr .005 (.01 x 32/64), weight decay 5e-4 on all that is trained; the rate for each
step by optim.py's "cosine", warm-up one epoch; cross-entropy. full trains
everything, fixed the head alone; adapt has batch norms in training mode (under
fixed too), frozen in evaluation mode. A seed draws head and order.
last: top-1 on test after the last epoch; best: after the epoch that is best on val.
"""
import argparse
import csv
import json
import math
import os
import statistics
import sys
import tarfile

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from oracle import HERE, save, versions
from nets import IMAGENET, make

EPOCHS, BATCH, LR, SEEDS = 5, 32, 0.005, 3
DATA = "sign-digits", "cifar"
MODES = [(mode, bn) for mode in ("fixed", "full") for bn in ("frozen", "adapt")]
FILE = os.path.join(HERE, "realwork.json")


def choose(data, members):
    """(path, label, split) of the rows, in a fixed order."""
    files = {}
    for m in members:
        parts = m.split("/")
        files.setdefault("/".join(parts[:-1]), []).append(m)
    for folder in sorted(files):
        label, names = folder.split("/")[-1], sorted(files[folder])
        if data == "sign-digits":
            for i, m in enumerate(names):
                yield m, label, "val" if i % 10 == 0 else "test" if i % 10 < 3 else "train"
        elif "/train/" in folder:
            for i, m in enumerate(names[:220]):
                yield m, label, "train" if i < 200 else "val"
        else:
            for m in names[:100]:
                yield m, label, "test"


def prepare(data, shared, lists):
    """The list file and its images, where they are not there."""
    path = os.path.join(lists, data + ".csv")
    if not os.path.exists(path):
        os.makedirs(lists, exist_ok=True)
        with tarfile.open(os.path.join(shared, "images", {"cifar": "cifar10-jpeg"}.get(data, data) + ".tar")) as tar:
            rows = list(choose(data, [m.name for m in tar if m.isfile() and m.name.lower().endswith((".jpg", ".jpeg"))]))
            for m, _, _ in rows:
                os.makedirs(os.path.join(lists, os.path.dirname(m)), exist_ok=True)
                with open(os.path.join(lists, m), "wb") as f:
                    f.write(tar.extractfile(m).read())
        with open(path + ".part", "w", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(("path", "label", "split"))
            w.writerows(rows)
        os.replace(path + ".part", path)
    return path


def read(path):
    """Splits of images and labels; classes are the sorted labels."""
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    classes = sorted({r["label"] for r in rows})
    mean, std = (np.array(v, np.float32) for v in IMAGENET)
    out = {}
    for split in ("train", "val", "test"):
        part = [r for r in rows if r["split"] == split]
        x = np.stack([np.asarray(Image.open(os.path.join(os.path.dirname(path), r["path"])).convert("RGB").resize((32, 32), Image.BILINEAR)) for r in part])
        x = ((x.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2)
        out[split] = torch.from_numpy(np.ascontiguousarray(x)), torch.tensor([classes.index(r["label"]) for r in part])
    return out, classes


def backbone(shared):
    net = make("cifar_resnet20", 10)[0]
    state = torch.load(os.path.join(shared, "nets", "resnet20-12fca82f.th"), map_location="cpu")["state_dict"]
    net.load_state_dict({k[len("module."):]: v for k, v in state.items()})
    return net


def top1(net, x, y):
    net.eval()
    with torch.no_grad():
        return sum(int((net(x[i:i + 250]).argmax(1) == y[i:i + 250]).sum()) for i in range(0, len(x), 250)) / len(x)


def run(net, data, classes, mode, bn, seed):
    torch.manual_seed(seed)
    net.linear = torch.nn.Linear(64, len(classes))
    if mode == "fixed":
        for k, p in net.named_parameters():
            p.requires_grad_(k.startswith("linear."))
    if (mode, bn) == ("fixed", "frozen"):  # the features stay the same
        head, net.linear = net.linear, torch.nn.Identity()
        net.eval()
        with torch.no_grad():
            data = {k: (torch.cat([net(x[i:i + 250]) for i in range(0, len(x), 250)]), y) for k, (x, y) in data.items()}
        net = head
    params = [p for p in net.parameters() if p.requires_grad]
    opt = torch.optim.SGD(params, lr=LR, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x, y = data["train"]
    warm = math.ceil(len(x) / BATCH)
    steps, t, evals = warm * EPOCHS, 0, []
    for epoch in range(EPOCHS):
        order, total = torch.randperm(len(x)), 0.0
        net.train(bn == "adapt")
        for i in range(0, len(x), BATCH):
            rows = order[i:i + BATCH]
            for g in opt.param_groups:
                g["lr"] = LR * (t + 1) / warm if t < warm else LR / 2 * (1 + math.cos(math.pi * (t - warm) / (steps - warm)))
            loss = F.cross_entropy(net(x[rows]), y[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total, t = total + loss.item() * len(rows), t + 1
        evals.append({"loss": round(total / len(x), 5), "val": round(top1(net, *data["val"]), 5), "test": round(top1(net, *data["test"]), 5)})
    best = max(range(EPOCHS), key=lambda e: (evals[e]["val"], -e))
    return {"seed": seed, "last": evals[-1]["test"], "best": evals[best]["test"], "best_epoch": best + 1, "losses": [e["loss"] for e in evals],
            "val": [e["val"] for e in evals]}


def table(t):
    print("%-14s %-6s %-7s %s   %-14s %-14s %s" % ("data", "mode", "bn", "n", "last, %", "best by val, %", "last loss"))
    for key, runs in t["runs"].items():
        f = lambda k: "%.2f ± %.2f" % (100 * statistics.mean(r[k] for r in runs), 100 * statistics.stdev(r[k] for r in runs) if len(runs) > 1 else 0)
        print("%-14s %-6s %-7s %d   %-14s %-14s %.3f" % (*key.split("/"), len(runs), f("last"), f("best"), statistics.mean(r["losses"][-1] for r in runs)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--lists", required=True)
    p.add_argument("--only", default="", help="runs whose name DATA/MODE/BN has this")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--table", action="store_true", help="train nothing")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    t = {"runs": {}}
    if os.path.exists(FILE):
        with open(FILE) as f:
            t = json.load(f)
    t = {"made_by": "finetune/testdata/realwork.py", "versions": versions(), "epochs": EPOCHS, "batch": BATCH, "lr": LR, "data": t.get("data", {}), "runs": t["runs"]}
    keys = ["/".join((d, *m)) for d in DATA for m in MODES]
    loaded = {d: read(prepare(d, a.data, a.lists)) for d in DATA} if not a.table else {}
    for d, (data, classes) in loaded.items():
        t["data"].setdefault(d, {"classes": classes, "rows": {k: len(v[1]) for k, v in data.items()}})
    if "cifar" in loaded:
        t["data"]["cifar"]["top1_as_is"] = top1(backbone(a.data), *loaded["cifar"][0]["test"])
    for seed in range(SEEDS if not a.table else 0):
        for key in keys:
            d, mode, bn = key.split("/")
            runs = t["runs"].setdefault(key, [])
            if a.only in key and not any(r["seed"] == seed for r in runs):
                runs.append(run(backbone(a.data), *loaded[d], mode, bn, seed))
                print(key, runs[-1], file=sys.stderr, flush=True)
                save("realwork.json", {**t, "runs": {k: t["runs"][k] for k in keys if t["runs"].get(k)}}, 3)
    table(t)


if __name__ == "__main__":
    main()
