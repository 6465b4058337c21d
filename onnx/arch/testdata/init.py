"""What torch's own constructors fill networks with: the oracle of TestUntrained.

    python3 init.py | gzip -9n > init.tsv.gz

A line names a network of 1000 classes and the number of times it was made; the
lines below it are its tensors: name, distribution (constant, uniform or normal,
told by the largest value over the standard deviation), and the constant, the
largest absolute value or the standard deviation of all that were made.
"""
import sys
import torch
import torchvision
from torch import nn
from distribution import describe
from nets import NETWORKS, Cifar, make


def published(net):
    """akamaster's networks begin like this; in nets.py they have no part of it."""
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight)


torch.manual_seed(0)
print("# torch %s, torchvision %s, Python %s" % (torch.__version__, torchvision.__version__, sys.version.split()[0]))
for name in NETWORKS:
    times, seen, done = 1, {}, 0
    while done < times:
        net = make(name, 1000)[0]
        if isinstance(net, Cifar) and net.stages == 3:
            published(net)
        if sum(p.numel() for p in net.parameters()) < 4e6:
            times = 16 if name != "resnet2b" else 256  # which has biases of 8 values
        for k, v in net.state_dict().items():
            if not k.endswith("num_batches_tracked"):
                # nets.py's own normalisation has values that are nobody's draw
                seen.setdefault(k, []).append(v.flatten())
        done += 1
    print(name, times, sep="\t")
    for k, v in seen.items():
        if k in ("mean", "std"):
            continue
        kind, value = describe(torch.cat(v))
        print(k, kind, "%.5g" % value, sep="\t", flush=True)
