"""What a user does with a model in ten lines: python3 onnx_predict.py MODEL IMAGE..."""
import json, sys
import numpy as np, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
spec = json.loads(session.get_modelmeta().custom_metadata_map["rtx.spec"])
(h, w), filter = spec["input_size"], getattr(Image.Resampling, spec["interpolation"].upper())
for path in sys.argv[2:]:
    m = Image.open(path).convert("RGB")
    if spec["crop"] == "center":
        scale, (a, b) = spec["resize"], m.size
        m = m.resize((scale, int(scale * b / a)) if a <= b else (int(scale * a / b), scale), filter)
        left, top = round((m.width - w) / 2), round((m.height - h) / 2)
        m = m.crop((left, top, left + w, top + h))
    x = np.asarray(m.resize((w, h), filter))[None]
    if spec["layout"] == "nchw":
        x = x.transpose(0, 3, 1, 2).astype(np.float32) / 255
    y = session.run(["logits"], {"images": x})[0][0].astype(np.float64)
    p = np.exp(y - y.max())
    print(json.dumps((p / p.sum()).tolist()))
