"""A peer of featurize/pixels: torchvision's Resize(256) and CenterCrop(224) of
JPEG files that Pillow decodes, on one core. For every line on standard input it
goes through all images and answers with images per CPU second.

    python3 pixels.py FOLDER
"""
import glob
import sys
import time

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms

torch.set_num_threads(1)
files = sorted(glob.glob(sys.argv[1] + "/*/*.jpg"))
transform = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
print("Python %s (%s), torchvision %s, Pillow %s" % (sys.version.split()[0], sys.executable, torchvision.__version__, PIL.__version__), flush=True)
for _ in sys.stdin:
    start = time.process_time()
    for name in files:
        with open(name, "rb") as f:
            pixels = np.asarray(transform(Image.open(f).convert("RGB")))
    assert pixels.shape == (224, 224, 3)
    print(len(files) / (time.process_time() - start), flush=True)
