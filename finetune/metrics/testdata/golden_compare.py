"""Writes golden_compare.json: statistics of scipy and statsmodels, and
bootstraps by numpy, for made-up results.

    python3 golden_compare.py > golden_compare.json
"""
import json

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def test_of(a, b):
    if a + b == 0:
        return 1.0
    if a + b < 25:
        return stats.binomtest(a, a + b).pvalue
    if a == b:  # |a-b|-1 would be negative
        return 1.0
    p = stats.chi2.sf((abs(a - b) - 1) ** 2 / (a + b), 1)
    assert abs(p - mcnemar([[0, a], [b, 0]], exact=False, correction=True).pvalue) < 1e-12
    return p


def bootstrap(seed, n, classes, groups, draws):
    """Spreads of so many draws of numpy; ours differ by chance alone."""
    r = np.random.default_rng(seed)
    y = r.choice(classes, n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    group = r.integers(0, groups, n) if groups else np.arange(n)
    right = (r.random(n) < 0.5 + 0.4 * y / classes).astype(float)
    if groups:  # samples of a group are right together
        right = (r.random(groups) < 0.7).astype(float)[group]
    one_hot = np.eye(classes)[y]
    units = np.unique(group)
    counts = np.array([one_hot[group == u].sum(0) for u in units])
    sums = np.array([(one_hot * right[:, None])[group == u].sum(0) for u in units])
    top1, mean = [], []
    for _ in range(draws):
        at = r.integers(0, len(units), len(units))
        c, s = counts[at].sum(0), sums[at].sum(0)
        top1.append(s.sum() / c.sum())
        mean.append((s[c > 0] / c[c > 0]).mean())
    spread = lambda v: {"sd": np.std(v, ddof=1), "low": np.percentile(v, 2.5), "high": np.percentile(v, 97.5)}
    return {"labels": y.tolist(), "right": right.tolist(), "groups": group.tolist() if groups else None, "top1": spread(top1), "per_class": spread(mean)}


def line(seed, n):
    r = np.random.default_rng(seed)
    x = r.normal(size=n)
    y = 0.7 * x + r.normal(size=n) * 0.5 + 3
    f = stats.linregress(x, y)
    return {"x": x.tolist(), "y": y.tolist(), "slope": f.slope, "intercept": f.intercept, "r": f.rvalue, "r2": f.rvalue**2}


tables = [(0, 0), (1, 0), (0, 5), (6, 6), (9, 2), (12, 12), (20, 4), (24, 0), (25, 0), (13, 12), (15, 10), (30, 30), (40, 55), (100, 31), (700, 900), (3000, 2000)]
holm = [[], [0.03], [0.01, 0.04, 0.03, 0.005], [0.2, 0.9, 0.5, 0.6], [0.01, 0.01, 0.01], [1e-9, 0.02, 0.02, 0.3, 1.0, 0.0125]]
print(json.dumps({
    "mcnemar": [{"a": a, "b": b, "p": test_of(a, b)} for a, b in tables],
    "holm": [{"p": p, "corrected": multipletests(p, method="holm")[1].tolist() if p else []} for p in holm],
    "lines": [line(1, 3), line(2, 12), line(3, 67)],
    "bootstraps": [bootstrap(1, 400, 5, 0, 50000), bootstrap(2, 60, 12, 0, 50000), bootstrap(3, 300, 4, 40, 50000)],
}))
