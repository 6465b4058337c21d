"""Compares rtx featurize on a GPU with the CPU and with torch: make gpu-check.

    python3 gpu_check.py [--rtx bin/rtx] [--images 4096] [--cpu]

Needs rtx, an onnxruntime library with CUDA (rtx runtime install --cuda) and
torch; draws its images and writes its network, a ResNet-50, itself. --cpu is a
dry run: everything on the CPU, over a few images, with no bar but that of fp32
and fp16.

Features must equal the CPU's within 1e-5 in fp32 and 1e-3 in tf32 and fp16, as
max|a-b| / max|b|. Images/s are measured end to end, from 500x375 JPEGs (PNGs
where Pillow is missing), and bare, from BMPs of 224x224 that need no work.
"""
import argparse
import glob
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
import zlib

try:
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as missing:
    sys.exit("gpu_check: %s lacks %s (%s -m pip install torch numpy; TORCH_PYTHON names another interpreter)" % (sys.executable, missing.name, sys.executable))

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


# A network as a list of layers, (kind, name, inputs, attributes), which torch
# runs and ONNX is written from.
def resnet50():
    layers, weights = [], {}
    rng = np.random.default_rng(50)

    def conv(name, x, inner, width, size, stride, relu=True, gain=1.0):
        bound = gain * (6 / (inner * size * size)) ** 0.5
        weights[name + ".w"] = rng.uniform(-bound, bound, (width, inner, size, size)).astype(np.float32)
        weights[name + ".b"] = rng.uniform(-0.1, 0.1, width).astype(np.float32)
        layers.append(("Conv", name, [x, name + ".w", name + ".b"], {"kernel_shape": [size, size], "strides": [stride, stride], "pads": [size // 2] * 4}))
        if relu:
            layers.append(("Relu", name + ".relu", [name], {}))
        return name + ".relu" if relu else name

    x = conv("stem", "normal", 3, 64, 7, 2)
    layers.append(("MaxPool", "pool", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}))
    x, inner = "pool", 64
    for stage, blocks in enumerate([3, 4, 6, 3]):
        width = 64 << stage
        for block in range(blocks):
            at, stride = "s%db%d." % (stage, block), 2 if stage and not block else 1
            y = conv(at + "1", x, inner, width, 1, 1)
            y = conv(at + "2", y, width, width, 3, stride)
            y = conv(at + "3", y, width, 4 * width, 1, 1, relu=False, gain=0.4)
            if not block:
                x = conv(at + "0", x, inner, 4 * width, 1, stride, relu=False)
            layers.append(("Add", at + "sum", [x, y], {}))
            layers.append(("Relu", at + "out", [at + "sum"], {}))
            x, inner = at + "out", 4 * width
    layers.append(("GlobalAveragePool", "average", [x], {}))
    layers.append(("Flatten", "features", ["average"], {}))
    return layers, weights


class Network(nn.Module):
    def __init__(self, layers, weights):
        super().__init__()
        self.layers = layers
        self.weights = nn.ParameterDict({k.replace(".", "_"): nn.Parameter(torch.from_numpy(v), requires_grad=False) for k, v in weights.items()})

    def forward(self, x):
        values = {"normal": x}
        for kind, name, inputs, a in self.layers:
            v = [values[i] if i in values else self.weights[i.replace(".", "_")] for i in inputs]
            if kind == "Conv":
                y = F.conv2d(v[0], v[1], v[2], a["strides"], a["pads"][0])
            elif kind == "Relu":
                y = F.relu(v[0])
            elif kind == "MaxPool":
                y = F.max_pool2d(v[0], 3, 2, 1)
            elif kind == "Add":
                y = v[0] + v[1]
            elif kind == "GlobalAveragePool":
                y = v[0].mean((2, 3), keepdim=True)
            else:
                y = v[0].flatten(1)
            values[name] = y
        return y


# ONNX files are protocol buffers: fields of a number and a wire type, here 0
# (a varint) or 2 (bytes with their length).
def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, a):
    return b"".join(field(1, d) for d in a.shape) + field(2, 1) + field(8, name) + field(9, a.tobytes())


def value(name, dims):
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def node(kind, name, inputs, attributes):
    n = b"".join(field(1, i) for i in inputs) + field(2, name) + field(3, name) + field(4, kind)
    for key, ints in attributes.items():
        n += field(5, field(1, key) + b"".join(field(8, i) for i in ints) + field(20, 7))
    return n


def write_onnx(path, layers, weights):
    g = b"".join(field(1, node(*layer)) for layer in layers) + field(2, "resnet50")
    g += b"".join(field(5, tensor(k, v)) for k, v in weights.items())
    g += field(11, value("normal", ["N", 3, 224, 224])) + field(12, value("features", ["N", 2048]))
    with open(path, "wb") as f:
        f.write(field(1, 8) + field(7, g) + field(8, field(2, 17)))


def picture(rng, height, width):
    """Waves, blocks and noise."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    k = rng.random((3, 4)) * 12
    waves = [127 + 90 * np.sin(a * x + b * y + c) * np.cos(d * y) for a, b, c, d in k]
    coarse = np.kron(rng.integers(-30, 30, (height // 25 + 1, width // 25 + 1)), np.ones((25, 25)))[:height, :width]
    return np.clip(np.stack(waves, -1) + coarse[..., None] + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def png(pixels):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1).tobytes()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def bmp(pixels):
    height, width, _ = pixels.shape  # a width of 224 needs no padding
    body = pixels[::-1, :, ::-1].tobytes()
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0) + body


def write_images(folder, n, size, encode, extension):
    os.makedirs(folder)
    rng = np.random.default_rng(1)
    base = [picture(rng, *size) for _ in range(min(n, 64))]
    for i in range(n):
        with open("%s/%05d.%s" % (folder, i, extension), "wb") as f:
            f.write(encode(np.roll(base[i % len(base)], 7 * (i // len(base)), 1)))


def jpeg_or_png():
    try:
        from PIL import Image
    except ImportError:
        return png, "png"
    import io

    def jpeg(pixels):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=90, subsampling="4:2:0")
        return out.getvalue()

    return jpeg, "jpg"


def environment():
    """Lets rtx find CUDA's libraries where pip put them for torch."""
    folders = glob.glob(os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "nvidia", "*", "lib"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), *folders]))}


def featurize(rtx, model, data, out, *flags):
    p = subprocess.run([rtx, "featurize", "-m", model, "-d", data, "-o", out, "--normalize", "imagenet", "--json", "--overwrite", *flags], capture_output=True, text=True, env=environment())
    result = json.loads(p.stdout)
    if p.returncode:
        sys.exit("gpu_check: rtx featurize %s: %s" % (" ".join(flags), result.get("error")))
    return np.load(out + "/features.npy"), result["images_per_second"]


def torch_rate(net, device, batch, seconds, half, tf32):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    x = torch.randn(batch, 3, 224, 224, device=device).contiguous(memory_format=torch.channels_last)
    net = net.to(device).float().to(memory_format=torch.channels_last)
    if half:
        net, x = net.half(), x.half()
    sync = torch.cuda.synchronize if device == "cuda" else lambda: None
    with torch.no_grad():
        for _ in range(3 if device == "cuda" else 1):
            net(x)
        sync()
        start, n = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            net(x)
            sync()
            n += batch
    return n / (time.perf_counter() - start)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rtx", default="bin/rtx")
    p.add_argument("--images", type=int, default=4096)
    p.add_argument("--batch-size", type=int, default=256)
    p.add_argument("--cpu", action="store_true")
    a = p.parse_args()
    print("python %s (%s), torch %s, numpy %s" % (platform.python_version(), sys.executable, torch.__version__, np.__version__))
    if not a.cpu and not torch.cuda.is_available():
        sys.exit("gpu_check: torch finds no GPU; --cpu makes a dry run")
    device = "cpu" if a.cpu else "cuda"
    if a.cpu:
        a.images, a.batch_size = min(a.images, 32), 8
    else:
        print("%s, CUDA %s of torch" % (torch.cuda.get_device_name(), torch.version.cuda))
    print(subprocess.run([a.rtx, "doctor"], capture_output=True, text=True, env=environment()).stdout)
    layers, weights = resnet50()
    precisions = ["fp32", "fp16"] if a.cpu else ["fp32", "tf32", "fp16"]
    failed = []
    with tempfile.TemporaryDirectory() as tmp:
        model = tmp + "/resnet50.onnx"
        write_onnx(model, layers, weights)
        encode, extension = jpeg_or_png()
        write_images(tmp + "/some", min(64, a.images), (375, 500), encode, extension)
        write_images(tmp + "/many", a.images, (375, 500), encode, extension)
        write_images(tmp + "/ready", a.images, (224, 224), bmp, "bmp")

        want, _ = featurize(a.rtx, model, tmp + "/some", tmp + "/out", "--device", "cpu", "-b", "8")
        for precision in precisions:
            got, _ = featurize(a.rtx, model, tmp + "/some", tmp + "/out", "--device", device, "--precision", precision, "-b", "8" if a.cpu else "64")
            far, bar = np.abs(got - want).max() / np.abs(want).max(), 1e-5 if precision == "fp32" else 1e-3
            print("%s on %s: features within %.1e of the CPU's, at most %.0e: %s" % (precision, device, far, bar, "ok" if far <= bar else "FAILED"))
            if not far <= bar:
                failed.append(precision)

        print("\n%-10s %16s %16s %16s   images/s" % ("", "rtx, %ss" % extension, "rtx, bare", "torch, bare"))
        net = Network(layers, weights).eval()
        for precision in precisions:
            flags = ["--device", device, "--precision", precision, "-b", str(a.batch_size)]
            _, whole = featurize(a.rtx, model, tmp + "/many", tmp + "/out", *flags)
            _, bare = featurize(a.rtx, model, tmp + "/ready", tmp + "/out", *flags)
            peer = "not on a CPU" if a.cpu and precision == "fp16" else "%.0f" % torch_rate(net, device, a.batch_size, 5, precision == "fp16", precision == "tf32")
            print("%-10s %16.0f %16.0f %16s" % (precision, whole, bare, peer))
    if failed:
        sys.exit("gpu_check: FAILED: " + ", ".join(failed))
    print("\ngpu_check: all within their bars" + (" (a dry run on the CPU)" if a.cpu else ""))


if __name__ == "__main__":
    main()
