"""Writes golden.json: principal components and neighbours of scikit-learn for
made-up features, which are drawn here and there by the same small generator.

    python3 golden.py > golden.json
"""
import json

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors


def features(n, d, decay):
    """float32 [n,d]: a linear congruential generator, columns of falling size,
    mixed in neighbours and not centred."""
    state, x = 12345, np.empty((n, d))
    for i in range(n):
        for j in range(d):
            state = (state * 1103515245 + 12345) % 2**31
            x[i, j] = state / 2**30 - 1
    x *= decay ** np.arange(d)
    x[:, 1:] += 0.5 * x[:, :-1]
    return (x + 3).astype(np.float32)


def case(n, d, decay, k):
    x = features(n, d, decay)
    p = PCA(k, svd_solver="full").fit(x.astype(np.float64))
    knn = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(x.astype(np.float64))
    distance, rows = knn.kneighbors(x[:1].astype(np.float64))
    shown = np.linspace(0, n - 1, min(n, 20)).astype(int)
    return {
        "n": n, "d": d, "decay": decay, "k": k, "variance": p.explained_variance_.tolist(), "ratio": p.explained_variance_ratio_.tolist(),
        "rows": shown.tolist(), "projected": p.transform(x.astype(np.float64))[shown].ravel().round(9).tolist(), "axes": p.components_.ravel().round(9).tolist(),
        "neighbours": rows[0, 1:].tolist(), "cosines": (1 - distance[0, 1:]).tolist(),
    }


print(json.dumps([case(60, 4, 0.8, 2), case(7, 20, 0.9, 3), case(300, 64, 0.97, 2), case(150, 96, 1.0, 2), case(40, 3, 0.5, 3)]))
