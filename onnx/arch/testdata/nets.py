"""Networks that torchvision has not, as small modules with the parameter names
of their publishers, and a way to fill any network by the rule."""
import re
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models.resnet import Bottleneck, ResNet
from rule import rule

NETWORKS = """
resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d
wide_resnet50_2 wide_resnet50_4 wide_resnet101_2 densenet161 vgg16_bn mobilenet_v2 shufflenet_v2_x1_0 mnasnet1_0
cifar_resnet20 cifar_resnet32 cifar_resnet44 cifar_resnet56 cifar_resnet110 cifar_resnet18 cifar_resnet50
resnet2b resnet8
""".split()


def conv(i, o, k, stride=1, bias=False):
    return nn.Conv2d(i, o, k, stride, k // 2, bias=bias)


class Basic(nn.Module):
    """Two 3x3 convolutions; shortcut is None for option A, or an attribute's name."""

    def __init__(self, i, o, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
        self.stride, self.pad, self.shortcut_name = stride, o // 4, shortcut
        if shortcut and (stride > 1 or i != o):
            self.add_module(shortcut, nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.shortcut_name and hasattr(self, self.shortcut_name):
            x = getattr(self, self.shortcut_name)(x)
        elif self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class Deep(nn.Module):
    def __init__(self, i, o, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 1), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3, stride), nn.BatchNorm2d(o)
        self.conv3, self.bn3 = conv(o, 4 * o, 1), nn.BatchNorm2d(4 * o)
        self.shortcut = nn.Sequential()
        if stride > 1 or i != 4 * o:
            self.shortcut = nn.Sequential(conv(i, 4 * o, 1, stride), nn.BatchNorm2d(4 * o))

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class Cifar(nn.Module):
    """A residual network with a 3x3 stem and the mean over space."""

    def __init__(self, block, blocks, width, shortcut, classes):
        super().__init__()
        self.conv1, self.bn1, i = conv(3, width, 3), nn.BatchNorm2d(width), width
        self.stages = len(blocks)
        for s, n in enumerate(blocks):
            layer = []
            for k in range(n):
                layer.append(block(i, width << s, 2 if s and not k else 1, shortcut))
                i = (width << s) * (4 if block is Deep else 1)
            self.add_module("layer%d" % (s + 1), nn.Sequential(*layer))
        self.linear = nn.Linear(i, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for s in range(self.stages):
            x = getattr(self, "layer%d" % (s + 1))(x)
        return self.linear(x.mean((2, 3)))


class Plain(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.conv2 = conv(i, o, 3, stride, True), conv(o, o, 3, 1, True)
        self.shortcut = nn.Sequential(conv(i, o, 1, stride, True)) if stride > 1 else nn.Sequential()

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class Resnet2b(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = conv(3, 8, 3, 2, True)
        self.layer1 = nn.Sequential(Plain(8, 16, 2), Plain(16, 16, 1))
        self.linear1, self.linear2 = nn.Linear(1024, 100), nn.Linear(100, classes)

    def forward(self, x):
        return self.linear2(F.relu(self.linear1(self.layer1(F.relu(self.conv1(x))).flatten(1))))


class Resnet8(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1))
        self.conv, self.bn = conv(3, 24, 3, 2), nn.BatchNorm2d(24)
        self.l1, self.l2, self.l3 = Basic(24, 24, 1, "down"), Basic(24, 48, 2, "down"), Basic(48, 96, 2, "down")
        self.fc = nn.Linear(96, classes)

    def forward(self, x):
        x = F.relu(self.bn(self.conv((x - self.mean) / self.std)))
        return self.fc(self.l3(self.l2(self.l1(x))).mean((2, 3)))


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NONE = (0, 0, 0), (1, 1, 1)


def make(name, classes):
    """The network, its input size, mean and std."""
    option_a = {"cifar_resnet%d" % (6 * n + 2): n for n in (3, 5, 7, 9, 18)}
    if name in option_a:
        return Cifar(Basic, [option_a[name]] * 3, 16, None, classes), 32, *IMAGENET
    if name == "cifar_resnet18":
        return Cifar(Basic, [2, 2, 2, 2], 64, "shortcut", classes), 32, *CIFAR
    if name == "cifar_resnet50":
        return Cifar(Deep, [3, 4, 6, 3], 64, "shortcut", classes), 32, *CIFAR
    if name == "resnet2b":
        return Resnet2b(classes), 32, CIFAR[0], (0.2471, 0.2435, 0.2616)
    if name == "resnet8":
        return Resnet8(classes), 32, *NONE
    if name == "wide_resnet50_4":
        net = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=classes, width_per_group=256)
    elif name == "resnext101_64x4d":
        net = ResNet(Bottleneck, [3, 4, 23, 3], num_classes=classes, groups=64, width_per_group=4)
    else:
        net = getattr(models, name)(num_classes=classes)
    return net, 224, *IMAGENET


def gain(name, net):
    """Of a batch norm: less where residual branches end and where no activation follows."""
    tail = {"mobilenet": r"conv\.(2|3)$", "mnasnet": r"layers\.7$", "shufflenet": r"branch1\.1$|branch2\.4$"}
    for family, pattern in tail.items():
        if family in type(net).__name__.lower():
            return 0.5 if re.search(pattern, name) else 1
    blocks = {n.rpartition(".")[0]: n for n, _ in net.named_modules() if re.search(r"(layer\d\.\d+|^l\d)\.bn\d$", n)}  # its last
    return (0.125 if len(blocks) > 20 else 0.25) if name in blocks.values() else 1


def fill(net):
    """Uniform weights: He's variance, batch norms not trivial."""
    state, linear = net.state_dict(), [n for n, m in net.named_modules() if isinstance(m, nn.Linear)]
    for name, t in state.items():
        module, _, kind = name.rpartition(".")
        if not module or kind == "num_batches_tracked":
            continue
        if module == linear[-1]:
            low = -1 / state[module + ".weight"].shape[1] ** 0.5
            high = -low
        elif t.dim() > 1:
            high = (6 / t[0].numel()) ** 0.5
            low = -high
        elif kind == "running_var":
            low, high = 0.5, 1.5
        elif kind == "weight":
            low, high = 0.5 * gain(module, net), 1.5 * gain(module, net)
        else:
            low, high = -0.1, 0.1
        state[name] = torch.from_numpy(rule(name, t.numel(), low, high)).reshape(t.shape)
    net.load_state_dict(state)
    return net.eval()
