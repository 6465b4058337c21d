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


def bmp_file(header, palette, pixels, gap=b""):
    offset = 14 + len(header) + len(palette) + len(gap)
    return struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset) + header + palette + gap + pixels


def bmp_header(bits, compression=0, size=40, height=h, colors=0, rest=b""):
    head = struct.pack("<IiiHHIIiiII", size, w, height, 1, bits, compression, 0, 2835, 2835, colors, 0)
    return (head + rest).ljust(max(size, len(head + rest)), b"\0")


def rle(rows, bits, absolute):
    """Rows of indices, the last one first; an absolute run where one fits, or runs."""
    body = b""
    for row in rows:
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and row[x + n] == row[x] and n < 255:
                n += 1
            if absolute and len(row) - x >= 5 and n < 3:
                n = min(len(row) - x, 7)
                run = row[x:x + n]
                if bits == 4:
                    run = [a << 4 | b for a, b in zip(run[::2], run[1::2] + [0])]
                body += bytes([0, n] + run) + b"\0" * (len(run) % 2)
            else:
                body += bytes([n, row[x] if bits == 8 else row[x] << 4 | row[x]])
            x += n
        body += b"\0\0"
    return body + b"\0\1"


def bmp():
    r = random.Random(8)
    triples = [base.getpixel((x, y)) for y in range(h) for x in range(w)]
    upward = [triples[y * w:y * w + w] for y in reversed(range(h))]
    bgrx = [bytes([r.randrange(256) for _ in range(3)]) for _ in range(256)]
    pal4, pal3 = (lambda n: b"".join(c + b"\0" for c in bgrx[:n])), (lambda n: b"".join(bgrx[:n]))
    indices = {bits: [[(x // 3 + y) * 5 % (1 << bits) if y % 2 else r.randrange(1 << bits) for x in range(w)] for y in range(h)] for bits in (1, 2, 4, 8)}
    pack = lambda rows, bits: b"".join(
        bytes(sum(v << 8 - bits * (i + 1) for i, v in enumerate(row[x:x + 8 // bits])) for x in range(0, w, 8 // bits)).ljust((w * bits + 31) // 32 * 4, b"\0")
        for row in rows)
    for bits in (1, 4, 8):
        data = pack(indices[bits], bits)
        write("os2-%d.bmp" % bits, bmp_file(struct.pack("<IHHHH", 12, w, h, 1, bits), pal3(1 << bits), data))
        write("os2v2-%d.bmp" % bits, bmp_file(bmp_header(bits, size=64), pal4(1 << bits), data))
        write("info-%d.bmp" % bits, bmp_file(bmp_header(bits), pal4(1 << bits), data))
        write("gap-%d.bmp" % bits, bmp_file(bmp_header(bits), pal4(1 << bits), data, b"gap"))
        write("down-%d.bmp" % bits, bmp_file(bmp_header(bits, height=-h), pal4(1 << bits), data))
        few = (1 << bits) - 1 if bits > 1 else 1
        write("few-%d.bmp" % bits, bmp_file(bmp_header(bits, colors=few), pal4(few), data))
        write("v4-%d.bmp" % bits, bmp_file(bmp_header(bits, size=108), pal4(1 << bits), data))
        write("v5-%d.bmp" % bits, bmp_file(bmp_header(bits, size=124), pal4(1 << bits), data))
    write("grey-8.bmp", bmp_file(bmp_header(8), b"".join(bytes([i, i, i, 0]) for i in range(256)), pack(indices[8], 8)))
    write("grey-4.bmp", bmp_file(bmp_header(4), b"".join(bytes([17 * i] * 3 + [0]) for i in range(16)), pack(indices[4], 4)))
    write("white-first-1.bmp", bmp_file(bmp_header(1), b"\xff\xff\xff\0\0\0\0\0", pack(indices[1], 1)))
    write("short-8.bmp", bmp_file(bmp_header(8), pal4(256), pack(indices[8], 8)[:-8]))
    write("no-offset-8.bmp", bmp_file(bmp_header(8), pal4(256), pack(indices[8], 8)).replace(struct.pack("<I", 1078), b"\0\0\0\0", 1))
    sixteen = [[r.randrange(1 << 16) for _ in range(w)] for _ in range(h)]
    rows16 = b"".join(struct.pack("<%dH" % w, *row).ljust((w * 16 + 31) // 32 * 4, b"\0") for row in sixteen)
    masks = lambda *m: b"".join(struct.pack("<I", v) for v in m)
    write("rgb555.bmp", bmp_file(bmp_header(16), b"", rows16))
    write("fields-555.bmp", bmp_file(bmp_header(16, 3, rest=masks(0x7c00, 0x3e0, 0x1f)), b"", rows16))
    write("fields-565.bmp", bmp_file(bmp_header(16, 3, rest=masks(0xf800, 0x7e0, 0x1f)), b"", rows16))
    write("fields-565-v3.bmp", bmp_file(bmp_header(16, 3, size=56, rest=masks(0xf800, 0x7e0, 0x1f, 0)), b"", rows16))
    write("fields-444.bmp", bmp_file(bmp_header(16, 3, rest=masks(0xf00, 0xf0, 0xf)), b"", rows16))
    rows24 = b"".join(b"".join(bytes(p[::-1]) for p in row).ljust((w * 24 + 31) // 32 * 4, b"\0") for row in upward)
    write("down-24.bmp", bmp_file(bmp_header(24, height=-h), b"", rows24))
    write("os2-24.bmp", bmp_file(struct.pack("<IHHHH", 12, w, h, 1, 24), b"", rows24))
    write("unpadded-24.bmp", bmp_file(bmp_header(24), b"", rows24[:-1]))
    write("short-24.bmp", bmp_file(bmp_header(24), b"", rows24[:-2]))
    rows32 = bytes(r.randrange(256) for _ in range(4 * w * h))
    write("info-32.bmp", bmp_file(bmp_header(32), b"", rows32))
    write("down-32.bmp", bmp_file(bmp_header(32, height=-h), b"", rows32))
    for n, m in enumerate(((0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
                           (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0, 0, 0, 0))):
        write("fields-32-%d.bmp" % n, bmp_file(bmp_header(32, 3, size=108, rest=masks(*m)), b"", rows32))
    write("fields-32-info.bmp", bmp_file(bmp_header(32, 3, rest=masks(0xFF0000, 0xFF00, 0xFF)), b"", rows32))
    write("fields-32-10bit.bmp", bmp_file(bmp_header(32, 3, rest=masks(0x3FF00000, 0xFFC00, 0x3FF)), b"", rows32))
    for bits, code in ((8, 1), (4, 2)):
        for absolute in (False, True):
            data = rle(indices[bits], bits, absolute)
            write("rle%d%s.bmp" % (bits, "-absolute" * absolute), bmp_file(bmp_header(bits, code), pal4(1 << bits), data))
        write("rle%d-odd.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), data, b"g"))
        write("rle%d-cut.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), data[:len(data) // 2]))
        write("rle%d-os2.bmp" % bits, bmp_file(bmp_header(bits, code, size=64), pal4(1 << bits), data))
        full = bytes([w, 0x12, 0, 0])
        write("rle%d-delta.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), full * 4 + bytes([3, 0x34, 0, 2, 2, 3, w - 5, 0x56, 0, 0]) + full * 5 + b"\0\1"))
        write("rle%d-early.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), full * 4 + b"\0\1"))
        write("rle%d-long.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), bytes([w + 9, 0x12, 0, 0]) * h + b"\0\1"))
        write("rle%d-short-rows.bmp" % bits, bmp_file(bmp_header(bits, code), pal4(1 << bits), bytes([w - 9, 0x12, 0, 0]) * h + b"\0\1"))
    write("rle8-grey.bmp", bmp_file(bmp_header(8, 1), b"".join(bytes([i, i, i, 0]) for i in range(256)), rle(indices[8], 8, True)))
    write("jpeg-inside.bmp", bmp_file(bmp_header(24, 4), b"", rows24))
    write("header-16.bmp", bmp_file(bmp_header(24)[:16].replace(b"\x28", b"\x10", 1), b"", rows24))
    write("wide.bmp", bmp_file(bmp_header(24).replace(struct.pack("<i", w), b"\xff\xff\xff\x7f", 1), b"", rows24))


def gif_file(size, frames, palette=b"", background=0, trailer=b";"):
    """frames: (left, top, width, height, indices or stream, flags, palette, transparent)."""
    bits = lambda p: (len(p) // 3).bit_length() - 2
    data = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80 | bits(palette) if palette else 0, background, 0) + palette
    for left, top, width, height, stream, flags, local, transparent in frames:
        if transparent is not None:
            data += bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0])
        data += struct.pack("<BHHHHB", 0x2C, left, top, width, height, flags | (0x80 | bits(local) if local else 0)) + local + b"\x08"
        data += b"".join(bytes([len(stream[i:i + 255])]) + stream[i:i + 255] for i in range(0, len(stream), 255)) + b"\0"
    return data + trailer


def gif_stream(indices, end=True):
    """LZW that never compresses: 9-bit codes with a clear code every 200."""
    codes = []
    for i, v in enumerate(indices):
        codes += ([256] if i % 200 == 0 else []) + [v]
    n = sum(c << 9 * i for i, c in enumerate(codes + [257] * end))
    return n.to_bytes((9 * (len(codes) + end) + 7) // 8, "little")


def gif():
    r = random.Random(9)
    colors = bytes(r.randrange(256) for _ in range(3 * 64))
    indices = [(x * 3 + y * 7) % 64 for y in range(h) for x in range(w)]
    full = lambda **k: (0, 0, w, h, gif_stream(indices), k.get("flags", 0), k.get("local", b""), k.get("transparent"))
    at = lambda x, y, **k: (x, y) + full(**k)[2:]
    write("plain.gif", gif_file((w, h), [full()], colors))
    write("interlaced.gif", gif_file((w, h), [full(flags=0x40)], colors))
    write("local.gif", gif_file((w, h), [full(local=colors)]))
    write("both.gif", gif_file((w, h), [full(local=colors)], colors[::-1]))
    write("no-palette.gif", gif_file((w, h), [full()]))
    write("small-palette.gif", gif_file((w, h), [full()], colors[:48]))
    write("smaller.gif", gif_file((w + 9, h + 5), [at(3, 2)], colors, background=5))
    write("smaller-transparent.gif", gif_file((w + 9, h + 5), [at(3, 2, transparent=9)], colors))
    write("outside.gif", gif_file((w, h), [at(5, 4)], colors))
    write("outside-transparent.gif", gif_file((w, h), [at(5, 4, transparent=7)], colors))
    write("larger.gif", gif_file((4, 40), [full()], colors))
    write("zero-canvas.gif", gif_file((0, 0), [full()], colors))
    write("second-outside.gif", gif_file((w, h), [full(), at(50, 50)], colors))
    write("many.gif", gif_file((w, h), [full(), at(0, 0, local=colors[::-1]), full()], colors))
    write("no-end.gif", gif_file((w, h), [(0, 0, w, h, gif_stream(indices, False), 0, b"", None)], colors))
    write("early-end.gif", gif_file((w, h), [(0, 0, w, h, gif_stream(indices[:100]), 0, b"", None)], colors))
    write("too-short.gif", gif_file((w, h), [(0, 0, w, h, gif_stream(indices[:100], False), 0, b"", None)], colors))
    write("too-long.gif", gif_file((w, h), [(0, 0, w, h, gif_stream(indices + indices), 0, b"", None)], colors))
    write("no-trailer.gif", gif_file((w, h), [full()], colors, trailer=b""))
    write("no-frame.gif", gif_file((w, h), [], colors))
    comment = gif_file((w, h), [full()], colors)
    write("extensions.gif", comment[:13 + 192], b"!\xfe\x05hello\x02yo\0!\xff\x0bNETSCAPE2.0\x03\1\0\0\0!\x01\x0c123456789012\x01x\0", comment[13 + 192:])


def webp():
    def frames(name, edit=None, **options):
        path = os.path.join(out, name)
        ims = options.pop("ims")
        ims[0].save(path, save_all=True, append_images=ims[1:], duration=40, **options)
        if edit:
            data = edit(bytearray(open(path, "rb").read()))
            open(path, "wb").write(data)

    def moved(x, y, grow):  # the first frame elsewhere, on a larger canvas
        def edit(data):
            for at, n in ((24, w), (27, h)):
                data[at:at + 3] = (n - 1 + grow).to_bytes(3, "little")
            at = data.index(b"ANMF") + 8
            data[at:at + 3], data[at + 3:at + 6] = (x // 2).to_bytes(3, "little"), (y // 2).to_bytes(3, "little")
            return data
        return edit

    alpha = base.copy()
    alpha.putalpha(grey)
    other = base.transpose(Image.Transpose.ROTATE_180)
    frames("animated.webp", ims=[base, other, base], quality=70)
    frames("animated-lossless.webp", ims=[base, other], lossless=True)
    frames("animated-alpha.webp", ims=[alpha, alpha.transpose(Image.Transpose.ROTATE_180)], quality=70)
    frames("animated-alpha-lossless.webp", ims=[alpha, alpha.transpose(Image.Transpose.ROTATE_180)], lossless=True, exact=True)
    frames("animated-background.webp", ims=[base, other], quality=70, background=(10, 200, 30, 255), edit=moved(4, 2, 10))
    frames("animated-moved-alpha.webp", ims=[alpha, alpha.transpose(Image.Transpose.ROTATE_180)], quality=70, edit=moved(6, 8, 13))
    frames("animated-outside.webp", ims=[base, other], quality=70, edit=moved(4, 2, 0))
    frames("animated-cut.webp", ims=[base, other], quality=70, edit=lambda d: d[:len(d) // 4])
    save(base, "extended.webp", quality=70, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0", icc_profile=b"x" * 130)


def png():
    import zlib
    r = random.Random(10)
    chunk = lambda kind, body=b"": struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = lambda depth, kind, interlaced=0: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlaced))
    passes = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))

    def rows(depth, bands, interlaced):
        body = b""
        for x0, dx, y0, dy in passes if interlaced else ((0, 1, 0, 1),):
            columns = len(range(x0, w, dx))
            for _ in range(y0, h, dy) if columns else ():
                body += b"\0" + bytes(r.randrange(256) for _ in range((columns * bands * depth + 7) // 8))
        return chunk(b"IDAT", zlib.compress(body))

    end = chunk(b"IEND")
    palette = chunk(b"PLTE", bytes(r.randrange(256) for _ in range(768)))
    for name, kind, bands, depths in (("grey", 0, 1, (1, 2, 4, 8, 16)), ("rgb", 2, 3, (8, 16)), ("palette", 3, 1, (1, 2, 4, 8)), ("la", 4, 2, (8, 16)), ("rgba", 6, 4, (8, 16))):
        for depth in depths:
            for interlaced in (0, 1):
                extra = palette[:8 + (3 << depth)] if kind == 3 else b""
                if kind == 3:
                    extra = chunk(b"PLTE", extra[8:])
                write("%s-%d%s.png" % (name, depth, "-adam7" * interlaced), head(depth, kind, interlaced), extra, rows(depth, bands, interlaced), end)
            if kind in (0, 2):
                write("%s-%d-trns.png" % (name, depth), head(depth, kind), chunk(b"tRNS", b"\0\1" * bands), rows(depth, bands, 0), end)
            if kind == 3:
                write("%s-%d-trns.png" % (name, depth), head(depth, kind), extra, chunk(b"tRNS", b"\0\x80"), rows(depth, bands, 0), end)
    write("palette-8-few.png", head(8, 3), chunk(b"PLTE", bytes(range(60))), rows(8, 1, 0), end)
    control = lambda n: chunk(b"fcTL", struct.pack(">IIIIIHHBB", n, w, h, 0, 0, 1, 10, 1, 0))
    frame = lambda n: chunk(b"fdAT", struct.pack(">I", n) + rows(8, 3, 0)[8:-4])
    write("apng.png", head(8, 2), chunk(b"acTL", struct.pack(">II", 2, 0)), control(0), rows(8, 3, 0), control(1), frame(2), end)
    write("apng-default.png", head(8, 2), chunk(b"acTL", struct.pack(">II", 1, 0)), rows(8, 3, 0), control(0), frame(1), end)
    write("ios.png", b"\x89PNG\r\n\x1a\n", chunk(b"CgBI", b"\x50\0\x20\6"), head(8, 6)[8:], chunk(b"IDAT", zlib.compress(b"\0" * (4 * w + 1) * h)[2:-4]), end)


def tiff_file(tags, parts, order="<", big=False, tiled=False):
    """A TIFF file of strips or tiles. tags: number: value or list of values; of type
    SHORT, or LONG above 65535, or as (type, values)."""
    types = {2: "B", 3: "H", 4: "I", 5: "II", 11: "f", 16: "Q"}
    sizes = {k: struct.calcsize("<" + c) for k, c in types.items()}
    position = 16 if big else 8
    offsets, blob = [], b""
    for part in parts:
        offsets.append(position + len(blob))
        blob += part
    if len(blob) % 2:
        blob += b"\0"
    tags = dict(tags)
    tags[324 if tiled else 273] = (16 if big else 4, offsets)
    tags[325 if tiled else 279] = (16 if big else 4, [len(p) for p in parts])
    start = position + len(blob)
    entry, room = (20, 8) if big else (12, 4)
    after = start + (8 if big else 2) + entry * len(tags) + room
    table = extra = b""
    for tag in sorted(tags):
        v = tags[tag]
        kind, v = v if isinstance(v, tuple) else (3, v)
        v = v if isinstance(v, (list, bytes)) else [v]
        if kind == 3 and max(v) > 65535:
            kind = 4
        body = b"".join(struct.pack(order + types[kind], *(x if isinstance(x, tuple) else (x,))) for x in v)
        count = len(body) // sizes[kind]
        if len(body) > room:
            where = struct.pack(order + "Q" if big else order + "I", after + len(extra))
            extra += body + b"\0" * (len(body) % 2)
        else:
            where = body.ljust(room, b"\0")
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count) + where
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head = magic + (struct.pack(order + "HHQ", 8, 0, start) if big else struct.pack(order + "I", start))
    return head + blob + struct.pack(order + ("Q" if big else "H"), len(tags)) + table + b"\0" * room + extra


def packbits(b):
    out = b""
    while b:
        run = 1
        while run < min(len(b), 128) and b[run] == b[0]:
            run += 1
        if run > 1:
            out, b = out + bytes([257 - run, b[0]]), b[run:]
        else:
            out, b = out + bytes([min(len(b), 3) - 1]) + b[:3], b[3:]
    return out


def tiff():
    import zlib
    r = random.Random(11)
    noise = lambda n: bytes(r.choice((0, 1, 7, r.randrange(256))) for _ in range(n))
    squeeze = {1: lambda b: b, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}

    def strips(name, bits, photo, bands=1, compression=1, order="<", big=False, rows=5, planar=1, extra=(), format=None, predictor=1, data=None, **more):
        stride = (w * bands * bits + 7) // 8 if planar == 1 else (w * bits + 7) // 8
        data = data or noise(stride * h * (1 if planar == 1 else bands))
        parts = []
        for plane in range(1 if planar == 1 else bands):
            for y in range(0, h, rows):
                parts.append(squeeze[compression](data[(plane * h + y) * stride:(plane * h + min(y + rows, h)) * stride]))
        tags = {256: w, 257: h, 258: [bits] * bands, 259: compression, 262: photo, 277: bands, 278: rows, 284: planar}
        if extra:
            tags[338] = list(extra)
        if format:
            tags[339] = [format] * bands
        if predictor != 1:
            tags[317] = predictor
        tags.update({int(k[1:]): v for k, v in more.items()})
        write(name, tiff_file(tags, parts, order, big))

    colormap = lambda bits: [r.randrange(65536) for _ in range(3 << bits)]
    floats, numbers = ([r.choice(v) for _ in range(w * h)] for v in ((-3.5, 0.4, 12.5, 99.99, 254.9, 255.5, 1e9), (-9, 5, 77, 200, 255, 256, 70000, 2**31 - 1, -2**31)))
    shorts = [r.choice((-9, 5, 77, 200, 255, 256, 7000, -7000)) for _ in range(w * h)]
    for order, e in (("<", "ii"), (">", "mm")):
        for compression in (1, 8, 32773):
            tail = "-%s-%d.tif" % (e, compression)
            strips("rgb8" + tail, 8, 2, 3, compression, order)
            strips("rgb16" + tail, 16, 2, 3, compression, order)
            strips("grey16" + tail, 16, 1, 1, compression, order)
            strips("cmyk8" + tail, 8, 5, 4, compression, order)
            strips("cmyk16" + tail, 16, 5, 4, compression, order)
            strips("float" + tail, 32, 1, 1, compression, order, format=3, data=struct.pack(order + "%df" % (w * h), *floats))
            strips("int16" + tail, 16, 1, 1, compression, order, format=2, data=struct.pack(order + "%dh" % (w * h), *shorts))
            strips("int32" + tail, 32, 1, 1, compression, order, format=2, data=struct.pack(order + "%di" % (w * h), *numbers))
            strips("planar" + tail, 8, 2, 3, compression, order, planar=2)
            strips("planar-cmyk" + tail, 8, 5, 4, compression, order, planar=2)
            strips("rgba" + tail, 8, 2, 4, compression, order, extra=(2,))
            strips("premultiplied" + tail, 8, 2, 4, compression, order, extra=(1,))
            if e == "ii":  # Pillow does not know the other byte order
                strips("big" + tail, 8, 2, 3, compression, order, big=True)
    for bits in (1, 2, 4, 8):
        for photo in (0, 1):
            strips("grey%d-photo%d.tif" % (bits, photo), bits, photo, compression=8)
        strips("reversed%d.tif" % bits, bits, 1, x266=2)
        strips("palette%d.tif" % bits, bits, 3, compression=32773, x320=colormap(bits))
    strips("no-photo.tif", 8, 1)
    strips("white16.tif", 16, 0)
    strips("white16-mm.tif", 16, 0, order=">")
    strips("uint32.tif", 32, 1, data=struct.pack("<%dI" % (w * h), *[r.choice((0, 9, 255, 256, 2**32 - 1)) for _ in range(w * h)]))
    strips("int8.tif", 8, 1, format=2)
    strips("twelve.tif", 12, 1)
    strips("rgb16a.tif", 16, 2, 4, extra=(2,))
    strips("rgb16-premultiplied.tif", 16, 2, 4, extra=(1,))
    strips("rgb16x.tif", 16, 2, 4, extra=(0,), compression=8)
    strips("rgb8x.tif", 8, 2, 5, extra=(0, 0), compression=8)
    strips("rgb8ax.tif", 8, 2, 5, extra=(2, 0))
    strips("rgb8-no-extra.tif", 8, 2, 4)
    strips("la.tif", 8, 1, 2, extra=(2,), compression=8)
    strips("la-premultiplied.tif", 8, 1, 2, extra=(1,))
    strips("lx.tif", 8, 1, 2, extra=(0,))
    strips("palette-alpha.tif", 8, 3, 2, extra=(2,), x320=colormap(8))
    strips("cmyk8x.tif", 8, 5, 5, extra=(0,))
    strips("double.tif", 64, 1, format=3)
    strips("half.tif", 16, 1, format=3)
    strips("rgb-float.tif", 32, 2, 3, format=3)
    strips("rgb4.tif", 4, 2, 3)
    strips("lab.tif", 8, 8, 3)
    strips("one-strip.tif", 8, 2, 3, rows=h)
    strips("rows-unknown.tif", 8, 2, 3, rows=h, x278=(4, [2**32 - 1]), compression=8)
    for n in range(1, 9):
        strips("orientation%d.tif" % n, 8, 2, 3, compression=8 if n % 2 else 1, x274=n)
    for bits, photo, bands in ((8, 2, 3), (16, 2, 3), (16, 1, 1), (8, 1, 1), (8, 5, 4), (32, 1, 1)):
        strips("predictor-%d-%d.tif" % (bits, bands), bits, photo, bands, 8, predictor=2, **({"format": 2} if bits == 32 else {}))
        strips("predictor-mm-%d-%d.tif" % (bits, bands), bits, photo, bands, 8, ">", predictor=2, **({"format": 2} if bits == 32 else {}))
    strips("predictor-planar.tif", 8, 2, 3, 8, planar=2, predictor=2)
    strips("predictor-raw.tif", 8, 2, 3, 1, predictor=2)
    strips("predictor-float.tif", 32, 1, 1, 8, format=3, predictor=3)
    strips("planar16-8.tif", 16, 2, 3, 8, planar=2)
    strips("planar-extra.tif", 8, 2, 4, 8, planar=2, extra=(0,))
    strips("planar-alpha.tif", 8, 2, 4, 8, planar=2, extra=(2,))
    strips("cut.tif", 8, 2, 3, rows=h)
    data = open(os.path.join(out, "cut.tif"), "rb").read()
    write("cut.tif", data[:8] + data[8 + 200:])  # the directory lies beyond the end
    for compression in (1, 8):
        strips("ycbcr-1x1-%d.tif" % compression, 8, 6, 3, compression, x530=[1, 1])
        units = noise(((w + 1) // 2) * ((h + 1) // 2) * 6)
        write("ycbcr-2x2-%d.tif" % compression, tiff_file({256: w, 257: h, 258: [8] * 3, 259: compression, 262: 6, 277: 3, 278: h, 530: [2, 2]}, [squeeze[compression](units)]))
        units = noise(((w + 1) // 2) * h * 4)
        write("ycbcr-2x1-%d.tif" % compression, tiff_file({256: w, 257: h, 258: [8] * 3, 259: compression, 262: 6, 277: 3, 278: h, 530: [2, 1]}, [squeeze[compression](units)]))
    strips("ycbcr-range.tif", 8, 6, 3, 8, x530=[1, 1], x532=(5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)]), x529=(5, [(2126, 10000), (7152, 10000), (722, 10000)]))
    for compression in (1, 8, 32773):
        for bands, photo in ((3, 2), (1, 1), (4, 5)):
            tiles = [squeeze[compression](noise(16 * 16 * bands)) for _ in range(2)]
            write("tiles%d-%d.tif" % (bands, compression), tiff_file({256: w, 257: h, 258: [8] * bands, 259: compression, 262: photo, 277: bands, 322: 16, 323: 16}, tiles, tiled=True))
        tiles = [squeeze[compression](noise(16 * 16)) for _ in range(6)]
        write("tiles-planar-%d.tif" % compression, tiff_file({256: w, 257: h, 258: [8] * 3, 259: compression, 262: 2, 277: 3, 284: 2, 322: 16, 323: 16}, tiles, tiled=True))
    alpha = base.copy()
    alpha.putalpha(grey)
    for name, im in (("rgb", base), ("grey", grey), ("cmyk", base.convert("CMYK")), ("rgba", alpha), ("ycbcr", base.convert("YCbCr"))):
        save(im, "lzw-%s.tif" % name, compression="tiff_lzw")
        save(im, "lzw-%s-predictor.tif" % name, compression="tiff_lzw", tiffinfo={317: 2})
        if name != "rgba":
            save(im, "jpeg-%s.tif" % name, compression="jpeg", quality=80)
            save(im.resize((40, 50)), "jpeg-%s-strips.tif" % name, compression="jpeg", quality=80, tiffinfo={278: 16})
    save(base, "zstd.tif", compression="zstd")
    save(base, "lzma.tif", compression="lzma")
    save(base.convert("1"), "fax2.tif", compression="tiff_ccitt")
    for n in (3, 4):
        save(base.convert("1"), "fax%d-white.tif" % n, compression="group%d" % n, tiffinfo={262: 0})
        save(base.convert("1"), "fax%d-reversed.tif" % n, compression="group%d" % n, tiffinfo={266: 2})
    save(base.convert("1"), "fax3-2d.tif", compression="group3", tiffinfo={292: 1})
    pages = os.path.join(out, "pages.tif")
    base.save(pages, save_all=True, append_images=[base.transpose(Image.Transpose.ROTATE_180)])
    write("old-jpeg.tif", tiff_file({256: w, 257: h, 258: [8] * 3, 259: 6, 262: 6, 277: 3, 278: h}, [noise(300)]))
    write("bomb.tif", tiff_file({256: 99999, 257: 99999, 258: [8] * 3, 259: 8, 262: 2, 277: 3, 278: 99999}, [zlib.compress(noise(300))]))
    write("mixed-order.tif", tiff_file({256: w, 257: h, 258: 8, 259: 1, 262: 1, 277: 1, 278: h}, [noise(w * h)]).replace(b"II*\0", b"II\0*", 1))


def jpeg():
    def patched(im, name, edit, **options):
        path = os.path.join(out, name)
        im.save(path, "JPEG", quality=85, **options)
        data = edit(open(path, "rb").read())
        open(path, "wb").write(data)

    cmyk = base.convert("CMYK")
    adobe = lambda transform: lambda d: d[:d.index(b"Adobe") + 11] + bytes([transform]) + d[d.index(b"Adobe") + 12:]
    def bare(data):  # without Adobe's marker
        at = data.index(b"\xff\xee")
        return data[:at] + data[at + 2 + int.from_bytes(data[at + 2:at + 4], "big"):]
    patched(cmyk, "adobe-cmyk.jpg", adobe(0))
    patched(cmyk, "adobe-ycck.jpg", adobe(2))
    patched(cmyk, "bare-cmyk.jpg", bare)
    patched(base, "rgb-ids.jpg", lambda d: d, keep_rgb=True)
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"
    for transform in (0, 1):
        patched(base, "adobe-rgb-%d.jpg" % transform, lambda d: d[:2] + marker + bytes([transform]) + d[2:], subsampling=0)
    patched(base, "twelve-bit.jpg", lambda d: d.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"))
    patched(base, "hierarchical.jpg", lambda d: d.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc5\0\x11\x08"))
    patched(base, "two-components.jpg", lambda d: d.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x08", 1).replace(struct.pack(">HHB", h, w, 3), struct.pack(">HHB", h, w, 2)))


netpbm()
bmp()
gif()
webp()
png()
tiff()
jpeg()
