"""Compares rtx import and export with PyTorch.

    python3 parity_import.py RTX SCRATCH weights NETWORK
    python3 parity_import.py RTX SCRATCH classes CHECKPOINT NETWORK IMAGES
    python3 parity_import.py RTX SCRATCH loads CHECKPOINT

weights: a state_dict of torch.save goes to ONNX and back, for load_state_dict
with strict=True; the feature maps c2 to c5 of ResNets are compared with the
outputs of layer1 to layer4.
classes: a checkpoint's predictions on a folder of class folders.
loads: name, type, size and digest of the tensors of a state_dict.

Prints a JSON object.
"""
import collections
import glob
import hashlib
import json
import os
import platform
import struct
import subprocess
import sys

import numpy as np
import torch
import torchvision
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "onnx", "arch", "testdata"))
from nets import fill, make  # noqa: E402

rtx, scratch, what = sys.argv[1:4]
about = "Python %s (%s), torch %s, torchvision %s" % (platform.python_version(), sys.executable, torch.__version__, torchvision.__version__)


def run(*args):
    p = subprocess.run([rtx, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit("rtx %s: %s %s" % (" ".join(args), p.stdout, p.stderr))
    return p.stdout


def safetensors(path):
    """Reads a file as its specification says."""
    kinds = {"F32": np.float32, "I64": np.int64}
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        start, tensors = f.tell(), {}
        header.pop("__metadata__", None)
        for name, t in header.items():
            f.seek(start + t["data_offsets"][0])
            values = np.fromfile(f, kinds[t["dtype"]], int(np.prod(t["shape"])))
            tensors[name] = torch.from_numpy(values).reshape(t["shape"])
    return tensors


def normalised(pixels, mean, std):
    x = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).float() / 255
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def weights(name):
    net, size, mean, std = make(name, 1000)
    fill(net)
    for i, (key, b) in enumerate(net.named_buffers()):
        if key.endswith("num_batches_tracked"):
            b.fill_(1000 + i)
    saved, model, back = scratch + "/w.pth", scratch + "/m.onnx", scratch + "/w.safetensors"
    torch.save(net.state_dict(), saved)
    run("import", saved, "-o", model, "-q")
    run("export", model, "-o", back, "-q")
    other, _, _, _ = make(name, 1000)
    got = safetensors(back)
    os.remove(back)
    loaded = collections.OrderedDict(got)
    if name.startswith("mnasnet"):  # torchvision's wants its version, which files of safetensors do not hold
        loaded._metadata = other.state_dict()._metadata
    other.load_state_dict(loaded, strict=True)
    for key, t in net.state_dict().items():
        u = other.state_dict()[key]
        assert got[key].dtype == t.dtype and got[key].shape == t.shape and torch.equal(t, u), key
    result = {"about": about, "tensors": len(got), "maps": {}}
    if hasattr(net, "layer4"):
        result["maps"] = maps(net, model, mean, std, size)
    return result


def maps(net, model, mean, std, size):
    """The greatest difference of each feature map over its greatest value."""
    images, out, found = scratch + "/images", scratch + "/c.onnx", {}
    os.mkdir(images)
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    for i, p in enumerate(pixels):
        Image.fromarray(p).save("%s/%d.png" % (images, i))
    hooks = {"c%d" % (2 + i): getattr(net, "layer%d" % (1 + i)) for i in range(4)}
    for key, module in hooks.items():
        module.register_forward_hook(lambda m, i, o, key=key: found.__setitem__(key, o.numpy()))
    with torch.no_grad():
        net(normalised(pixels, mean, std))
    run("export", model, "-o", out, "--outputs", "c2,c3,c4,c5", "-q")
    difference = {}
    for key, want in found.items():
        run("featurize", "-m", out, "-d", images, "-o", scratch + "/" + key, "--layer", key, "--pool", "none", "--crop", "none", "--device", "cpu", "-q")
        got = np.load(scratch + "/%s/features.npy" % key)
        assert got.shape == want.shape, (key, got.shape, want.shape)
        difference[key] = float(np.abs(got - want).max() / np.abs(want).max())
    return difference


def classes(checkpoint, name, images):
    net, size, mean, std = make(name, 10)
    state = torch.load(checkpoint, map_location="cpu")
    net.load_state_dict({k.replace("module.", "", 1): v for k, v in state["state_dict"].items()})
    net.eval()
    names = sorted(os.listdir(images))
    ours = {p["path"]: p for p in map(json.loads, run("predict", "-m", checkpoint, "-d", images, "--top-k", "10", "--device", "cpu", "-q").splitlines())}
    paths = sorted(os.path.relpath(p, images) for p in glob.glob(images + "/*/*"))
    theirs = []
    with torch.no_grad():
        for i in range(0, len(paths), 250):
            pixels = np.stack([np.array(Image.open(os.path.join(images, p)).convert("RGB")) for p in paths[i : i + 250]])
            theirs.append(net(normalised(pixels, mean, std)).softmax(1).numpy())
    theirs = np.concatenate(theirs)
    same = right = 0
    difference = 0.0
    for p, t in zip(paths, theirs):
        o = ours[p]
        same += int(o["label"]) == t.argmax()
        right += names[int(o["label"])] == p.split("/")[0]
        difference = max(difference, max(abs(x["probability"] - t[int(x["label"])]) for x in o["top"]))
    measured = json.loads(run("eval", "-m", checkpoint, "-d", images, "--device", "cpu", "--json"))
    assert len(ours) == len(paths) == measured["n"]
    return {
        "about": about, "images": len(paths), "agree": same / len(paths), "probability": float(difference), "eval": measured["top1"], "predict": right / len(paths),
        "torch": float(np.mean([names[t.argmax()] == p.split("/")[0] for p, t in zip(paths, theirs)])),
        "stored": {k: round(float(v), 4) for k, v in state.items() if k != "state_dict" and isinstance(v, (int, float))},
    }


def loads(checkpoint):
    rows = []
    for name, t in torch.load(checkpoint, map_location="cpu").items():
        digest = hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest()[:32]
        rows.append([name, str(t.dtype).split(".")[1], "x".join(map(str, t.shape)), digest])
    return rows


print(json.dumps({"weights": weights, "classes": classes, "loads": loads}[what](*sys.argv[4:])))
