"""The weights' rule in numpy, and golden.tsv: tensor, low, high, dims, SHA-256.

    python3 rule.py > golden.tsv
"""
import hashlib
import numpy as np


def rule(name, n, low, high):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (low + (high - low) * ((z >> np.uint64(40)).astype(np.float64) / 2**24)).astype(np.float32)


if __name__ == "__main__":
    he = lambda fan: (-((6 / fan) ** 0.5), (6 / fan) ** 0.5)
    for name, (low, high), dims in (
        ("conv1.weight", he(3 * 49), (64, 3, 7, 7)),
        ("bn1.running_var", (0.5, 1.5), (64,)),
        ("layer1.0.bn2.weight", (0.125, 0.375), (64,)),
        ("layer4.1.conv2.weight", he(512 * 9), (512, 512, 3, 3)),
        ("fc.bias", (-1 / 512**0.5, 1 / 512**0.5), (1000,)),
    ):
        w = rule(name, int(np.prod(dims)), low, high)
        print("resnet18", name, hashlib.sha256(w.tobytes()).hexdigest(), sep="\t")
