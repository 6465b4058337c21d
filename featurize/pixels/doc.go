// Package pixels decodes images and resizes them, bit for bit as Pillow does.
//
// Pixels are 8-bit RGB, interleaved, row-major. What a file holds is brought
// to RGB as Pillow's convert("RGB") does it: grey is repeated, palettes are
// looked up, alpha is dropped (not blended), 16 bits keep their upper eight
// (16-bit grey excepted, see [Info]), CMYK is taken for inverted as Adobe
// writes it. EXIF rotation is applied only on request; torchvision's loaders
// do not either.
//
// JPEG goes through libjpeg-turbo, loaded at run time, where it is installed:
// then the pixels equal Pillow's. Without it Go's decoder is used, whose
// pixels differ slightly, mostly in how it scales colour up.
// GIF gives its first frame. WebP lossy, lossless and with alpha is decoded;
// animated WebP is refused, and so are BMP with RLE and the kinds of TIFF that
// golang.org/x/image does not read.
//
// Resizing follows Pillow's Image.resize with a convolution whose weights are
// fixed-point numbers of 22 bits, with 8 bits between its two passes, in the
// order that Pillow 13 takes them; cropping follows torchvision's CenterCrop.
package pixels

// Version grows when the pixels of some file become others than before: sets of
// features are not gone on with across it.
const Version = "2"
