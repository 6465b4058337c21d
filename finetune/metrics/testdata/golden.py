"""Writes golden.json: figures of scikit-learn and numpy for made-up logits.

    python3 golden.py > golden.json
"""
import json
import warnings

import numpy as np
import sklearn.metrics as sk

warnings.filterwarnings("ignore")


def ece(p, y, bins):
    confidence, right = p.max(1), p.argmax(1) == y
    at = np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True)
    return float(sum(abs(right[at == b].mean() - confidence[at == b].mean()) * (at == b).mean() for b in np.unique(at)))


def case(name, seed, n, classes, absent, bins):
    r = np.random.default_rng(seed)
    y = r.choice([c for c in range(classes) if c not in absent], n)
    x = r.normal(size=(n, classes)) * 1.5
    x[np.arange(n), y] += r.choice([0.0, 2.5], n)
    # Exact in float32, and no ties, which libraries settle differently.
    x = (np.round(x * 32) / 32 + np.arange(classes) / 512).astype(np.float32)
    p = np.exp(x.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    predicted, all_classes = x.argmax(1), np.arange(classes)
    precision, recall, f1, support = sk.precision_recall_fscore_support(y, predicted, labels=all_classes, zero_division=0)
    return {
        "name": name, "classes": classes, "bins": bins, "labels": y.tolist(),
        "logits": x.tolist(),
        "top1": sk.accuracy_score(y, predicted),
        "top3": sk.top_k_accuracy_score(y, x, k=3, labels=all_classes),
        "mean_per_class": sk.balanced_accuracy_score(y, predicted),
        "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(), "n": support.tolist(),
        "confusion": sk.confusion_matrix(y, predicted, labels=all_classes).ravel().tolist(),
        "ece": ece(p, y, bins),
    }


print(json.dumps([
    case("six classes", 1, 60, 6, [], 15),
    case("two of nine absent", 2, 30, 9, [0, 5], 15),
    case("ten bins", 3, 40, 4, [], 10),
]))
