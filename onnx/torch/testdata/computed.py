"""Writes computed.pt: a state_dict whose weights PyTorch computes of several tensors,
by pruning, weight norm and spectral norm, and under "want" the weights that it uses in
eval mode.

    python3 computed.py
"""
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(3, 4, 3)
        self.pruned = nn.Conv2d(4, 6, 3)
        prune.l1_unstructured(self.pruned, "weight", 0.6)
        prune.random_unstructured(self.pruned, "bias", 0.5)
        self.fp16 = nn.Linear(5, 3).half()
        prune.custom_from_mask(self.fp16, "weight", torch.rand(3, 5) > 0.5)
        self.normed = weight_norm(nn.Conv2d(4, 6, 3))
        self.columns = weight_norm(nn.Conv2d(4, 6, (2, 3)), dim=1)
        self.last = weight_norm(nn.Linear(7, 5), dim=1)
        self.whole = weight_norm(nn.Linear(7, 5), dim=None)
        self.fp64 = weight_norm(nn.Linear(3, 2).double())
        self.spectral = spectral_norm(nn.Conv2d(4, 6, 3))
        self.transposed = spectral_norm(nn.ConvTranspose2d(4, 6, 3))
        self.parametrized = parametrizations.spectral_norm(nn.Conv2d(4, 6, 3), n_power_iterations=3)


def main():
    net = Net()
    for module in (net.normed, net.columns, net.last, net.whole, net.fp64):
        with torch.no_grad():  # else it is the norm of v
            module.weight_g.mul_(torch.rand_like(module.weight_g) + 0.5)
    for _ in range(3):
        net.spectral(torch.randn(1, 4, 5, 5)), net.transposed(torch.randn(1, 4, 5, 5)), net.parametrized(torch.randn(1, 4, 5, 5))
    net.eval()
    want = {}
    for name, module in net.named_children():
        if name == "spectral" or name == "transposed" or hasattr(module, "weight_g"):
            for hook in module._forward_pre_hooks.values():
                hook(module, None)
        want[name + ".weight"] = module.weight.detach().clone()
        want[name + ".bias"] = module.bias.detach().clone()
    state = dict(net.state_dict())
    # torch.nn.utils.parametrizations.weight_norm of PyTorch 2: g and v under these names.
    state["new.parametrizations.weight.original0"] = net.normed.weight_g.detach()
    state["new.parametrizations.weight.original1"] = net.normed.weight_v.detach()
    want["new.weight"] = want["normed.weight"]
    torch.save({"state_dict": state, "want": want}, "computed.pt")


main()
