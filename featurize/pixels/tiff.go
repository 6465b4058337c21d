package pixels

import (
	"fmt"
	"slices"
)

// Tags of TIFF.
const (
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripBytes   = 279
	tagPlanar       = 284
	tagT4Options    = 292
	tagPredictor    = 317
	tagColorMap     = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileBytes    = 325
	tagExtraSamples = 338
	tagSampleFormat = 339
	tagJPEGTables   = 347
	tagYCbCrLuma    = 529
	tagSubsampling  = 530
	tagBlackWhite   = 532
)

// Photometric interpretations.
const (
	whiteIsZero  = 0
	blackIsZero  = 1
	photoRGB     = 2
	photoPalette = 3
	photoCMYK    = 5
	photoYCbCr   = 6
	photoLab     = 8
)

// tiff is how the pixels of a TIFF file are stored.
type tiff struct {
	*tiffDir
	width, height  int
	photo          int
	compression    int
	bits, samples  int // of a sample; of a pixel
	extra          int // meaning of the first extra sample: 1 and 2 are alpha, 1 multiplied in; -1: there is none
	format         int // 1 unsigned, 2 signed, 3 float
	planar         bool
	fillReversed   bool // the lowest bit of a byte comes first
	tileW, tileH   int  // of a tile, or of a strip
	offsets, sizes []int
	subX, subY     int // subsampling of chroma
}

// tiff decodes the first image of a TIFF file, and turns it upright by its
// orientation, as Pillow does for this format alone.
func (d *Decoder) tiff(dst *Image, data []byte, info *Info) error {
	dir, err := readTIFF(data)
	if err != nil {
		return err
	}
	f, err := layTIFF(dir)
	if err != nil {
		return err
	}
	if err := d.check(f.width, f.height); err != nil {
		return err
	}
	if err := f.supported(); err != nil {
		return err
	}
	info.Width, info.Height = f.width, f.height
	convert, err := f.converter()
	if err != nil {
		return err
	}
	if f.photo <= blackIsZero && (f.bits == 12 || f.bits == 16 && f.format == 1) {
		info.Warnings = append(info.Warnings, grey16Warning)
	}
	// Memory is taken for the image once its first part has been decompressed.
	if err := d.tiffParts(dst, f, convert); err != nil {
		return err
	}
	rotate(dst, f.int(tagOrientation, 1))
	return nil
}

// layTIFF reads how the pixels are stored.
func layTIFF(d *tiffDir) (*tiff, error) {
	f := &tiff{
		tiffDir: d, width: d.int(tagWidth, 0), height: d.int(tagHeight, 0),
		photo: d.int(tagPhotometric, whiteIsZero), compression: d.int(tagCompression, 1),
		samples: d.int(tagSamples, 1), extra: -1, format: d.int(tagSampleFormat, 1),
		planar: d.int(tagPlanar, 1) == 2, fillReversed: d.int(tagFillOrder, 1) == 2, subX: 1, subY: 1,
	}
	bits := d.ints(tagBits)
	if len(bits) == 0 {
		bits = []int{1}
	}
	f.bits = bits[0]
	for _, b := range bits[:min(len(bits), max(f.samples, 1))] {
		if b != f.bits {
			return nil, fmt.Errorf("%w: TIFF with samples of %d and %d bits", ErrNotSupported, f.bits, b)
		}
	}
	if extra := d.ints(tagExtraSamples); len(extra) > 0 {
		f.extra = extra[0]
		if f.planar && slices.Max(extra) == 0 { // planes that can be left out
			f.samples, f.extra = f.samples-len(extra), -1
		}
	}
	if f.samples < 1 || f.samples > 6 {
		return nil, fmt.Errorf("%w: TIFF with %d samples in a pixel", ErrNotSupported, f.samples)
	}
	if f.photo == photoYCbCr {
		f.subX, f.subY = 2, 2
		if s := d.ints(tagSubsampling); len(s) == 2 {
			f.subX, f.subY = s[0], s[1]
		}
	}
	f.offsets, f.sizes = d.ints(tagStripOffsets), d.ints(tagStripBytes)
	f.tileW, f.tileH = f.width, min(d.int(tagRowsPerStrip, f.height), f.height)
	if len(f.offsets) == 0 {
		f.offsets, f.sizes = d.ints(tagTileOffsets), d.ints(tagTileBytes)
		f.tileW, f.tileH = d.int(tagTileWidth, 0), d.int(tagTileHeight, 0)
	}
	if len(f.offsets) == 0 {
		return nil, fmt.Errorf("there are no pixels in the file")
	}
	return f, nil
}

// tiffParts decodes strips or tiles one after the other.
func (d *Decoder) tiffParts(dst *Image, f *tiff, convert func(out []byte, s []int32)) error {
	if f.tileW < 1 || f.tileH < 1 {
		return fmt.Errorf("tiles of size %dx%d", f.tileW, f.tileH)
	}
	across, down := (f.width-1)/f.tileW+1, (f.height-1)/f.tileH+1
	planes, inPart := 1, f.samples
	if f.planar {
		planes, inPart = f.samples, 1
	}
	part := tiffPart{planes: make([][]byte, planes), at: f.sampler()}
	for i := range across * down {
		x, y := i%across*f.tileW, i/across*f.tileH
		w, h := f.tileW, f.tileH // what is stored
		if f.tileW == f.width && len(f.ints(tagTileOffsets)) == 0 {
			h = min(h, f.height-y) // a last strip is short, a last tile is not
		}
		if err := d.check(w, h); err != nil {
			return err
		}
		if f.compression == tiffJPEG {
			if err := d.tiffJPEGPart(&part, f, i, w, h); err != nil {
				return err
			}
		} else {
			for plane := range planes {
				if err := part.read(f, plane, plane*across*down+i, w, h, inPart); err != nil {
					return err
				}
			}
		}
		if i == 0 {
			dst.resize(f.width, f.height)
		}
		for row := range min(h, f.height-y) {
			n := min(w, f.width-x)
			convert(dst.Pix[((y+row)*f.width+x)*3:][:3*n], part.unpack(f, row, w))
		}
	}
	return nil
}
