"""A peer of rtx featurize: PyTorch's DataLoader and an eager ResNet-20 without
gradients, over a folder of class folders. For every line on standard input it
goes through all images and answers with images/s.

    python3 loader.py FOLDER WORKERS
"""
import glob
import sys
import time

import numpy as np
import PIL
import torch
from PIL import Image
from torch import nn


class Images(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.files = sorted(glob.glob(folder + "/*/*.jpg"))
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        self.std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        pixels = np.asarray(Image.open(self.files[i]).convert("RGB"))
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float().div_(255)
        return x.sub_(self.mean).div_(self.std)


class Block(nn.Module):
    def __init__(self, inner, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.pad = (width - inner) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return torch.relu(x + y)


stages = [(16, 16, 1)] + 2 * [(16, 16, 1)] + [(16, 32, 2)] + 2 * [(32, 32, 1)] + [(32, 64, 2)] + 2 * [(64, 64, 1)]
net = nn.Sequential(
    nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    *[Block(*s) for s in stages], nn.AdaptiveAvgPool2d(1), nn.Flatten(),
).eval()
torch.set_num_threads(int(sys.argv[2]))
data = Images(sys.argv[1])
print("Python %s (%s), torch %s, Pillow %s" % (sys.version.split()[0], sys.executable, torch.__version__, PIL.__version__), flush=True)
for _ in sys.stdin:
    loader = torch.utils.data.DataLoader(data, batch_size=256, num_workers=int(sys.argv[2]))
    start = time.perf_counter()
    with torch.no_grad():
        features = np.concatenate([net(x).numpy() for x in loader])
    seconds = time.perf_counter() - start
    assert features.shape == (len(data), 64)
    print(len(data) / seconds, flush=True)
