// Package pixels decodes image files and resizes images, bit for bit as Pillow
// does, so that a network sees the pixels that it was trained on in PyTorch.
//
// A [Decoder] turns an encoded file into an [Image]; a [Resampler] brings that to
// the size of a network's input. This is torchvision's Resize(256) followed by
// CenterCrop(224):
//
//	d := pixels.NewDecoder(pixels.DecodeConfig{})
//	defer d.Close()
//	var img pixels.Image
//	var r pixels.Resampler
//	if _, err := d.Decode(&img, file); err != nil {
//		return err
//	}
//	dst := make([]uint8, 224*224*3)
//	err := r.Apply(dst, &img, pixels.Geometry{Resize: 256, CropCenter: true, Width: 224, Height: 224})
//
// [Resampler.ResizedCrop], [Flip], [Brightness], [Contrast], [Saturation] and
// [Hue] are the operations of torchvision's augmentations.
//
// # Layout and memory
//
// Pixels are 8-bit RGB, interleaved and row-major: [H,W,3]. Decoder, Resampler and
// Image keep their buffers, so that a loop over images of like sizes allocates
// next to nothing. Use one of each per goroutine.
//
// # Formats
//
// JPEG, PNG, GIF, BMP, TIFF, WebP and the PBM, PGM and PPM of Netpbm are decoded,
// and brought to RGB as Pillow's convert("RGB") does it: grey is repeated, palettes
// are looked up, alpha is dropped rather than blended, 16-bit colour keeps its upper
// eight bits, 16-bit grey is clipped at 255 with a warning in [Info], and the CMYK of
// JPEG is taken to be inverted, as Adobe writes it. Of an animated GIF, WebP or PNG
// the first frame is taken, on its canvas. EXIF rotation is applied only on request,
// since torchvision's loaders do not apply it either; but TIFF is turned upright by
// its orientation, as Pillow does.
//
// [Format] tells formats by the first bytes of a file, those that are not decoded
// among them. Of the variants these are not decoded: JPEG of 12 bits or with
// hierarchical coding, and lossless JPEG and arithmetic coding where the JPEG decoder
// does not know them; BMP with other bit fields than Pillow reads, or with JPEG or
// PNG inside; and TIFF in CIELab, in half or double precision, with floating-point
// colour, with fax compression of CCITT 1D or 2D, or with LZMA, old-style JPEG, JPEG
// 2000 or WebP inside. The error for them wraps [ErrNotSupported] and names the kind.
// Two faults of Pillow's are not followed: signed and floating-point TIFF in
// big-endian order, of which it swaps the bytes where they are compressed; and BMP
// of 8 bits with a palette of black and white alone, which it takes to be of one bit.
//
// JPEG is decoded by libjpeg-turbo, which is loaded at run time if it is
// installed; only then do the pixels equal Pillow's. Otherwise Go's decoder is
// used, whose pixels differ slightly, mostly in how it upsamples colour.
// [JPEGDecoder] says which.
//
// # Resizing
//
// Resizing follows Pillow's Image.resize (libImaging/Resample.c): a separable
// convolution with fixed-point weights of 22 bits, rounded to 8 bits between its
// two passes, in the order of passes of Pillow 13. Cropping follows torchvision's
// CenterCrop, padding included.
package pixels

// Version changes whenever the pixels of some file do. Record it with features:
// those of two versions should not be mixed.
const Version = "3"
