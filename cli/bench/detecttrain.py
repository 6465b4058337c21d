"""A peer of the training of detectors: torchvision's Faster or Mask R-CNN with a
ResNet-50, batch norms fixed, three stages trained, SGD with momentum. The weights are
those of FOLDER/weights.safetensors, and the objects, which fill their boxes, those of
FOLDER/objects.json, on random images. For every line on standard input it does a step and
answers with a line of JSON.

    python3 detecttrain.py fasterrcnn|maskrcnn FOLDER contiguous_format|channels_last THREADS
"""
import json
import resource
import sys
import time

import numpy as np
import torch
import torchvision
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

SIDE = 512
kind, folder, layout, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
torch.set_num_threads(threads)


def weights(file):
    data = open(file, "rb").read()
    n = int.from_bytes(data[:8], "little")
    state = {}
    for name, t in json.loads(data[8 : 8 + n]).items():
        a, b = t["data_offsets"]
        state[name] = torch.from_numpy(np.frombuffer(data[8 + n + a : 8 + n + b], np.float32).reshape(t["shape"]).copy())
    return state


def load():
    """The model, and what is read for it, which is freed before the first step."""
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3)
    m = {"fasterrcnn": FasterRCNN, "maskrcnn": MaskRCNN}[kind](backbone, num_classes=91, min_size=SIDE, max_size=SIDE)
    m.load_state_dict(weights(folder + "/weights.safetensors"))
    return m.train().to(memory_format=getattr(torch, layout))


model = load()
targets = []
for image in json.load(open(folder + "/objects.json")):
    boxes = [[o["X"], o["Y"], o["X"] + o["W"], o["Y"] + o["H"]] for o in image]
    t = {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor([o["Class"] + 1 for o in image])}
    if kind == "maskrcnn":
        t["masks"] = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.uint8)
        for m, (x1, y1, x2, y2) in zip(t["masks"], boxes):
            m[y1:y2, x1:x2] = 1
    targets.append(t)
images = list(torch.rand(len(targets), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6)))
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9, weight_decay=1e-4)
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {layout}, {threads} threads", flush=True)
for line in sys.stdin:
    start, cpu = time.perf_counter(), time.process_time()
    losses = model(images, targets)
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    step = dict(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu, losses={k: float(v) for k, v in losses.items()})
    step["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps(step), flush=True)
