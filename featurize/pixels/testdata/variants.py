"""Writes testdata/variants: the less common kinds of file of each format, byte by
byte where Pillow does not write them."""
import os, random, struct
from PIL import Image

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "variants")
os.makedirs(out, exist_ok=True)
r = random.Random(7)
w, h = 21, 13
base = Image.new("RGB", (w, h))
for x in range(w):
    for y in range(h):
        base.putpixel((x, y), (x * 12 % 256, (y * 19 + x) % 256, (x * y + r.randrange(40)) % 256))
grey = base.convert("L")


def write(name, *parts):
    with open(os.path.join(out, name), "wb") as f:
        f.write(b"".join(p.encode() if isinstance(p, str) else p for p in parts))


def save(im, name, **options):
    im.save(os.path.join(out, name), **options)


def netpbm():
    bits = [[(x * 3 + y * 5) % 7 < 3 for x in range(w)] for y in range(h)]
    rows = b"".join(bytes(sum(b << 7 - i for i, b in enumerate(row[x:x + 8])) for x in range(0, w, 8)) for row in bits)
    write("p1.pbm", "P1\n# a comment\n%d %d\n" % (w, h), "\n".join(" ".join("01"[b] for b in row) for row in bits))
    write("p1-dense.pbm", "P1 %d %d " % (w, h), "".join("01"[b] for row in bits for b in row) + "#end")
    write("p4.pbm", "P4\n%d %d\n" % (w, h), rows)
    write("p4-short.pbm", "P4\n%d %d\n" % (w, h), rows[:-1])
    for maximum in (255, 1, 100, 256, 1000, 65535):
        low = [r.randrange(min(maximum, 400) + 1) for _ in range(w * h)]
        colour = [r.randrange(maximum + 1) for _ in range(w * h * 3)]
        code = ">%dB" if maximum < 256 else ">%dH"
        write("p2-%d.pgm" % maximum, "P2\n%d %d\n%d\n" % (w, h, maximum), " ".join(map(str, low)))
        write("p5-%d.pgm" % maximum, "P5\n%d %d\n%d\n" % (w, h, maximum), struct.pack(code % len(low), *low))
        write("p3-%d.ppm" % maximum, "P3\n%d %d\n%d\n" % (w, h, maximum), "\n".join(map(str, colour)), " 7 8 9\n")
        write("p6-%d.ppm" % maximum, "P6\n%d %d\n%d\n" % (w, h, maximum), struct.pack(code % len(colour), *colour), b"tail")
    colour = base.tobytes()
    write("p6-comments.ppm", "P6 #one\r#two # three\n %d#four\n%d\t#five\n\n2#six\n55\n" % (w // 10, w % 10), colour)
    write("p6-between.ppm", "P6\n#a\n%d #b\n%d\n#c 9\n255\n" % (w, h), colour)
    write("p6-inside.ppm", "P6\n2#one\n1 %d 255\n" % h, colour)  # a comment within a number
    write("p6-vertical.ppm", b"P6\x0b%d\x0c%d\r255 " % (w, h), colour)
    write("p6-over.ppm", "P6\n%d %d\n100\n" % (w, h), colour)  # samples above the maximum
    write("p3-over.ppm", "P3\n1 1\n100\n99 100 101\n")
    write("p3-negative.ppm", "P3\n1 1\n100\n99 100 -1\n")
    write("p3-comments.ppm", "P3\n2 1\n255\n1 2 #3\n3 4#5\r5 # 6\n 66 77")
    write("p3-short.ppm", "P3\n2 1\n255\n1 2 3 4 5")
    write("p5-short.pgm", "P5\n%d %d\n65535\n" % (w, h), colour[:w * h])
    write("p6-max0.ppm", "P6\n%d %d\n0\n" % (w, h), colour)
    write("p6-max65536.ppm", "P6\n%d %d\n65536\n" % (w, h), colour * 2)
    write("p6-zero.ppm", "P6\n0 %d\n255\n" % h, colour)
    write("p6-bomb.ppm", "P6\n99999999 99999999\n255\n", colour)
    write("p2-long.pgm", "P2\n1 1\n255\n00000000012\n")


netpbm()
