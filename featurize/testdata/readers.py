"""Opens one feature set in every format with the readers that users have.

usage: readers.py DIR, where DIR holds npy/ npz/ safetensors/ parquet/
"""
import json
import sys

import numpy as np

root = sys.argv[1]
x = np.load(root + "/npy/features.npy")
y = np.load(root + "/npy/labels.npy")
assert x.dtype == np.float32 and x.ndim == 2 and y.dtype == np.int64, (x.dtype, x.shape, y.dtype)
assert np.load(root + "/npy/features.npy", mmap_mode="r")[0, 0] == x[0, 0]
manifest = [json.loads(line) for line in open(root + "/npy/manifest.jsonl", encoding="utf-8")]
classes = open(root + "/npy/classes.txt", encoding="utf-8").read().split()
read = ["numpy npy " + np.__version__]


def same(name, features, labels):
    assert np.array_equal(np.asarray(features), x) and np.array_equal(np.asarray(labels), y), name
    read.append(name)


z = np.load(root + "/npz/features.npz")
assert sorted(z.files) == ["features", "labels"], z.files
same("numpy npz", z["features"], z["labels"])

try:
    import safetensors.numpy
except ImportError:
    pass
else:
    t = safetensors.numpy.load_file(root + "/safetensors/features.safetensors")
    same("safetensors " + safetensors.__version__, t["features"], t["labels"])

parquet = root + "/parquet/features.parquet"
try:
    import pyarrow
    import pyarrow.parquet
except ImportError:
    pass
else:
    t = pyarrow.parquet.read_table(parquet)
    same("pyarrow " + pyarrow.__version__, np.stack(t["features"].to_numpy(zero_copy_only=False)), t["label"])
    assert t["path"].to_pylist() == [m["path"] for m in manifest]
    assert t["class"].to_pylist() == [classes[k] for k in y] and t["split"].null_count == len(y)
    try:
        import pandas
    except ImportError:
        pass
    else:
        t = pandas.read_parquet(parquet)
        same("pandas " + pandas.__version__, np.stack(t["features"]), t["label"])
try:
    import duckdb
except ImportError:
    pass
else:
    t = duckdb.sql(f"select features, label from '{parquet}'").fetchall()
    same("duckdb " + duckdb.__version__, np.array([r[0] for r in t], np.float32), [r[1] for r in t])
print("python", sys.version.split()[0] + ":", ", ".join(read))
