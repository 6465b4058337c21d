"""Three training steps of a small network with dropout whose masks are given:
writes dropout.json.

    python3 dropout.py

The network, with torchvision's names of a VGG (an ONNX model has the nodes Conv,
BatchNormalization, Relu, MaxPool, Flatten, Gemm, Relu, Dropout, Gemm, input
"images" [6,3,8,8], output "logits" [6,5]):
  features.0    Conv 3 -> 4, 3x3, pad 1, with bias      [6,4,8,8]
  features.1    BatchNorm 4, eps 1e-5, momentum .1
  features.2    Relu
  features.3    MaxPool 2x2, stride 2                   [6,4,4,4]
                Flatten                                 [6,64]
  classifier.0  Linear 64 -> 16
  classifier.1  Relu
  classifier.2  Dropout .5                              [6,16]
  classifier.3  Linear 16 -> 5
A tensor is rule(name, n, low, high) with the ranges of "tensors". Step t (from 1)
takes the images rule("images/t", 6*3*8*8, -1, 1), the labels floor(rule("labels/t",
6, 0, 5)) and the mask m = (u >= p)/(1-p), u = rule("mask/t", 6*16, 0, 1): the
input of Dropout is multiplied by m. BatchNorm is in training mode; SGD lr .1,
momentum .9, weight decay 5e-4 on everything; mean cross-entropy.
"after" has all tensors after the last step and "eval" the logits of the images
of step 1 then, in evaluation mode.
"""
import torch
from torch import nn
from torch.nn import functional as F

from oracle import integers, numbers, rule, save, versions

N, STEPS, P = 6, 3, 0.5
MASKS = []


class Masked(nn.Module):
    def forward(self, x):
        return x * MASKS[-1].to(x.dtype) if self.training else x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), Masked(), nn.Linear(16, 5))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def bounds(name, t):
    if name.endswith("running_var"):
        return 0.5, 1.5
    if name == "features.1.weight":
        return 0.5, 1.5
    if t.dim() == 1:
        return -0.1, 0.1
    return (-0.5, 0.5) if name == "features.0.weight" else (-0.25, 0.25)


def tensors(net):
    return {k: v for k, v in net.state_dict().items() if v.is_floating_point()}


def images(step, dtype):
    return torch.from_numpy(rule("images/%d" % step, N * 3 * 8 * 8, -1, 1)).to(dtype).reshape(N, 3, 8, 8)


def train(dtype):
    net = Net()
    for k, v in tensors(net).items():
        v.copy_(torch.from_numpy(rule(k, v.numel(), *bounds(k, v))).reshape(v.shape))
    net.to(dtype).train()
    opt, steps = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4), []
    for t in range(1, STEPS + 1):
        u = torch.from_numpy(rule("mask/%d" % t, N * 16, 0, 1)).double().reshape(N, 16)
        MASKS.append((u >= P).double() / (1 - P))
        logits = net(images(t, dtype))
        loss = F.cross_entropy(logits, torch.from_numpy(integers("labels/%d" % t, N, 5)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        steps.append({"loss": loss.item(), "logits": numbers(logits.detach()), "kept": int(MASKS[-1].count_nonzero())})
    return net.eval(), steps


net, steps = train(torch.float64)
half, steps32 = train(torch.float32)
with torch.no_grad():
    evaluated = numbers(net(images(1, torch.float64)))
far = max(float((a.double() - b).norm() / b.norm()) for a, b in zip(tensors(half).values(), tensors(net).values()))
save("dropout.json", {
    "made_by": "finetune/testdata/dropout.py", "versions": versions(), "p": P, "batch": N,
    "tensors": [{"name": k, "dims": list(v.shape), "low": bounds(k, v)[0], "high": bounds(k, v)[1]} for k, v in tensors(net).items()],
    "steps": steps, "float32": {"losses": numbers([s["loss"] for s in steps32], 9), "distance": float("%.3g" % far)},
    "eval": evaluated, "after": {k: numbers(v, 13) for k, v in tensors(net).items()}}, 2)
print([s["loss"] for s in steps], [s["loss"] for s in steps32], far)
