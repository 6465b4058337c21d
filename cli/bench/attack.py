"""A peer of attacks: PGD within an L2 ball in PyTorch, against a network in inference mode
and in channels_last, with the gradient by the images alone. Prints a line of JSON: seconds
of an attack on all images (the first one left out) and the versions.

    python3 attack.py ARCH IMAGES BATCH SIZE STEPS ATTACKS THREADS

ARCH is cifar_resnet20 or a network of torchvision.
"""
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

arch = sys.argv[1]
images, batch, size, steps, attacks, threads = map(int, sys.argv[2:])
torch.set_num_threads(threads)
torch.manual_seed(0)


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut, which takes every second pixel and adds
    channels of zeros where the block is strided (option A of He et al. 2016)."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.a, self.b = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm_a, self.norm_b = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.stride, self.more = stride, after - before

    def forward(self, x):
        y = self.norm_b(self.b(F.relu(self.norm_a(self.a(x)))))
        if self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return F.relu(x + y)


def resnet20():
    layers, width = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for after in (16, 32, 64):
        for i in range(3):
            layers.append(Block(width, after, 2 if i == 0 and after > 16 else 1))
            width = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


if arch == "cifar_resnet20":
    net = resnet20()
else:
    import torchvision

    net = getattr(torchvision.models, arch)()
net = net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
eps = 1e-6
x = torch.rand(images, 3, size, size)


def pgd(x):
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        y = net(x).argmax(1)
    z = x
    for _ in range(steps):
        z = z.detach().requires_grad_(True)
        (g,) = torch.autograd.grad(F.cross_entropy(net(z), y, reduction="sum"), z)
        with torch.no_grad():
            d = z - x + 2.5 * eps / steps * g / (g.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)
            d *= (eps / (d.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)).clamp(max=1)
            z = (x + d).clamp(0, 1)
    with torch.no_grad():
        return int((net(z).argmax(1) == y).sum())


seconds = []
for _ in range(attacks + 1):
    start = time.perf_counter()
    robust = sum(pgd(x[i : i + batch]) for i in range(0, images, batch))
    seconds.append(time.perf_counter() - start)
print(json.dumps({"median_s": statistics.median(seconds[1:]), "robust": robust, "torch": torch.__version__, "python": sys.version.split()[0]}))
