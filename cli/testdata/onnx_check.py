"""Runs onnx.checker, shape inference with it, on ONNX files.

    python3 onnx_check.py FILE...
"""
import sys

import onnx

bad = 0
for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as e:
        bad += 1
        print(path, str(e).replace("\n", " ")[:500])
print("%d files, %d bad, onnx %s, Python %s" % (len(sys.argv) - 1, bad, onnx.__version__, sys.version.split()[0]))
sys.exit(bad > 0)
