package pixels

import "fmt"

// supported refuses what is not read, by name. What is read is what Pillow reads.
func (f *tiff) supported() error {
	refuse := func(format string, a ...any) error {
		return fmt.Errorf("%w: TIFF "+format, append([]any{ErrNotSupported}, a...)...)
	}
	switch f.compression {
	case tiffRaw, tiffGroup3, tiffGroup4, tiffLZW, tiffJPEG, tiffDeflate, tiffPackBits, tiffOldDeflate, tiffZstd:
	case 2:
		return refuse("with fax compression of CCITT 1D")
	case 6:
		return refuse("with JPEG inside, of the old kind")
	case 32809:
		return refuse("with ThunderScan compression")
	case 34676, 34677:
		return refuse("with SGI LogLuv compression")
	case 34712, 33003, 33005:
		return refuse("with JPEG 2000 inside")
	case 34925:
		return refuse("with LZMA compression")
	case 50001:
		return refuse("with WebP inside")
	default:
		return refuse("with compression %d", f.compression)
	}
	if fax := f.compression == tiffGroup3 || f.compression == tiffGroup4; fax && (f.bits != 1 || f.samples != 1) {
		return refuse("with fax compression of %d bits", f.bits*f.samples)
	}
	if f.compression == tiffGroup3 && f.int(tagT4Options, 0)&1 != 0 {
		return refuse("with fax compression of CCITT 2D")
	}
	if f.compression == tiffJPEG && (f.planar || f.bits != 8) {
		return refuse("with JPEG inside, in planes or of %d bits", f.bits)
	}
	names := map[int]string{whiteIsZero: "grey", blackIsZero: "grey", photoRGB: "RGB", photoPalette: "palette", photoCMYK: "CMYK", photoYCbCr: "YCbCr",
		4: "mask", photoLab: "CIELab", 9: "ICC Lab", 10: "ITU Lab", 32803: "raw sensor", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"}
	name, known := names[f.photo]
	if !known {
		name = fmt.Sprintf("of colour space %d", f.photo)
	}
	if !f.readable() {
		kind := map[int]string{1: "", 2: " signed", 3: " floating-point"}[f.format]
		return refuse("%s of %d samples with %d%s bits", name, f.samples, f.bits, kind)
	}
	if f.photo == photoYCbCr && (f.planar || f.subX*f.subY > 1 && f.compression == tiffRaw || f.fillReversed) {
		return refuse("YCbCr in planes, or subsampled without compression")
	}
	if f.photo == photoYCbCr && (f.subX < 1 || f.subY < 1 || f.subX > 4 || f.subY > 4) {
		return refuse("YCbCr with subsampling %dx%d", f.subX, f.subY)
	}
	return nil
}

// readable knows the combinations of colour space, bits and samples that are read.
func (f *tiff) readable() bool {
	colours := 1 // samples of a pixel without the extra ones
	switch f.photo {
	case photoRGB, photoYCbCr:
		colours = 3
	case photoCMYK:
		colours = 4
	}
	if f.samples < colours || f.samples > colours+3 {
		return false
	}
	small := f.format == 1 && (f.bits == 8 || f.bits == 16)
	switch single := f.samples == colours; f.photo {
	case whiteIsZero:
		return single && (f.format == 1 && (f.bits <= 4 && f.bits != 3 || f.bits == 8 || f.bits == 16 && f.order.String() == "LittleEndian") || f.format == 3 && f.bits == 32)
	case blackIsZero:
		if !single {
			return f.samples == 2 && f.bits == 8 && f.format == 1 && f.extra != 1
		}
		switch f.bits {
		case 1, 2, 4, 12:
			return f.format == 1
		case 8, 16:
			return f.format == 1 || f.format == 2
		case 32:
			return f.format <= 3
		}
	case photoRGB, photoCMYK:
		return small
	case photoPalette:
		return f.format == 1 && f.samples <= 2 && (f.bits == 8 || single && (f.bits == 1 || f.bits == 2 || f.bits == 4)) && len(f.ints(tagColorMap)) == 3<<f.bits
	case photoYCbCr:
		return single && f.bits == 8 && f.format == 1
	}
	return false
}

// converter returns what turns a row of samples into RGB.
func (f *tiff) converter() (func(out []byte, s []int32), error) {
	n := f.samples
	each := func(put func(o []byte, s []int32)) func(out []byte, s []int32) {
		return func(out []byte, s []int32) {
			for ; len(out) > 0; out, s = out[3:], s[n:] {
				put(out, s)
			}
		}
	}
	down := 0 // 16 bits keep their upper eight
	if f.bits == 16 {
		down = 8
	}
	switch f.photo {
	case whiteIsZero, blackIsZero:
		scale, invert := int32(1), int32(0)
		if f.bits < 8 {
			scale = 255 / (1<<f.bits - 1)
		}
		if f.photo == whiteIsZero && f.bits <= 8 {
			invert = 255
		}
		return each(func(o []byte, s []int32) {
			v := uint8(min(255, max(0, s[0]*scale)) ^ invert)
			o[0], o[1], o[2] = v, v, v
		}), nil
	case photoRGB:
		if f.extra == 1 {
			return each(func(o []byte, s []int32) {
				unmultiply(o, []byte{byte(s[0] >> down), byte(s[1] >> down), byte(s[2] >> down), byte(s[3] >> down)})
			}), nil
		}
		return each(func(o []byte, s []int32) { o[0], o[1], o[2] = byte(s[0]>>down), byte(s[1]>>down), byte(s[2]>>down) }), nil
	case photoPalette:
		colors, size := f.ints(tagColorMap), 1<<f.bits
		return each(func(o []byte, s []int32) {
			for i := range 3 {
				o[i] = byte(colors[i*size+int(s[0])] >> 8)
			}
		}), nil
	case photoCMYK:
		return each(func(o []byte, s []int32) {
			inkToRGB(o[:3], byte(s[0]>>down), byte(s[1]>>down), byte(s[2]>>down), byte(s[3]>>down))
		}), nil
	}
	if f.compression == tiffJPEG { // has been converted
		return each(func(o []byte, s []int32) { o[0], o[1], o[2] = byte(s[0]), byte(s[1]), byte(s[2]) }), nil
	}
	if f.compression == tiffRaw {
		return each(func(o []byte, s []int32) { pillowYCbCr(o, int(s[0]), int(s[1]), int(s[2])) }), nil
	}
	convert := f.ycbcr()
	return each(func(o []byte, s []int32) { convert(o, s[0], s[1], s[2]) }), nil
}

// pillowYCbCr is Pillow's conversion of YCbCr, which it applies to TIFF without
// compression: tables with six binary places.
func pillowYCbCr(o []byte, y, cb, cr int) {
	table := func(c float64, v int) int { return int(c*float64(v-128)*64 + 0.5) } // towards zero
	clip := func(v int) uint8 { return uint8(min(255, max(0, v))) }
	o[0] = clip(y + table(1.402, cr)>>6)
	o[1] = clip(y + (table(-0.34414, cb)+table(-0.71414, cr))>>6)
	o[2] = clip(y + table(1.772, cb)>>6)
}

// ycbcr returns libtiff's conversion of YCbCr (tif_color.c), in fixed point of 16
// bits, by the coefficients of luma and the reference values of the file.
func (f *tiff) ycbcr() func(o []byte, y, cb, cr int32) {
	luma, ref := f.ratios(tagYCbCrLuma), f.ratios(tagBlackWhite)
	if len(luma) != 3 || luma[1] == 0 {
		luma = []float32{0.299, 0.587, 0.114}
	}
	if len(ref) != 6 {
		ref = []float32{0, 255, 128, 255, 128, 255}
	}
	fix := func(x float32) int32 { return int32(float64(min(2, max(0, x)))*65536 + 0.5) }
	red, blue := 2-2*luma[0], 2-2*luma[2]
	d1, d2 := fix(red), -fix(luma[0]*red/luma[1])
	d3, d4 := fix(blue), -fix(luma[2]*blue/luma[1])
	value := func(c, black, white, span float32) int32 {
		width := white - black
		if width == 0 {
			width = 1
		}
		return int32(min(128*32, max(-128*32, (c-float32(int32(black)))*span/width)))
	}
	var ys, rs, gr, gb, bs [256]int32
	for i := range 256 {
		x := float32(i - 128)
		cr := value(x, ref[4]-128, ref[5]-128, 127)
		cb := value(x, ref[2]-128, ref[3]-128, 127)
		ys[i] = value(float32(i), ref[0], ref[1], 255)
		rs[i], bs[i] = (d1*cr+1<<15)>>16, (d3*cb+1<<15)>>16
		gr[i], gb[i] = d2*cr, d4*cb+1<<15
	}
	clip := func(v int32) uint8 { return uint8(min(255, max(0, v))) }
	return func(o []byte, y, cb, cr int32) {
		o[0] = clip(ys[y] + rs[cr])
		o[1] = clip(ys[y] + (gb[cb]+gr[cr])>>16)
		o[2] = clip(ys[y] + bs[cb])
	}
}
