"""Makes the checkpoints of this folder, and what PyTorch reads from them:

golden.tsv      file, place, dtype, size, first half of the SHA-256 of the contiguous little-endian bytes
real.tsv        the same of the files in the folder of shared test data
pickles.jsonl   pickles of every protocol, base64, and their values in JSON

    python3 make.py [--tables] [SHARED_DATA]        # torch 1.13, dill
"""
import argparse, base64, collections, copy, glob, hashlib, io, json, os, pickle, struct, sys, warnings, zipfile
import dill, numpy as np, torch
from torch import nn

torch.manual_seed(1)
dill.settings["recurse"] = True  # a lambda without the globals of this script


def no_source(*args):
    raise OSError("legacy files of modules are to be without their source code")


torch.serialization.get_source_lines_and_file = no_source
warnings.simplefilter("ignore")
here = os.path.dirname(os.path.abspath(__file__))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 2)
        self.register_buffer("passing", torch.ones(2), persistent=False)

    def forward(self, x):
        return self.fc(self.layer1(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


class InputNormalize(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("new_mean", torch.tensor([0.485, 0.456, 0.406])[..., None, None])
        self.register_buffer("new_std", torch.tensor([0.229, 0.224, 0.225])[..., None, None])


class Attacker(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.normalize = InputNormalize()
        self.model = model


class AttackerModel(nn.Module):
    """The modules of MadryLab's robustness, by name."""

    def __init__(self, model, shared):
        super().__init__()
        self.normalizer = InputNormalize()
        self.model = model
        self.attacker = Attacker(model if shared else copy.deepcopy(model))


class DummyModel(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


class Wrapped(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module


class Runs:
    """What a hostile checkpoint holds: code that unpickling runs."""

    def __init__(self, f, *args):
        self.call = f, args

    def __reduce__(self):
        return self.call


class Late:
    """A call of a function that this torch does not have yet."""

    def __init__(self, name, *args):
        def f(*args):
            return args[0] if "parameter" in name else torch._utils._rebuild_tensor(*args[:4])
        self.f, self.args = f, args
        self.f.__module__, self.f.__qualname__, self.f.__name__ = "torch._utils", name, name
        setattr(torch._utils, name, self.f)

    def __reduce__(self):
        return self.f, self.args


def train(net):
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 50)
    for _ in range(2):
        opt.zero_grad()
        net(torch.randn(4, 3, 5, 5)).square().sum().backward()
        opt.step()
        schedule.step()
    return opt, schedule


def robust(shared=False, dummy=False):
    net = Net()
    opt, schedule = train(net)
    model = Wrapped(AttackerModel(DummyModel(net) if dummy else net, shared))
    return {
        "model": model.state_dict(), "optimizer": opt.state_dict(), "schedule": schedule.state_dict(), "epoch": 90,
        "amp": None, "nat_prec1": np.float64(62.83), "adv_prec1": np.float32(35.5),
    }


def differing():
    c = robust()
    c["model"]["module.attacker.model.fc.bias"][1] += 1
    return c


def dtypes():
    x = torch.tensor([[0, 1, 2], [3, 100, 7]])
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128".split()
    d = {k: x.to(getattr(torch, k)) for k in kinds}
    return {**d, "scalar": torch.tensor(2.5), "one": torch.tensor([7]), "empty": torch.zeros(0, 3), "none": torch.tensor([])}


def views():
    base, flat = torch.arange(24.0).reshape(4, 6), torch.arange(40, dtype=torch.int16)
    return collections.OrderedDict(
        base=base, rows=base[1:3], columns=base[:, 2:4], transposed=base.t(), steps=base[::2, ::3], item=base[2, 3],
        expanded=base[:1].expand(5, 6), one=torch.tensor(3.0).expand(2, 2), permuted=torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
        part=flat[3:9].view(2, 3), tail=flat[30:], last=torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
        unit=base[:, 1:2].t(), nothing=base[4:],
    )


def parameters():
    w = torch.arange(6.0)
    return {
        "weight": nn.Parameter(torch.randn(2, 3)), "tied": nn.Parameter(w), "tied2": w.view(2, 3),
        "late": Late("_rebuild_parameter_with_state", torch.randn(3), True, collections.OrderedDict(), {"note": 1}),
        "more": Late("_rebuild_tensor_v2", w.storage(), 1, (2,), (1,), False, collections.OrderedDict(), {"conj": False}),
        "third": Late("_rebuild_tensor_v3", w.storage(), 2, (3,), (1,), False, collections.OrderedDict(), torch.float32),
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
    }


def trainer(dilled=False):
    net = Net()
    opt, schedule = train(net)
    c = {
        "epoch": 3, "arch": "net", "state_dict": {"module." + k: v for k, v in net.state_dict().items()}, "best_acc1": torch.tensor(76.5),
        "optimizer": opt.state_dict(), "lr_scheduler": schedule, "args": argparse.Namespace(lr=0.1, data=["a"]),
        "meters": collections.defaultdict(list, loss=[1.5, 2]), "size": torch.Size([2, 3]), "device": torch.device("cuda", 1),
        "dtype": torch.float16, "classes": {"a"}, "big": 1 << 70, "ok": True, "path": "/data/ü",
    }
    if dilled:
        c["lr_scheduler"] = schedule.state_dict()  # dill would put code of torch into the file
        c["lr"] = eval("lambda epoch: 0.1 * epoch", {"__name__": "recipe"})
    return c


def arrays():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {
        "f8": np.float64(1.5), "f4": np.float32(0.1), "f2": np.float16(-2.5), "i8": np.int64(-3), "i4": np.int32(-4), "i2": np.int16(-2), "i1": np.int8(-1), "f2s": np.float16(6e-8), "u1": np.uint8(200),
        "b": np.bool_(True), "text": np.str_("abc"), "array": a, "fortran": np.asfortranarray(a), "empty": np.zeros((0, 2)), "names": np.array(["a", "bc"]), "big": np.arange(3, dtype=">f4"),
    }


class Plain(nn.Module):
    """The residual network that rtx calls resnet2b. Its weights are overlapping views of one small storage, which keeps its file small."""

    def __init__(self, base):
        super().__init__()
        conv = lambda i, o, k=3: nn.Conv2d(i, o, k, bias=True)
        block = lambda i, **shortcut: nn.ModuleDict({"conv1": conv(i, 16), "conv2": conv(16, 16), **shortcut})
        self.conv1 = conv(3, 8)
        self.layer1 = nn.Sequential(block(8, shortcut=nn.Sequential(conv(8, 16, 1))), block(16))
        self.linear1, self.linear2 = nn.Linear(1024, 100), nn.Linear(100, 10)
        for i, p in enumerate(self.parameters()):
            p.data = base[i:].as_strided(p.shape, (7, 5, 3, 1) if p.dim() == 4 else (1,) * p.dim())


def robust_known():
    base = torch.randn(1200)
    net = Plain(base)
    robust = AttackerModel(net, True)
    robust.attacker.model = Plain(base.clone())
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 50)
    for p in net.parameters():
        opt.state[p]["momentum_buffer"] = p.detach()
    return {
        "model": Wrapped(robust).state_dict(), "optimizer": opt.state_dict(), "schedule": schedule.state_dict(), "epoch": 150,
        "amp": None, "nat_prec1": np.float64(67.25), "adv_prec1": np.float32(51.5),
    }


def arrays_alone():
    return {"state_dict": {"w": torch.ones(2)}, "mean": np.array([0.5, 0.25]), "rate": np.float64(0.5)}


cases = {
    "plain": lambda: Net().state_dict(), "dtypes": dtypes, "views": views, "parameters": parameters, "trainer": trainer,
    "module": lambda: {"model": Wrapped(Net()), "epoch": 1}, "robust": robust, "robust_shared": lambda: robust(shared=True),
    "robust_dummy": lambda: robust(dummy=True), "robust_differs": differing, "arrays": arrays_alone,
    "list": lambda: [{"w": torch.ones(1)}, {"w": torch.zeros(1)}, {"w": torch.full((1,), 2.0)}],
    "ema": lambda: {"ema": {"w": torch.ones(1)}, "model": {"state_dict": {"w": torch.zeros(1)}}},
    "sequential": lambda: {"net": {"0.mean": torch.tensor([[[0.5]], [[0.25]], [[0.75]]])[None], "0.std": torch.ones(1, 3, 1, 1), "1.module.w": torch.ones(2)}},
    "pair": lambda: {"generator": {"w": torch.ones(1)}, "discriminator": {"module.w": torch.ones(1)}},
    "lists": lambda: {"model": [{"w": torch.ones(1)}, {"w": torch.ones(1)}]},
    "hostile": lambda: {"state_dict": {"w": torch.ones(2)}, "a": Runs(os.system, "touch /tmp/it-ran"), "b": Runs(eval, "1/0"), "c": Runs(exec, "1/0"), "d": argparse.Namespace(n=argparse.Namespace())},
}


def half(b):
    return hashlib.sha256(b).hexdigest()[:32]


def digest(t):
    t = t.detach().contiguous()
    b = b"" if t.numel() == 0 else t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.dtype == torch.bfloat16 else t.numpy().tobytes()
    return half(b)


def walk(v, place):
    if isinstance(v, torch.Tensor):
        yield place, str(v.dtype).split(".")[1], "x".join(map(str, v.shape)), digest(v)
    elif isinstance(v, np.ndarray) and v.dtype.kind in "fiub" and not place.endswith("/big"):  # we leave big-endian arrays alone
        yield from walk(torch.from_numpy(np.ascontiguousarray(v)), place)
    elif isinstance(v, nn.Module):
        yield from walk(v.state_dict(), place)
    elif isinstance(v, dict):
        for k, x in v.items():
            yield from walk(x, f"{place}/{k}")
    elif isinstance(v, (list, tuple)):
        for i, x in enumerate(v):
            yield from walk(x, f"{place}/{i}")


def table(out, paths, root):
    with open(os.path.join(here, out), "w") as f:
        for p in sorted(paths):
            for row in walk(torch.load(p, map_location="cpu", pickle_module=dill), ""):
                print(os.path.relpath(p, root), *row, sep="\t", file=f)


def deflate(name):
    out = io.BytesIO()
    with zipfile.ZipFile(os.path.join(here, name + ".pt")) as z, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as w:
        for e in z.infolist():
            w.writestr(zipfile.ZipInfo(e.filename), z.read(e), zipfile.ZIP_DEFLATED)
    open(os.path.join(here, name + "_deflated.pt"), "wb").write(out.getvalue())


def legacy_parts():
    """A legacy file as PyTorch before 0.4 wrote views of storages."""
    root = torch.arange(10.0)

    class Part:
        def __init__(self, first, n):
            self.id = ("storage", torch.FloatStorage, "root", "cpu", 10, None if n is None else (f"part{first}", first, n))

    class Tensor:
        def __init__(self, part, offset, size, stride):
            self.args = part, offset, size, stride

        def __reduce__(self):
            return torch._utils._rebuild_tensor, self.args

    class Pickler(pickle._Pickler):
        def persistent_id(self, v):
            return v.id if isinstance(v, Part) else None

    with open(os.path.join(here, "parts_legacy.pth"), "wb") as f:
        for v in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(v, f, 2)
        Pickler(f, 2).dump({"all": Tensor(Part(0, None), 0, (2, 5), (5, 1)), "part": Tensor(Part(3, 4), 1, (3,), (1,)), "again": Tensor(Part(3, 4), 0, (2, 2), (1, 2))})
        pickle.dump(["root"], f, 2)
        f.write(struct.pack("<q", 10) + root.numpy().tobytes())


def safetensors():
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
    header, data = {"__metadata__": {"format": "pt", "arch": "net"}}, b""
    rows = []
    for dtype, code in names.items():
        t = torch.tensor([[1, 0, 3]]).to(getattr(torch, dtype))
        b = t.view(torch.int16).numpy().tobytes() if dtype == "bfloat16" else t.numpy().tobytes()
        header["module." + dtype] = {"dtype": code, "shape": [1, 3], "data_offsets": [len(data), len(data) + len(b)]}
        data += b
        rows += [("dtypes.safetensors", "/module." + dtype, dtype, "1x3", half(b))]
    head = json.dumps(header).encode()
    open(os.path.join(here, "dtypes.safetensors"), "wb").write(struct.pack("<Q", len(head)) + head + data)
    with open(os.path.join(here, "golden.tsv"), "a") as f:
        for r in rows:
            print(*r, sep="\t", file=f)


class Point:
    def __init__(self):
        self.x, self.y = 1, "two"


def pickles():
    values = [
        None, True, False, 0, 255, 256, 65536, -1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**64, -(2**100), 1.5, -2e300, "", "plain",
        "ü€😀 \\ \n '\"", "x" * 300, "y" * 4200, [], [1, [2, []]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": 1, "b": {"c": [None]}},
        collections.OrderedDict([("z", 1), ("a", 2)]), collections.defaultdict(list, k=[1]), {7}, frozenset([8]),
        b"", b"bytes \x00\xff", bytearray(b"array \xfe"), list(range(1100)), {str(i): i for i in range(300)},
    ]
    shared = ["s"]
    values.append([shared, shared, {"k": shared}])

    def plain(v):
        if isinstance(v, (bytes, bytearray)):
            return {"bytes": base64.b64encode(v).decode()}
        if isinstance(v, (set, frozenset, tuple)):
            return [plain(x) for x in v]
        if isinstance(v, list):
            return [plain(x) for x in v]
        if isinstance(v, dict):
            return [[k, plain(x)] for k, x in v.items()]
        if isinstance(v, int) and not isinstance(v, bool):
            return str(v)
        return v

    with open(os.path.join(here, "pickles.jsonl"), "w") as f:
        for protocol in range(6):
            for v in values:
                p = pickle._dumps(v, protocol) if protocol < 2 else pickle.dumps(v, protocol)
                if len(p) < 1000 or protocol == 4:
                    print(json.dumps({"protocol": protocol, "pickle": base64.b64encode(p).decode(), "want": plain(v)}), file=f)


def save(name, value, suffix="", **kw):
    torch.save(value, os.path.join(here, name + suffix), **kw)


def files():
    for name, make in cases.items():
        value = make()
        save(name, value, ".pt")
        if name not in ("pair", "lists", "robust_shared", "robust_differs", "robust_dummy"):
            save(name, value, "_legacy.pth", _use_new_zipfile_serialization=False)
    dilled = trainer(dilled=True)
    save("trainer_dill", dilled, ".pt", pickle_module=dill)
    save("trainer_dill", dilled, "_legacy.pth", pickle_module=dill, _use_new_zipfile_serialization=False)
    save("robust_dill", robust(), ".ckpt", pickle_module=dill)
    save("numbers", arrays(), ".pt")
    known = robust_known()
    save("robust_resnet2b", known, ".ckpt", pickle_module=dill)
    save("robust_resnet2b", known, "_legacy.pth", pickle_module=dill, _use_new_zipfile_serialization=False)
    for protocol in (1, 4, 5):
        save(f"protocol{protocol}", {"net": {"w": torch.ones(2, 3)}, "array": np.arange(3), "scalar": np.float32(2)}, ".pt", pickle_protocol=protocol)
    save("protocol1", {"net": {"w": torch.ones(2, 3)}}, "_legacy.pth", pickle_protocol=1, _use_new_zipfile_serialization=False)
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    save("quantized", {"w": torch.ones(2), "q": quantized}, "_legacy.pth", _use_new_zipfile_serialization=False)
    deflate("plain")
    deflate("views")
    legacy_parts()
    pickles()


# Files made anew may differ in bytes that do not matter: legacy files name storages
# by addresses in memory, and a few weights are trained. --tables writes the tables
# alone, of the files that are there. (A dilled lambda has the number of its line in
# this script.)
if __name__ == "__main__":
    args = sys.argv[1:]
    if args[:1] == ["--tables"]:
        args = args[1:]
        for make in cases.values():
            make()  # puts what the files name into torch
    else:
        files()
    made = [p for p in glob.glob(os.path.join(here, "*.p*t*")) + glob.glob(os.path.join(here, "*.ckpt")) if not p.endswith(".py") and "hostile" not in p and "quantized" not in p]
    table("golden.tsv", made, here)
    safetensors()
    if args:
        nets = [p for g in ("nets/*.th", "nets/*.pth", "ours/*.pt") for p in glob.glob(os.path.join(args[0], g))]
        table("real.tsv", nets, args[0])
