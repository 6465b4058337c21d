"""Writes golden.json: what scikit-learn finds on rows that golden_test.go draws
the same way.

    python3 golden.py > golden.json
"""
import json
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

warnings.simplefilter("error")
TEST = 100
CASES = {
    "tall": dict(n=500, d=40, k=5, noise=24, balanced=False),
    "balanced": dict(n=400, d=24, k=4, noise=24, balanced=True),
    "separable": dict(n=300, d=64, k=8, noise=4, balanced=False),
    "wide": dict(n=110, d=200, k=3, noise=16, balanced=False),
    "binary": dict(n=250, d=20, k=2, noise=32, balanced=False),
}


def numbers(stream, n):
    """n integers from -8 to 7, splitmix64 of a stream's counter."""
    with np.errstate(over="ignore"):
        z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(60)).astype(np.int64) - 8


def rows(n, d, k, noise, balanced):
    """Features of TEST + n rows, in 64ths, and labels: class centres and noise in
    eight directions of falling length, noise of their own, an offset, a ReLU."""
    total = n + TEST
    u = (numbers(1, total) + 8) * 16 + numbers(2, total) + 8
    y = u * u * k // 65536  # low classes are more frequent
    centre, mix = numbers(3, k * 8).reshape(k, 8), numbers(4, 8 * d).reshape(8, d)
    hidden = centre[y] + numbers(5, total * 8).reshape(total, 8) * noise // 16
    length = np.array([32, 16, 8, 4, 2, 2, 1, 1])
    x = (hidden * length) @ mix // 8 + numbers(6, total * d).reshape(total, d) * noise // 8 + 40 * numbers(7, d)
    return np.maximum(x, 0) / 64.0, y


def digits(scores, margin):
    """The best class of each row, a dot where the two best are too near."""
    two = np.sort(scores, axis=1)[:, -2:]
    return "".join("." if b - a <= margin else str(c) for (a, b), c in zip(two, scores.argmax(axis=1)))


def logistic(z, y, t, weight, s, k):
    out = []
    for l in [1, 0.1, 0.01, 1e-3, 1e-4, 1e-5]:
        # With two classes scikit-learn fits their difference w: W = -w/2, w/2.
        c = (2 if k == 2 else 1) / (l * s)
        m = LogisticRegression(C=c, tol=1e-10, max_iter=10000).fit(z, y, sample_weight=weight)
        w, b = m.coef_, m.intercept_
        if k == 2:
            w, b = np.concatenate([-w, w]) / 2, np.concatenate([-b, b]) / 2
        logits = z @ w.T + b
        best = logits.max(axis=1)
        loss = np.log(np.exp(logits - best[:, None]).sum(axis=1)) + best - logits[np.arange(len(y)), y]
        value = (weight * loss).sum() / s + l / 2 * (w**2).sum()
        out.append(dict(lambda_=l, objective=value, classes=digits(t @ w.T + b, 1e-3)))
    return out


def ridge(z, y, t, weight, s, k):
    out = []
    for l in [1, 1e-2, 1e-4]:
        m = Ridge(alpha=l * s, solver="svd").fit(z, np.eye(k)[y], sample_weight=weight)
        scores = m.predict(t)
        out.append(dict(lambda_=l, classes=digits(scores, 1e-5), scores=[[float("%.7f" % v) for v in r] for r in scores[:5]]))
    return out


def neighbours(x, y, t, k):
    out = []
    for metric, name in [("cosine", "cosine"), ("l2", "euclidean")]:
        for n in [1, 4, 20]:
            m = KNeighborsClassifier(n, metric=name, algorithm="brute").fit(x, y)
            far = m.kneighbors(t, n + 1)[0]
            classes = ["." if b - a < 1e-9 else str(c) for a, b, c in zip(far[:, n - 1], far[:, n], m.predict(t))]
            out.append(dict(k=n, metric=metric, classes="".join(classes)))
    return out


def main():
    cases = []
    for name, c in CASES.items():
        x, y = rows(**c)
        t, x, y, k = x[:TEST], x[TEST:], y[TEST:], c["k"]
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        deviation[deviation == 0] = 1
        z, tz = (x - mean) / deviation, (t - mean) / deviation
        weight = len(y) / (k * np.bincount(y))[y] if c["balanced"] else np.ones(len(y))
        s = weight.sum()
        cases.append(dict(name=name, **c, lbfgs=logistic(z, y, tz, weight, s, k), ridge=ridge(z, y, tz, weight, s, k)))
        if not c["balanced"]:
            cases[-1]["knn"] = neighbours(x, y, t, k)
    print("[\n" + ",\n".join(json.dumps(c).replace("lambda_", "lambda") for c in cases) + "\n]")


main()
