"""Draws testdata/images: one small picture in many kinds of file."""
import os, random
from PIL import Image

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
os.makedirs(out, exist_ok=True)
r = random.Random(5)
w, h = 45, 31
base = Image.new("RGB", (w, h))
for x in range(w):
    for y in range(h):
        base.putpixel((x, y), (x * 5 % 256, (y * 8 + x) % 256, (x * y + r.randrange(40)) % 256))
save = lambda im, name, **kw: im.save(os.path.join(out, name), **kw)
for s, n in ((0, "444"), (1, "422"), (2, "420")):
    save(base, f"jpeg-{n}.jpg", quality=88, subsampling=s)
save(base, "jpeg-progressive.jpg", quality=80, progressive=True)
save(base, "jpeg-restart.jpg", quality=80, restart_marker_blocks=2)
save(base.convert("L"), "jpeg-grey.jpg")
save(base.convert("CMYK"), "jpeg-cmyk.jpg")
data = open(os.path.join(out, "jpeg-420.jpg"), "rb").read()
open(os.path.join(out, "jpeg-tail.jpg"), "wb").write(data + b"garbage after the end")
for cut in (2, 20, 200, len(data) // 2, len(data) - 40, len(data) - 2, len(data) - 1):
    open(os.path.join(out, f"jpeg-cut-{cut}.jpg"), "wb").write(data[:cut])
damaged = bytearray(data)
damaged[len(data) * 2 // 3] ^= 0x55
open(os.path.join(out, "jpeg-damaged.jpg"), "wb").write(damaged)
alpha = base.copy()
alpha.putalpha(base.convert("L"))
save(alpha, "png-rgba.png")
save(base, "png-rgb.png")
save(base, "png-rgb-trns.png", transparency=(0, 0, 0))
save(base.convert("L"), "png-grey.png")
save(base.convert("L"), "png-grey-trns.png", transparency=7)
save(alpha.convert("LA"), "png-la.png")
save(base.convert("1"), "png-1.png")
palette = base.quantize(60)
save(palette, "png-p.png")
save(palette, "png-p-trns.png", transparency=3)
save(base.quantize(4), "png-p2.png", bits=2)
grey16 = Image.frombytes("I;16", (w, h), bytes(r.randrange(256) if i % 2 == 0 else r.choice((0, 0, 0, 1, 9)) for i in range(2 * w * h)))
save(grey16, "png-16.png")
save(grey16, "png-16-trns.png", transparency=300)
save(palette, "gif-plain.gif")
save(palette, "gif-transparent.gif", transparency=3)
save(palette, "gif-animated.gif", save_all=True, append_images=[base.rotate(90).quantize(30)], duration=50)
save(base, "bmp-24.bmp")
save(palette, "bmp-8.bmp")
save(base.convert("1"), "bmp-1.bmp")
for c in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    save(base, f"tiff-{c or 'raw'}.tif", compression=c)
save(base.convert("L"), "tiff-grey.tif")
save(alpha, "tiff-rgba.tif")
save(palette, "tiff-p.tif")
for n in (3, 4):
    save(base.convert("1"), f"tiff-fax{n}.tif", compression=f"group{n}")
save(base, "webp-lossy.webp", quality=60)
save(base.crop((0, 0, 44, 30)), "webp-even.webp", quality=60)
save(base, "webp-lossless.webp", lossless=True)
save(alpha, "webp-alpha.webp", quality=70)
save(base.resize((1, 1)), "one.png")
save(base.resize((3, 200)), "tall.png")
