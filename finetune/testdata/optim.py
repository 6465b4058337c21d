"""Optimizers, schedules, clipping and averaging in PyTorch, step by step in
float64: writes optim.json.

    python3 optim.py

Parameters are P = rule("parameter", 4, -1, 1), the gradient of step t (from 1) is
rule("gradient/t", 4, -1, 1), both rounded to float32 as the rule does; 12 steps.
"values" has the four parameters after each step.

Schedules list the rate (and, for onecycle with it, the momentum) used in step t =
0, 1, ... With T steps in all, W of them warm-up, and peak rate lr:
  cosine    t < W: lr*(t+1)/W; then lr/2*(1 + cos(pi*(t-W)/(T-W)))
            = SequentialLR of LinearLR(start_factor 1/W, total_iters W-1) and
            CosineAnnealingLR(T_max T-W), milestone W; checked here
  step      lr*gamma^(epoch//every), an epoch at a time
  onecycle  OneCycleLR's defaults: pct_start .3, cosine, div_factor 25,
            final_div_factor 1e4, momentum from .95 down to .85 and back
  constant  lr
EMA: e <- d*e + (1-d)*w after each step, e starts as the first w (before any
step), d = .999, along the first SGD run. Clipping: clip_grad_norm_ over two
tensors, gradients rule("clip/a", 6, -1, 1) and rule("clip/b", 4, -1, 1); c =
max/(norm + 1e-6), gradients times min(c, 1).
"""
import math

import torch
from torch.optim import lr_scheduler as S

from oracle import numbers, rule, save, versions

STEPS = 12
start = lambda: torch.tensor(numbers(rule("parameter", 4, -1, 1)), dtype=torch.float64, requires_grad=True)
gradients = [torch.tensor(numbers(rule("gradient/%d" % t, 4, -1, 1)), dtype=torch.float64) for t in range(1, STEPS + 1)]


def run(make):
    w = start()
    opt, values = make([w]), []
    for g in gradients:
        w.grad = g.clone()
        opt.step()
        values.append(numbers(w.detach()))
    return values


def rates(make, steps, lr, momentum=0.9):
    opt = torch.optim.SGD([start()], lr=lr, momentum=momentum)
    schedule, out, momenta = make(opt), [], []
    for t in range(steps):
        out.append(opt.param_groups[0]["lr"])
        momenta.append(opt.param_groups[0]["momentum"])
        opt.step()
        if t + 1 < steps:
            schedule.step()
    return out, momenta


optimizers = []
for momentum, nesterov, decay in ((0, False, 0), (0, False, 5e-4), (0.9, False, 0), (0.9, False, 5e-4), (0.9, True, 0), (0.9, True, 5e-4), (0.9, True, 0.1)):
    o = dict(lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    optimizers.append({"optimizer": "sgd", **o, "values": run(lambda p: torch.optim.SGD(p, **o))})
for lr, betas, eps, decay in ((1e-3, (0.9, 0.999), 1e-8, 0.01), (0.05, (0.8, 0.95), 1e-3, 0.2)):
    o = dict(lr=lr, betas=betas, eps=eps, weight_decay=decay)
    optimizers.append({"optimizer": "adamw", **o, "values": run(lambda p: torch.optim.AdamW(p, **o))})

T, W, LR = 40, 8, 0.02
cosine = lambda t: (t + 1) / W if t < W else 0.5 * (1 + math.cos(math.pi * (t - W) / (T - W)))
by_formula = rates(lambda o: S.LambdaLR(o, cosine), T, LR)[0]
by_torch = rates(lambda o: S.SequentialLR(o, [S.LinearLR(o, 1 / W, total_iters=W - 1), S.CosineAnnealingLR(o, T - W)], [W]), T, LR)[0]
assert max(abs(a - b) for a, b in zip(by_formula, by_torch)) < 1e-15, "cosine is not torch's"
flat = rates(lambda o: S.CosineAnnealingLR(o, T), T, LR)[0]
cycle, momenta = rates(lambda o: S.OneCycleLR(o, LR, total_steps=T), T, LR)
schedules = [
    {"schedule": "cosine", "lr": LR, "steps": T, "warmup": W, "rates": by_formula},
    {"schedule": "cosine", "lr": LR, "steps": T, "warmup": 0, "rates": flat},
    {"schedule": "step", "lr": LR, "epochs": 12, "every": 3, "gamma": 0.1, "rates": rates(lambda o: S.StepLR(o, 3, 0.1), 12, LR)[0]},
    {"schedule": "onecycle", "lr": LR, "steps": T, "rates": cycle, "momenta": momenta},
    {"schedule": "constant", "lr": LR, "steps": 5, "rates": [LR] * 5},
]

average, ema = start().detach().clone(), []
for v in optimizers[0]["values"]:
    average = 0.999 * average + (1 - 0.999) * torch.tensor(v, dtype=torch.float64)
    ema.append(numbers(average))

clips = []
for limit in (1.0, 100.0):
    a, b = torch.zeros(6, dtype=torch.float64, requires_grad=True), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    a.grad, b.grad = (torch.tensor(numbers(rule("clip/" + k, n, -1, 1)), dtype=torch.float64) for k, n in (("a", 6), ("b", 4)))
    norm = torch.nn.utils.clip_grad_norm_([a, b], limit)
    clips.append({"max": limit, "norm": float(norm), "a": numbers(a.grad), "b": numbers(b.grad)})

save("optim.json", {"made_by": "finetune/testdata/optim.py", "versions": versions(), "parameter": numbers(start().detach()),
                    "gradients": [numbers(g) for g in gradients], "optimizers": optimizers, "schedules": schedules,
                    "ema": {"decay": 0.999, "values": ema}, "clip": clips}, 2)
