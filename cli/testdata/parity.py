"""Makes a network in PyTorch, exports it to ONNX, has rtx featurize images with
it and compares the features with PyTorch's own on Pillow's pixels.

    python3 parity.py RTX resnet20|resnet50 IMAGES WEIGHTS|- SCRATCH

Prints a JSON object: versions, the number of images, and max|a-b| / max|b|.
"""
import inspect
import json
import platform
import subprocess
import sys

import numpy as np
import PIL
import torch
from PIL import Image
from torch import nn

rtx, name, images, weights, scratch = sys.argv[1:]


class Block(nn.Module):
    """Of a CIFAR ResNet, with option A: a shortcut that has no weights."""

    def __init__(self, inner, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.pad = (width - inner) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return torch.relu(x + y)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def features(self, x):
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return x.mean((2, 3))

    def forward(self, x):
        return self.linear(self.features(x))


mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def read(path, size):
    m = Image.open(images + "/" + path).convert("RGB")
    if size == 224:  # the shorter side to 256, then the middle
        w, h = m.size
        w, h = (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256)
        m = m.resize((w, h), Image.BILINEAR)
        left, top = int(round((w - 224) / 2)), int(round((h - 224) / 2))
        m = m.crop((left, top, left + 224, top + 224))
    x = torch.from_numpy(np.array(m).transpose(2, 0, 1)).float() / 255
    return (x - mean) / std


torch.manual_seed(0)
size, batch = (32, 250) if name == "resnet20" else (224, 16)
if name == "resnet20":
    net, about = ResNet20(), ""
else:
    import torchvision

    net, about = torchvision.models.resnet50(), ", torchvision " + torchvision.__version__
if weights != "-":
    state = torch.load(weights, map_location="cpu")["state_dict"]
    net.load_state_dict({k.replace("module.", "", 1): v for k, v in state.items()})
else:  # batch norms of a network that has seen something
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = None
                m.weight.uniform_(0.5, 1.5), m.bias.uniform_(-0.2, 0.2)
        net.train()
        net(torch.randn(8, 3, size, size))
net.eval()
model = scratch + "/model.onnx"
legacy = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
torch.onnx.export(net, torch.zeros(1, 3, size, size), model, input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, opset_version=13, **legacy)
p = subprocess.run([rtx, "featurize", "-m", model, "-d", images, "-o", scratch + "/set", "--normalize", "imagenet", "--device", "cpu", "--json"], capture_output=True, text=True)
if p.returncode:
    sys.exit("rtx: " + p.stdout)
ours = np.load(scratch + "/set/features.npy")
paths = [s["path"] for s in map(json.loads, open(scratch + "/set/manifest.jsonl")) if "row" in s]
assert len(paths) == len(ours)
net.fc = nn.Identity()
features = net.features if name == "resnet20" else net
with torch.no_grad():
    theirs = np.concatenate([features(torch.stack([read(q, size) for q in paths[i : i + batch]])).numpy() for i in range(0, len(paths), batch)])
assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
print(json.dumps({
    "about": "Python %s (%s), torch %s%s, Pillow %s" % (platform.python_version(), sys.executable, torch.__version__, about, PIL.__version__),
    "images": len(ours), "difference": float(np.abs(ours - theirs).max() / np.abs(theirs).max()),
}))
