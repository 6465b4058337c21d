"""Writes chains_OPSET.onnx, PyTorch's exports of views whose shape the graph computes,
and chains.tsv, the shapes that PyTorch gives them for batches of 5 images and of 7.

    python3 chains.py

Constants are not folded, as before PyTorch 1.8. The columns of chains.tsv are the
output, its shape for 5 images, and that for 7.
"""
import io
import warnings

import torch
import torch.nn.functional as F

warnings.filterwarnings("ignore")


def views(x):
    """Views by name, of x [N,4,4,6]."""
    m = F.avg_pool2d(x, 2, 2)
    n, c, h, w = m.size()
    yield "view", m.view(m.size(0), -1)
    yield "product", m.view(n, c * h * w)
    yield "numel", m.view(n, m.numel() // n)
    yield "numel_all", m.view(m.numel() // (c * h * w), c, -1)
    yield "columns", F.avg_pool2d(m, (2, 3)).view(-1, m.size(1))
    yield "shape", F.avg_pool2d(m, (2, 3)).reshape(m.shape[:2])
    yield "flatten", m.flatten(1)
    yield "flatten_end", m.flatten(2).mean(2)
    yield "mean", m.view(n, c, -1).mean(2)
    yield "tensor", m.mean((2, 3)).view(n, c)
    shuffled = m.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    yield "shuffle", shuffled
    yield "shuffle_flat", F.adaptive_avg_pool2d(shuffled, 1).view(n, -1)
    yield "halves", torch.cat(m.view(n, -1).chunk(2, 1), 1)
    yield "half", m[:, :2].reshape(n, -1)
    yield "ones", m.view(n, -1) * torch.ones_like(m.view(n, -1))
    yield "expand", m.mean((2, 3), keepdim=True).expand(n, c, h, w)
    yield "expand_as", m.mean(1, keepdim=True).expand_as(m).reshape(n, -1)
    yield "zeros", torch.cat([m, torch.zeros(n, c, h, w)], 1).view(n, -1)
    yield "padded", F.pad(m, (0, 0, 0, 0, 2, 2)).view(n, -1)
    yield "unfold", m.view(n, c, h * w).permute(0, 2, 1)
    yield "split", m.view(n, c, h * w).permute(0, 2, 1)[:, 0]
    yield "squeeze", m.mean((2, 3), keepdim=True).squeeze(3).squeeze(2)
    yield "sum", m.view(n, c * h + c * w - c * 2, -1)


class Views(torch.nn.Module):
    def forward(self, x):
        return tuple(v for _, v in views(x))


def main():
    torch.manual_seed(0)
    names = [name for name, _ in views(torch.zeros(1, 4, 4, 6))]
    shapes = {n: [list(v.shape) for _, v in views(torch.zeros(n, 4, 4, 6))] for n in (5, 7)}
    with open("chains.tsv", "w") as f:
        for i, name in enumerate(names):
            print(name, *(",".join(map(str, shapes[n][i])) for n in (5, 7)), sep="\t", file=f)
    for opset in (9, 11, 13):
        file = io.BytesIO()
        torch.onnx.export(Views(), torch.zeros(1, 4, 4, 6), file, opset_version=opset, do_constant_folding=False,
                          input_names=["x"], output_names=names, dynamic_axes={"x": {0: "N"}})
        with open(f"chains_{opset}.onnx", "wb") as f:
            f.write(file.getvalue())


main()
