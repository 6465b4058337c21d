"""Classifiers in ONNX as other tools export them, and what their authors get of them.

    foreign.py make OUT           each network that this interpreter can make: OUT/ID.onnx
                                  and OUT/ID.json, which says how it is fed; a network
                                  whose file is there is left alone
    foreign.py list               the identifiers, and what each needs
    foreign.py images OUT         draws the images
    foreign.py reference OUT      onnxruntime's features and probabilities for the images,
                                  a line of JSON for each network

Weights are random. A record tells the author's own preprocessing: of pixels from 0
to 255, x = (pixel * scale - mean) / std, in the order of channels and the layout of
the file; flags is what a user has to tell rtx, because no file can say it.
"""
import importlib.metadata as metadata
import json, os, random, sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

NETWORKS = {}
IMAGENET = dict(scale=1 / 255, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
UNIT = dict(scale=1 / 255, mean=[0, 0, 0], std=[1, 1, 1])
RAW = dict(scale=1, mean=[0, 0, 0], std=[1, 1, 1])
K = 7  # classes


def network(name, exporter, architecture, tail, needs, features, flags=(), size=64, channels="rgb", layout="nchw", dtype="float32", layer="", **values):
    """Registers a maker of a network. tail: what its output is. features: their number,
    0 where there is no head to take away."""
    def register(make):
        NETWORKS[name] = dict(make=make, needs=needs.split(), record=dict(
            exporter=exporter, network=architecture, tail=tail, features=features, flags=list(flags), size=size, channels=channels,
            layout=layout, dtype=dtype, layer=layer, **{**IMAGENET, **values}))
        return make
    return register


# ---- PyTorch

def cnn(channels=3, classes=K, width=16, norm=True, head=True):
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers = []
            for a, b in ((channels, 8), (8, width)):
                layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b) if norm else nn.Identity(), nn.ReLU()]
            self.features = nn.Sequential(*layers)
            self.fc = nn.Linear(width, classes) if head else nn.Identity()

        def forward(self, x):
            return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), 1), 1))
    return Net()


def ready(module, channels=3, size=64, seed=1, images=None):
    """Weights and statistics that tell images apart; of normalised noise, or of what
    images makes of noise from 0 to 1."""
    import torch
    from torch import nn
    g = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            fan = m.weight[0].numel()
            m.weight.data = torch.randn(m.weight.shape, generator=g) * (2 / fan) ** 0.5
            if m.bias is not None:
                m.bias.data = torch.randn(m.bias.shape, generator=g) * 0.3
    module.train()
    for m in module.modules():
        if isinstance(m, nn.Dropout):
            m.eval()
    with torch.no_grad():
        for _ in range(100 if images else 20):
            x = torch.randn(8, channels, size, size, generator=g)
            module(images(x.sigmoid()) if images else x)
    module.eval()
    return module


def then(module, *after, before=None):
    """The module with functions after it, and perhaps one before."""
    from torch import nn

    class Then(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, x):
            x = self.inner(before(x) if before else x)
            for f in after:
                x = f(x)
            return x
    return Then().eval()


def legacy(module, path, opset, dynamic=True, channels=3, size=64, outputs=("output",), x=None, **options):
    import torch
    x = torch.rand(1 if dynamic else 2, channels, size, size) if x is None else x
    axes = {n: {0: "batch"} for n in ("input",) + tuple(outputs)} if dynamic else None
    if int(torch.__version__.split(".")[0]) > 1:
        options["dynamo"] = False
    torch.onnx.export(module, (x,), path, opset_version=opset, input_names=["input"], output_names=list(outputs), dynamic_axes=axes, **options)


def dynamo(module, path, opset, dynamic=True, channels=3, size=64, outputs=("output",), external=False, x=None):
    import torch
    x = torch.rand(2, channels, size, size) if x is None else x
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    torch.onnx.export(module, (x,), path, opset_version=opset, input_names=["input"], output_names=list(outputs), dynamo=True, external_data=external,
                      dynamic_shapes=shapes, verbose=False)


def torchvision_net(name, **options):
    import torch, torchvision
    torch.manual_seed(3)
    return ready(getattr(torchvision.models, name)(num_classes=K, **options))


OLD, NEW = "torch=1.13 torchvision", "torch=2 torchvision onnx onnxscript"
LEGACY, DYNAMO = "PyTorch, TorchScript exporter", "PyTorch, dynamo exporter"


@network("resnet18-opset9", LEGACY, "ResNet-18", "logits", OLD, 512)
def _(path):
    legacy(torchvision_net("resnet18"), path, 9, dynamic=False)


@network("mobilenet-v2-opset11", LEGACY, "MobileNet-v2", "logits", OLD, 1280)
def _(path):
    legacy(torchvision_net("mobilenet_v2"), path, 11)


@network("computed-reshape", LEGACY, "small CNN, x.view(x.size(0), -1)", "logits", OLD, 16)
def _(path):
    from torch import nn
    m = ready(cnn())
    m.forward = lambda x: m.fc((lambda y: y.view(y.size(0), -1))(nn.functional.adaptive_avg_pool2d(m.features(x), 1)))
    legacy(m, path, 9)


@network("fixed-batch-softmax", LEGACY, "small CNN", "softmax", OLD, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y.softmax(1)), path, 12, dynamic=False)


@network("log-softmax", LEGACY, "small CNN", "log-softmax", OLD, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y.log_softmax(1)), path, 13)


@network("one-sigmoid", LEGACY, "small CNN", "one sigmoid", OLD, 16)
def _(path):
    legacy(then(ready(cnn(classes=1)), lambda y: y.sigmoid()), path, 13)


@network("one-sigmoid-squeezed", LEGACY, "small CNN", "one sigmoid", NEW, 16)
def _(path):
    legacy(then(ready(cnn(classes=1)), lambda y: y.sigmoid().squeeze(1)), path, 17)


@network("multi-label", LEGACY, "small CNN", "sigmoids", OLD, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y.sigmoid()), path, 13)


@network("temperature", LEGACY, "small CNN, logits / 3", "logits", NEW, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y / 3), path, 17)


@network("softmax-clip-log", LEGACY, "small CNN, log(clip(softmax))", "log-softmax", NEW, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y.softmax(1).clamp(1e-7, 1 - 1e-7).log()), path, 17)


@network("softmax-reshaped", LEGACY, "small CNN, softmax of [N,K,1,1], flattened", "softmax", NEW, 16)
def _(path):
    legacy(then(ready(cnn()), lambda y: y[:, :, None, None].softmax(1).flatten(1)), path, 17)


@network("norm-unit", LEGACY, "small CNN, (x - mean) / std within", "logits", OLD, 16, **UNIT)
def _(path):
    import torch
    mean, std = (torch.tensor(IMAGENET[k])[None, :, None, None] for k in ("mean", "std"))
    legacy(then(ready(cnn()), before=lambda x: (x - mean) / std), path, 11)


@network("norm-255", LEGACY, "small CNN, (x / 255 - mean) / std within", "logits", OLD, 16, **RAW)
def _(path):
    import torch
    mean, std = (torch.tensor(IMAGENET[k])[None, :, None, None] for k in ("mean", "std"))
    legacy(then(ready(cnn()), before=lambda x: (x / 255 - mean) / std), path, 11)


@network("norm-123", LEGACY, "small CNN, (x - 123.675) / 58.395 within", "softmax", NEW, 16, **RAW)
def _(path):
    import torch
    mean, std = (255 * torch.tensor(IMAGENET[k])[None, :, None, None] for k in ("mean", "std"))
    legacy(then(ready(cnn()), lambda y: y.softmax(-1), before=lambda x: (x - mean) / std), path, 17)


@network("norm-minus1", LEGACY, "small CNN, x * 2 - 1 within", "logits", NEW, 16, **UNIT)
def _(path):
    legacy(then(ready(cnn()), before=lambda x: x * 2 - 1), path, 16)


@network("uint8-nhwc", LEGACY, "small CNN, bytes in, normalised within", "softmax", NEW, 16, layout="nhwc", dtype="uint8", **RAW)
def _(path):
    import torch
    mean, std = (torch.tensor(IMAGENET[k])[None, :, None, None] for k in ("mean", "std"))
    legacy(then(ready(cnn()), lambda y: y.softmax(-1), before=lambda x: (x.permute(0, 3, 1, 2).float() / 255 - mean) / std), path, 17,
           x=torch.zeros(1, 64, 64, 3, dtype=torch.uint8))


@network("uint8-nchw", LEGACY, "small CNN, bytes in, normalised within", "logits", OLD, 16, dtype="uint8", **RAW)
def _(path):
    import torch
    mean, std = (torch.tensor(IMAGENET[k])[None, :, None, None] for k in ("mean", "std"))
    legacy(then(ready(cnn()), before=lambda x: (x.float() / 255 - mean) / std), path, 13, x=torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


@network("batchnorm-first", LEGACY, "BatchNorm, small CNN", "logits", NEW, 16, **UNIT)
def _(path):
    from torch import nn
    m = ready(cnn())
    legacy(ready(nn.Sequential(nn.BatchNorm2d(3), m), images=lambda x: x), path, 17, training=__import__("torch").onnx.TrainingMode.PRESERVE, do_constant_folding=False)


@network("bgr-caffe", LEGACY, "small CNN of Caffe's input: BGR, less the means", "softmax", NEW, 16, channels="bgr",
         flags=["--channels", "bgr", "--range", "0..255", "--normalize", "123.68,116.779,103.939/1,1,1"], scale=1, mean=[103.939, 116.779, 123.68], std=[1, 1, 1])
def _(path):
    legacy(then(ready(cnn(), images=lambda x: 255 * x - 115), lambda y: y.softmax(-1)), path, 17)


@network("grey", LEGACY, "LeNet of one channel", "log-softmax", OLD, 32, size=28, channels="grey", scale=1 / 255, mean=[0.1307], std=[0.3081],
         flags=["--normalize", "0.1307/0.3081"])
def _(path):
    from torch import nn
    net = ready(nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10)), 1, 28)
    legacy(then(net, lambda y: y.log_softmax(1)), path, 12, channels=1, size=28)


@network("headless", LEGACY, "ResNet-18 without its head", "features", OLD, 512)
def _(path):
    from torch import nn
    m = torchvision_net("resnet18")
    m.fc = nn.Identity()
    legacy(m, path, 14)


@network("conv-head", LEGACY, "small CNN, 1x1 convolution over pooled values", "logits", NEW, 16)
def _(path):
    from torch import nn
    m = cnn()
    legacy(ready(nn.Sequential(m.features, nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, K, 1), nn.Flatten())), path, 17)


@network("squeezenet", LEGACY, "SqueezeNet 1.1: a convolution, then the pool", "logits", OLD, 0)
def _(path):
    legacy(torchvision_net("squeezenet1_1"), path, 11)


@network("vgg-three-layers", LEGACY, "VGG-like, three linear layers", "logits", OLD, 24)
def _(path):
    from torch import nn
    m = cnn()
    legacy(ready(nn.Sequential(m.features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Dropout(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, K))), path, 11)


@network("resnet18-dynamo", DYNAMO, "ResNet-18", "logits", NEW, 512)
def _(path):
    dynamo(torchvision_net("resnet18"), path, 18)


@network("efficientnet-dynamo", DYNAMO, "EfficientNet-b0", "softmax", NEW, 1280)
def _(path):
    dynamo(then(torchvision_net("efficientnet_b0"), lambda y: y.softmax(-1)), path, 20)


@network("mobilenet-v3-opset21", DYNAMO, "MobileNet-v3 small", "logits", NEW, 1024)
def _(path):
    dynamo(torchvision_net("mobilenet_v3_small"), path, 21, dynamic=False)


@network("external-data", DYNAMO, "small CNN, weights in a second file", "logits", NEW, 16)
def _(path):
    dynamo(ready(cnn()), path, 18, external=True)


@network("two-outputs", DYNAMO, "small CNN, logits and features", "logits", NEW, 16)
def _(path):
    from torch import nn
    m = ready(cnn())

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            f = nn.functional.adaptive_avg_pool2d(self.m.features(x), 1).flatten(1)
            return self.m.fc(f), f
    dynamo(Two().eval(), path, 18, outputs=("logits", "embedding"))


@network("vit-dynamo", DYNAMO, "timm's ViT-tiny", "logits", NEW + " timm", 192, mean=[0.5] * 3, std=[0.5] * 3, flags=["--normalize", "0.5,0.5,0.5/0.5,0.5,0.5"])
def _(path):
    import timm, torch
    torch.manual_seed(5)
    m = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=K, depth=3)
    torch.nn.init.normal_(m.head.weight, std=0.3)
    dynamo(m.eval(), path, 18)


@network("timm-regnet", LEGACY, "timm's RegNetY-002", "softmax", NEW + " timm", 368)
def _(path):
    import timm, torch
    torch.manual_seed(6)
    legacy(then(ready(timm.create_model("regnety_002", num_classes=K)), lambda y: y.softmax(-1)), path, 17)


# ---- Keras and TensorFlow

TF, KERAS = "tensorflow tf2onnx", "tensorflow keras onnx tf2onnx"


def keras_cnn(rescale=None, classes=K, activation="softmax", dtype="float32"):
    import keras
    keras.utils.set_random_seed(4)
    L = keras.layers
    x = y = keras.Input((64, 64, 3), dtype=dtype)
    if rescale:
        y = L.Rescaling(*rescale)(y)
    for n in (8, 16):
        y = L.Conv2D(n, 3, 2, padding="same", use_bias=False)(y)
        y = L.BatchNormalization(moving_mean_initializer=keras.initializers.RandomNormal(0, 0.1))(y)
        y = L.Activation("relu")(y)
    y = L.GlobalAveragePooling2D()(y)
    y = L.Dense(classes, activation=activation, kernel_initializer=keras.initializers.RandomNormal(0, 2), bias_initializer=keras.initializers.RandomNormal(0, 0.5))(y)
    return keras.Model(x, y)


def tf2onnx_file(model, path, opset=13, dtype=None, **options):
    import tensorflow as tf, tf2onnx
    shape = [None] + list(model.inputs[0].shape[1:])
    call = tf.function(lambda input: model(input, training=False), input_signature=[tf.TensorSpec(shape, dtype or tf.float32, name="input")])
    tf2onnx.convert.from_function(call, call.input_signature, opset=opset, output_path=path, **options)


@network("tf2onnx-softmax", "tf2onnx", "Keras CNN, [0, 1] NHWC", "softmax", TF, 16, layout="nhwc", flags=["--normalize", "none"], **UNIT)
def _(path):
    tf2onnx_file(keras_cnn(), path)


@network("tf2onnx-rescaling", "tf2onnx", "Keras CNN, Rescaling(1/255)", "softmax", TF, 16, layout="nhwc", **RAW)
def _(path):
    tf2onnx_file(keras_cnn((1 / 255,)), path, 15)


@network("tf2onnx-rescaling-minus1", "tf2onnx", "Keras CNN, Rescaling(1/127.5, -1)", "logits", TF, 16, layout="nhwc", **RAW)
def _(path):
    tf2onnx_file(keras_cnn((1 / 127.5, -1), activation=None), path, 12)


@network("tf2onnx-sigmoid", "tf2onnx", "Keras CNN, cats and dogs", "one sigmoid", TF, 16, layout="nhwc", **RAW)
def _(path):
    tf2onnx_file(keras_cnn((1 / 255,), 1, "sigmoid"), path)


@network("tf2onnx-nchw", "tf2onnx", "Keras CNN, inputs as NCHW", "softmax", TF, 16, **RAW)
def _(path):
    tf2onnx_file(keras_cnn((1 / 255,)), path, inputs_as_nchw=["input"])


@network("tf2onnx-efficientnet", "tf2onnx", "Keras' EfficientNet-B0, normalises within", "softmax", TF, 1280, layout="nhwc", **RAW)
def _(path):
    import keras
    keras.utils.set_random_seed(4)
    m = keras.applications.EfficientNetB0(weights=None, classes=K, input_shape=(64, 64, 3))
    m.layers[-1].set_weights([w * 20 if w.ndim > 1 else w for w in m.layers[-1].get_weights()])
    saved = path + ".saved"  # from_function makes inputs of what Normalization holds
    m.export(saved, verbose=False)
    import shutil, subprocess
    subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--saved-model", saved, "--output", path, "--opset", "13"], check=True, capture_output=True)
    shutil.rmtree(saved)


@network("tf2onnx-mobilenet", "tf2onnx", "Keras' MobileNet-v2, [-1, 1]", "softmax", TF, 1280, layout="nhwc", scale=1 / 127.5, mean=[1, 1, 1], std=[1, 1, 1],
         flags=["--range", "-1..1", "--normalize", "none"])
def _(path):
    import keras
    keras.utils.set_random_seed(4)
    m = keras.applications.MobileNetV2(weights=None, classes=K, input_shape=(64, 64, 3))
    m.layers[-1].set_weights([w * 20 if w.ndim > 1 else w for w in m.layers[-1].get_weights()])
    tf2onnx_file(m, path, 13)


def keras_export(model, path):
    import numpy as np
    model(np.zeros((1, 64, 64, 3), np.float32))  # one that was never called is refused
    model.export(path, format="onnx", verbose=False)


@network("keras-export", "Keras 3, Model.export", "Keras CNN, Rescaling(1/255)", "softmax", KERAS, 16, layout="nhwc", **RAW)
def _(path):
    keras_export(keras_cnn((1 / 255,)), path)


@network("keras-export-logits", "Keras 3, Model.export", "Keras CNN, [0, 1]", "logits", KERAS, 16, layout="nhwc", flags=["--normalize", "none"], **UNIT)
def _(path):
    keras_export(keras_cnn(activation=None), path)


# ---- scikit-learn

@network("sklearn-on-cnn", "PyTorch and skl2onnx, merged", "small CNN, logistic regression of scikit-learn", "probabilities", "torch=2 onnx skl2onnx sklearn", 16,
         layer="cnn_output")
def _(path):
    import numpy as np, onnx, skl2onnx
    from onnx import compose
    from sklearn.linear_model import LogisticRegression
    legacy(then(ready(cnn(head=False)), lambda y: y), path, 15)
    r = np.random.default_rng(2)
    x = r.normal(size=(200, 16)).astype(np.float32)
    head = LogisticRegression().fit(x, (x @ r.normal(size=(16, K))).argmax(1))
    head = skl2onnx.to_onnx(head, x[:1], options={"zipmap": False}, target_opset={"": 15, "ai.onnx.ml": 3})
    backbone = compose.add_prefix(onnx.load(path), "cnn_")
    head.ir_version = backbone.ir_version = min(head.ir_version, backbone.ir_version)
    onnx.save(compose.merge_models(backbone, head, [("cnn_output", head.graph.input[0].name)]), path)


# ---- PaddlePaddle

def paddle_net(path, activation=None):
    os.environ["POLYGRAPHY_AUTOINSTALL_DEPS"] = "0"  # its exporter would install packages
    import paddle
    paddle.seed(3)
    m = paddle.vision.models.resnet18(num_classes=K)
    m.fc.weight.set_value(m.fc.weight * 3)
    if activation:
        m = paddle.nn.Sequential(m, activation)
    m.eval()
    paddle.onnx.export(m, path[:-len(".onnx")], input_spec=[paddle.static.InputSpec([None, 3, 64, 64], "float32", "input")], opset_version=13)


@network("paddle-resnet18", "paddle2onnx", "ResNet-18", "logits", "paddle paddle2onnx", 512)
def _(path):
    paddle_net(path)


@network("paddle-softmax", "paddle2onnx", "ResNet-18", "softmax", "paddle paddle2onnx", 512)
def _(path):
    import paddle
    paddle_net(path, paddle.nn.Softmax())


# ---- smaller numbers

ORT = "torch=2 onnx onnxruntime"


def smaller(path, shrink, opset=17, tail=()):
    from onnxruntime.quantization import shape_inference
    first = path + ".float.onnx"
    legacy(then(ready(cnn(width=32)), *tail), first, opset)
    shape_inference.quant_pre_process(first, first)
    shrink(first)
    os.remove(first)


def static(path, **options):
    import numpy as np
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            r = np.random.default_rng(1)
            self.rows = iter([{"input": r.normal(size=(4, 3, 64, 64)).astype(np.float32)} for _ in range(8)])

        def get_next(self):
            return next(self.rows, None)
    return lambda first: q.quantize_static(first, path, Reader(), **options)


@network("int8-dynamic", "onnxruntime, dynamic quantisation", "small CNN", "logits", ORT, 32)
def _(path):
    from onnxruntime import quantization as q
    smaller(path, lambda first: q.quantize_dynamic(first, path, weight_type=q.QuantType.QUInt8))


@network("int8-qdq", "onnxruntime, static quantisation, QDQ", "small CNN", "logits", ORT, 32)
def _(path):
    from onnxruntime import quantization as q
    smaller(path, static(path, quant_format=q.QuantFormat.QDQ, per_channel=True, weight_type=q.QuantType.QInt8, activation_type=q.QuantType.QUInt8))


@network("int8-qdq-softmax", "onnxruntime, static quantisation, QDQ", "small CNN", "softmax", ORT, 32)
def _(path):
    from onnxruntime import quantization as q
    smaller(path, static(path, quant_format=q.QuantFormat.QDQ, weight_type=q.QuantType.QInt8, activation_type=q.QuantType.QInt8), tail=[lambda y: y.softmax(-1)])


@network("int8-qoperator", "onnxruntime, static quantisation, QOperator", "small CNN", "logits", ORT, 32)
def _(path):
    from onnxruntime import quantization as q
    smaller(path, static(path, quant_format=q.QuantFormat.QOperator, weight_type=q.QuantType.QUInt8, activation_type=q.QuantType.QUInt8))


@network("fp16", "onnxconverter-common, float16", "small CNN", "logits", "torch=2 onnx onnxconverter_common", 16, dtype="float16")
def _(path):
    import onnx
    from onnxconverter_common import float16
    legacy(ready(cnn()), path, 17)
    onnx.save(float16.convert_float_to_float16(onnx.load(path)), path)


@network("fp16-float-io", "onnxconverter-common, float16, keep_io_types", "small CNN", "softmax", "torch=2 onnx onnxconverter_common", 16)
def _(path):
    import onnx
    from onnxconverter_common import float16
    legacy(then(ready(cnn()), lambda y: y.softmax(-1)), path, 17)
    onnx.save(float16.convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


# ---- the reference

def draw(out):
    """Six images of different sizes, smooth enough to survive resizing."""
    from PIL import Image
    os.makedirs(out, exist_ok=True)
    r = random.Random(1)
    for i in range(6):
        small = Image.frombytes("RGB", (5, 4), bytes(r.randrange(256) for _ in range(60)))
        small.resize((70 + 9 * i, 90 - 7 * i), Image.Resampling.BICUBIC).save(os.path.join(out, "%d.png" % i))


def feed(record, files):
    import numpy as np
    from PIL import Image
    rows = []
    for f in files:
        im = Image.open(f).convert("RGB")
        if record["channels"] == "grey":
            im = im.convert("L")
        x = np.asarray(im.resize((record["size"],) * 2, Image.Resampling.BILINEAR), np.float64)
        x = x.reshape(*x.shape[:2], -1)
        if record["channels"] == "bgr":
            x = x[:, :, ::-1]
        x = (x * record["scale"] - np.array(record["mean"])) / record["std"]
        rows.append(x if record["layout"] == "nhwc" else x.transpose(2, 0, 1))
    return np.stack(rows).astype(record["dtype"])


WEIGHTED = {"Gemm", "MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "QGemm", "Conv", "ConvInteger", "QLinearConv", "LinearClassifier"}


def feature_tensor(model, output):
    """Walks back from the scores to the last layer with weights: the value that it
    takes, in floating point; with the scale and zero point of one in 8 bits."""
    from onnx import numpy_helper
    made = {o: n for n in model.graph.node for o in n.output}
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    name = output
    while made[name].op_type not in WEIGHTED:
        name = next(i for i in made[name].input if i in made)
    node = made[name]
    name = node.input[0]
    if name in made and made[name].op_type == "DynamicQuantizeLinear":
        return made[name].input[0], None
    if node.op_type in ("QLinearMatMul", "QGemm", "QLinearConv"):
        return name, (weights[node.input[1]], weights[node.input[2]])
    return name, None


def extract(path, record, x):
    import numpy as np, onnx, onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 3
    model = onnx.load(path)
    outputs = [o.name for o in model.graph.output]
    scores = outputs[0] if record["tail"] != "probabilities" else outputs[1]
    wanted, scale = outputs[:1], None
    if record["tail"] != "features" and record["features"]:
        name, scale = feature_tensor(model, scores)
        wanted = [name]
        if name not in outputs:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    copy = path + ".reference.onnx"
    onnx.save(model, copy)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1  # dynamic quantisation looks at the whole batch
    found = {n: [] for n in [scores] + wanted}
    session = ort.InferenceSession(copy, options, providers=["CPUExecutionProvider"])
    for i in range(0, len(x), batch):
        for n, v in zip(found, session.run(list(found), {session.get_inputs()[0].name: x[i:i + batch]})):
            found[n].append(v)
    os.remove(copy)
    y, f = (np.concatenate(found[n]).astype(np.float64) for n in (scores, wanted[0]))
    if scale:
        f = (f - scale[1]) * scale[0]
    return f.reshape(len(x), -1), y.reshape(len(x), -1), rounding(model, scores)


def rounding(model, output):
    """The step of an output that the file rounds to 8 bits; 0 for others."""
    from onnx import numpy_helper
    last = next(n for n in model.graph.node if output in n.output)
    if last.op_type != "DequantizeLinear":
        return 0
    return float(next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == last.input[1]))


def probabilities(tail, y):
    import numpy as np
    if tail in ("logits", "log-softmax"):
        e = np.exp(y - y.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)
    if tail == "one sigmoid":
        return np.concatenate([1 - y, y], 1)
    return y


def versions(needs):
    names = {"sklearn": "scikit-learn", "paddle": "paddlepaddle", "tensorflow": "tensorflow-cpu"}
    out = []
    for n in needs:
        n = n.split("=")[0]
        if n in ("torchvision", "onnx", "onnxscript") and len(needs) > 1:
            continue
        try:
            v = metadata.version(names.get(n, n))
        except metadata.PackageNotFoundError:
            v = __import__(n).__version__
        out.append("%s %s" % (n, v.split("+")[0]))
    return ", ".join(out)


def can(needs):
    for n in needs:
        n, _, version = n.partition("=")
        try:
            if not __import__(n).__version__.startswith(version):
                return False
        except ImportError:
            return False
    return True


def main(command, out=None, *only):
    if command == "list":
        for name, n in NETWORKS.items():
            print(name, n["record"]["exporter"], n["record"]["network"], n["record"]["tail"], " ".join(n["needs"]), sep="\t")
    elif command == "images":
        draw(out)
    elif command == "make":
        for name, n in NETWORKS.items():
            path = os.path.join(out, name + ".onnx")
            if os.path.exists(path[:-5] + ".json") or not can(n["needs"]) or only and name not in only:
                continue
            try:
                n["make"](path)
            except Exception as e:
                print("%s: %s: %s" % (name, type(e).__name__, str(e).split("\n")[0]), file=sys.stderr)
                continue
            with open(path[:-5] + ".json", "w") as f:
                json.dump(dict(n["record"], version=versions(n["needs"])), f)
    elif command == "reference":
        images = [os.path.join(out, "images", "%d.png" % i) for i in range(6)]
        for name in NETWORKS:
            path = os.path.join(out, name + ".onnx")
            if not os.path.exists(path[:-5] + ".json") or only and name not in only:
                continue
            record = json.load(open(path[:-5] + ".json"))
            import onnx
            opset = max(o.version for o in onnx.load(path, load_external_data=False).opset_import if o.domain in ("", "ai.onnx"))
            try:
                f, y, step = extract(path, record, feed(record, images))
                print(json.dumps(dict(record, id=name, opset=opset, step=step, values=f.tolist(), probabilities=probabilities(record["tail"], y).tolist())))
            except Exception as e:
                print(json.dumps(dict(record, id=name, opset=opset, error="%s: %s" % (type(e).__name__, str(e)[:200]))))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
