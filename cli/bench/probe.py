"""A peer of finetune/probe: scikit-learn's logistic regression by L-BFGS. It
writes x.npy and y.npy into a folder: features that are correlated and not
negative, as those of a network, of 100 classes. For every line on standard input,
a penalty and an objective, it fits standardised features, in float32, until it is
within 1e-4 of the objective, and answers with the seconds of that fit alone, its
objective in float64 and its iterations.

    python3 probe.py FOLDER THREADS
"""
import sys
import time
import warnings

import numpy as np
import scipy.optimize
import sklearn
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

N, D, K, HIDDEN = 50000, 2048, 100, 256


def objective(x, y, w, b, penalty):
    loss = 0.0
    for i in range(0, len(x), 1000):
        z = x[i : i + 1000].astype(np.float64) @ w.T + b
        loss += (logsumexp(z, axis=1) - z[np.arange(len(z)), y[i : i + 1000]]).sum()
    return loss / len(x) + penalty / 2 * (w.astype(np.float64) ** 2).sum()


def stopping(wanted):
    """scipy's minimize, of which scikit-learn makes L-BFGS, that stops there."""

    def enough(intermediate_result):
        if intermediate_result.fun <= wanted * (1 + 1e-4):
            raise StopIteration

    return lambda *args, **options: minimize(*args, **{**options, "callback": enough})


assert tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 5), "scikit-learn %s, expected 1.5 or later" % sklearn.__version__
minimize = scipy.optimize.minimize
warnings.simplefilter("ignore")  # that it did not converge
threadpool_limits(int(sys.argv[2]))
folder = sys.argv[1]
r = np.random.default_rng(1)
y = r.integers(0, K, N)
fall = (np.arange(1, HIDDEN + 1) ** -0.7).astype(np.float32)
mix, centre = r.standard_normal((HIDDEN, D), np.float32), r.standard_normal((K, HIDDEN), np.float32)
x = ((0.5 * centre[y] + r.standard_normal((N, HIDDEN), np.float32)) * fall) @ mix
for i in range(0, N, 1000):
    x[i : i + 1000] += 0.3 * r.standard_normal((1000, D), np.float32)
np.maximum(x, 0, out=x)
np.save(folder + "/x.npy", x)
np.save(folder + "/y.npy", y)
x -= x.mean(axis=0, dtype=np.float64).astype(np.float32)
x /= x.std(axis=0, dtype=np.float64).astype(np.float32)
print("Python %s (%s), scikit-learn %s, numpy %s" % (sys.version.split()[0], sys.executable, sklearn.__version__, np.__version__), flush=True)
for line in sys.stdin:
    penalty, wanted = map(float, line.split())
    scipy.optimize.minimize = stopping(wanted)
    start = time.perf_counter()
    m = LogisticRegression(C=1 / (penalty * N), tol=1e-10, max_iter=10000).fit(x, y)
    seconds = time.perf_counter() - start
    print(seconds, objective(x, y, m.coef_, m.intercept_, penalty), m.n_iter_[0], flush=True)
