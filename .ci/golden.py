#!/usr/bin/env python3
"""Remakes the files under testdata by their scripts: make golden.

    golden.py [--any-version] [PATTERN...]

PATTERN is a part of FOLDER/FILE; without one, all are made but those that train
networks for long. .ci/goldens.tsv names the scripts and the packages that they
need, in the versions that made the committed files. Interpreters are tried in turn:
those in $PYTHONS, then python3 and /usr/bin/python3. --any-version takes other
versions as well.

Scripts run in a copy of the testdata folders. A file replaces the committed one
where the two differ in more than bytes that vary between machines: numbers within
1e-5 of each other, addresses in checkpoints, the version of Python itself.
RTX_SHARED_DATA names the shared test data (default: ../shared/data).
RTX_REQUIRE_PEERS=1 makes it an error where something is lacking.
"""
import glob
import gzip
import io
import json
import os
import pickle
import pickletools
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.abspath(os.environ.get("RTX_SHARED_DATA", os.path.join(ROOT, "..", "shared", "data")))
VERSIONS = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        module = __import__({"pillow": "PIL", "scikit-learn": "sklearn"}.get(name, name))
    except ImportError:
        module = None
    try:
        found[name] = getattr(module, "__version__", None) or m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def rows():
    with open(os.path.join(ROOT, ".ci", "goldens.tsv")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                folder, command, outputs, needs = line.rstrip("\n").split("\t")
                yield folder, command, outputs.split(), dict((n.split("=") + [""])[:2] for n in needs.split())


def interpreters():
    names = os.environ.get("PYTHONS", "").split() + ["python3", "/usr/bin/python3"]
    return list(dict.fromkeys(filter(None, map(shutil.which, names))))


known = {}  # (interpreter, package): version, None where it lacks it


def versions(python, packages):
    missing = [p for p in packages if (python, p) not in known]
    if missing:
        out = subprocess.run([python, "-W", "ignore", "-c", VERSIONS, *missing], capture_output=True, text=True).stdout
        found = json.loads(out or "{}")
        known.update({(python, p): found.get(p) for p in missing})
    return {p: known[python, p] for p in packages}


def chosen(needs, any_version):
    """The first interpreter that has what a script needs, or what each lacks."""
    lacks = []
    for python in interpreters():
        found = versions(python, list(needs))
        wrong = ["%s%s (found %s)" % (p, v and " " + v, found[p] or "none") for p, v in needs.items()
                 if not found[p] or not any_version and not found[p].startswith(v)]
        if not wrong:
            return python, found
        lacks.append("%s lacks %s" % (python, ", ".join(wrong)))
    return None, "; ".join(lacks)


def close(a, b, within):
    return a == b or abs(a - b) <= within * max(1, abs(a), abs(b))


def same_text(a, b, within):
    word = re.compile(r"[\w.+-]+")
    if word.sub("0", a) != word.sub("0", b):
        return False
    python = re.compile(r"(Python |python\": \")[\d.]+")
    for x, y in zip(word.findall(python.sub("", a)), word.findall(python.sub("", b))):
        if x != y:
            try:
                if not close(float(x), float(y), within):
                    return False
            except ValueError:
                return False
    return True


def same_floats(a, b, within):
    if a == b or len(a) != len(b) or len(a) % 4:
        return a == b
    words = ((a[i:i + 4], b[i:i + 4]) for i in range(0, len(a), 4))
    return all(x == y or close(*struct.unpack("<ff", x + y), within) for x, y in words)


class Inert:
    """Stands for every class of a pickle, so that nothing in it is executed."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def __call__(self, *args):
        return Inert()

    append = extend = add = update = __init__


def legacy(data):
    """A legacy checkpoint: the operations of its pickles, with the keys of storages
    (addresses in memory) by their order, and the storages in that order."""
    types = {}

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            return type(name, (Inert,), {})

        def persistent_load(self, id):
            if id[0] == "module":
                return id[1]
            types.setdefault(id[2], id[1].__name__)
            return Inert()

    f, ops = io.BytesIO(data), []
    for _ in range(5):  # magic number, version, machine, object, keys
        at = f.tell()
        last = Reader(f).load()
        ops.append([(op.name, arg) for op, arg, _ in pickletools.genops(data[at:f.tell()])])
    order = {key: i for i, key in enumerate(types)}
    ops = [[(name, order.get(arg, arg) if isinstance(arg, str) else arg) for name, arg in p] for p in ops[:4]]
    sizes = {"DoubleStorage": 8, "LongStorage": 8, "FloatStorage": 4, "IntStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "ShortStorage": 2,
             "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16}
    storages = {}
    for key in last:
        n, = struct.unpack("<q", f.read(8))
        storages[order[key]] = f.read(n * sizes.get(types[key], 1))
    return ops, storages, f.read()


def same(a, b, within):
    """Whether two files differ in nothing that matters."""
    if a == b:
        return True
    if a[:2] == b[:2] == b"\x1f\x8b":
        return same(gzip.decompress(a), gzip.decompress(b), within)
    if a[:2] == b[:2] == b"PK":
        x, y = zipfile.ZipFile(io.BytesIO(a)), zipfile.ZipFile(io.BytesIO(b))
        return x.namelist() == y.namelist() and all(same_floats(x.read(n), y.read(n), within) for n in x.namelist())
    try:
        return same_text(a.decode(), b.decode(), within)
    except UnicodeDecodeError:
        pass
    try:
        (x, stored, rest), (y, other, tail) = legacy(a), legacy(b)
    except Exception:  # no such checkpoint
        return False
    return x == y and rest == tail and stored.keys() == other.keys() and all(same_floats(stored[k], other[k], within) for k in stored)


def make(work, folder, command, outputs, python):
    """Runs a script in a copy of its folder; returns its outputs by name."""
    there = os.path.join(work, folder)
    for pattern in outputs:
        for path in glob.glob(os.path.join(there, pattern)):
            os.remove(path)
    command, _, to = (p.strip() for p in command.partition(">"))
    args = [{"DATA": DATA, "SCRATCH": os.path.join(work, "scratch")}.get(w, w) for w in command.split()]
    run = subprocess.run([python, "-W", "ignore", *args], cwd=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode:
        sys.stderr.write(run.stderr.decode(errors="replace")[-2000:])
        return None
    if to:
        with open(os.path.join(there, to), "wb") as f:
            f.write(gzip.compress(run.stdout, 9, mtime=0) if to.endswith(".gz") else run.stdout)
    return sorted(os.path.relpath(p, there) for pattern in outputs for p in glob.glob(os.path.join(there, pattern)))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def settle(work, folder, outputs, names, within):
    """Replaces the committed files that differ, and names them; the others go into
    the copy, for the scripts that come after. Also returns how many of these were
    not equal byte by byte."""
    changed, kept = [], 0
    committed = [os.path.relpath(p, os.path.join(ROOT, folder)) for o in outputs for p in glob.glob(os.path.join(ROOT, folder, o))]
    for name in sorted({*names, *committed}):
        old, new = os.path.join(ROOT, folder, name), os.path.join(work, folder, name)
        if not os.path.exists(new):
            changed.append(name + " (no longer made)")
        elif os.path.exists(old) and same(read(old), read(new), within):
            kept += read(old) != read(new)
            shutil.copyfile(old, new)
        else:
            shutil.copyfile(new, old)
            changed.append(name)
    return changed, kept


def main():
    patterns = [a for a in sys.argv[1:] if a != "--any-version"]
    failed = lacking = 0
    with tempfile.TemporaryDirectory(prefix="rtx-golden") as work:
        for folder in {r[0] for r in rows()}:
            shutil.copytree(os.path.join(ROOT, folder), os.path.join(work, folder))
        for folder, command, outputs, needs in rows():
            name = folder + "/" + " ".join(outputs)
            if patterns and not any(p in name for p in patterns):
                continue
            needs_data = needs.pop("DATA", None) is not None
            slow, within = needs.pop("slow", None) is not None, float(needs.pop("within", 1e-5))
            if slow and not patterns:
                print("SKIPPED  %s: trains networks for long; make golden GOLDEN=%s makes it" % (name, folder + "/" + outputs[0]), flush=True)
                continue
            python, found = chosen(needs, "--any-version" in sys.argv)
            if needs_data and not os.path.isdir(DATA):
                python, found = None, "the shared test data are not in %s (RTX_SHARED_DATA)" % DATA
            if not python:
                lacking += 1
                print("SKIPPED  %s: %s" % (name, found), flush=True)
                continue
            start = time.time()
            names = make(work, folder, command, outputs, python)
            changed, kept = settle(work, folder, outputs, names, within) if names else ([], 0)
            failed += not names
            print("%s  %s: %s, %s; %.0f s%s" % ("FAILED " if not names else "CHANGED" if changed else "same   ", name, python,
                  ", ".join("%s %s" % v for v in found.items()), time.time() - start, "; equal but for rounding: %d" % kept if kept else ""),
                  *changed, sep="\n           ", flush=True)
    sys.exit(bool(failed or lacking and os.environ.get("RTX_REQUIRE_PEERS") == "1"))


if __name__ == "__main__":
    main()
