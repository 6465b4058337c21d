"""A peer of finetune: training steps of PyTorch (SGD with momentum .9 and weight
decay 5e-4, batch norms in training mode, NCHW) on the same random images again and
again. Prints one line of JSON: seconds of a step (the first one left out, data not
counted), the largest resident set of the process and the versions.

    python3 train.py --arch resnet18 --batch 16 --size 224 --steps 10 --threads 2
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import torchvision

p = argparse.ArgumentParser()
p.add_argument("--arch", default="resnet18")
p.add_argument("--batch", type=int, default=16)
p.add_argument("--size", type=int, default=224)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--threads", type=int, default=0, help="0: PyTorch's choice")
p.add_argument("--classes", type=int, default=1000)
a = p.parse_args()
if a.threads:
    torch.set_num_threads(a.threads)
torch.manual_seed(0)
net = getattr(torchvision.models, a.arch)(num_classes=a.classes).train()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
x, y = torch.randn(a.batch, 3, a.size, a.size), torch.randint(a.classes, (a.batch,))
seconds, losses = [], []
for _ in range(a.steps + 1):
    start = time.perf_counter()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"arch": a.arch, "batch": a.batch, "size": a.size, "threads": torch.get_num_threads(),
                  "median_s": round(statistics.median(seconds[1:]), 4), "min_s": round(min(seconds[1:]), 4), "peak_rss_bytes": peak,
                  "first_loss": losses[0], "last_loss": losses[-1], "torch": torch.__version__, "python": sys.version.split()[0]}))
