package corrupt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Kind is a corruption, by its name in the published benchmarks.
type Kind string

// The corruptions, in the order in which published tables list them.
const (
	GaussianNoise    Kind = "gaussian_noise"
	ShotNoise        Kind = "shot_noise"
	ImpulseNoise     Kind = "impulse_noise"
	DefocusBlur      Kind = "defocus_blur"
	GlassBlur        Kind = "glass_blur"
	MotionBlur       Kind = "motion_blur"
	ZoomBlur         Kind = "zoom_blur"
	Snow             Kind = "snow"
	Frost            Kind = "frost"
	Fog              Kind = "fog"
	Brightness       Kind = "brightness"
	Contrast         Kind = "contrast"
	ElasticTransform Kind = "elastic_transform"
	Pixelate         Kind = "pixelate"
	JPEGCompression  Kind = "jpeg_compression"
)

// Severities is the number of severities: 1 to 5.
const Severities = 5

// definition is a kind, what it belongs to and what it does.
type definition struct {
	kind  Kind
	group string
	apply func(*work)
}

var corruptions = []definition{
	{GaussianNoise, "noise", gaussianNoise},
	{ShotNoise, "noise", shotNoise},
	{ImpulseNoise, "noise", impulseNoise},
	{DefocusBlur, "blur", defocusBlur},
	{GlassBlur, "blur", glassBlur},
	{MotionBlur, "blur", motionBlur},
	{ZoomBlur, "blur", zoomBlur},
	{Snow, "weather", snow},
	{Frost, "weather", frost},
	{Fog, "weather", fog},
	{Brightness, "weather", brightness},
	{Contrast, "digital", contrast},
	{ElasticTransform, "digital", elasticTransform},
	{Pixelate, "digital", pixelate},
	{JPEGCompression, "digital", jpegCompression},
}

// Kinds lists the corruptions in the order of published tables.
func Kinds() []Kind {
	var kinds []Kind
	for _, c := range corruptions {
		kinds = append(kinds, c.kind)
	}
	return kinds
}

// Group is what a corruption belongs to: noise, blur, weather or digital; "" for a Kind
// that is none.
func (k Kind) Group() string {
	for _, c := range corruptions {
		if c.kind == k {
			return c.group
		}
	}
	return ""
}

// Table is a table of constants: how strong each severity is.
type Table int

const (
	ImageNet Table = iota // of ImageNet-C and COCO-C, for photographs
	CIFAR                 // of CIFAR-10-C, for thumbnails
)

func (t Table) String() string {
	if t == CIFAR {
		return "CIFAR-10-C"
	}
	return "ImageNet-C"
}

// TableFor is the table for images of a size: CIFAR where the shorter side has fewer
// than 64 pixels, else ImageNet.
func TableFor(width, height int) Table {
	if min(width, height) < 64 {
		return CIFAR
	}
	return ImageNet
}

// ErrKind says that a corruption or its severity does not exist.
var ErrKind = errors.New("no such corruption")

// Corruption is one corruption of an evaluation.
type Corruption struct {
	Kind     Kind
	Severity int // 1 to 5
	Table    Table
	Seed     uint64
}

// Apply corrupts an image in place. name is the image's identity, such as its path:
// the random numbers follow from it and from c. Images of one pixel and more are taken.
// The error wraps ErrKind, or tells that the image's pixels do not fit its size.
//
// Any number of goroutines may call it at once.
func (c Corruption) Apply(img *pixels.Image, name string) error {
	at := slices.IndexFunc(corruptions, func(d definition) bool { return d.kind == c.Kind })
	if at < 0 {
		return fmt.Errorf("corrupt: %q: %w", c.Kind, ErrKind)
	}
	if c.Severity < 1 || c.Severity > Severities {
		return fmt.Errorf("corrupt: %s at severity %d, expected 1 to %d: %w", c.Kind, c.Severity, Severities, ErrKind)
	}
	if img.Width < 1 || img.Height < 1 || len(img.Pix) != img.Width*img.Height*3 {
		return fmt.Errorf("corrupt: an image of %dx%d with %d bytes", img.Width, img.Height, len(img.Pix))
	}
	corruptions[at].apply(&work{img.Width, img.Height, img.Pix, c.Severity - 1, c.Table == CIFAR, newRandom(c, name)})
	return nil
}

// work is one image that is corrupted.
type work struct {
	w, h  int
	pix   []uint8 // [h,w,3]
	level int     // the severity, from 0 on
	small bool    // the constants are those of CIFAR-10-C
	random
}

// pick is the constant of a severity.
func pick[T any](k *work, imagenet, cifar [Severities]T) T {
	if k.small {
		return cifar[k.level]
	}
	return imagenet[k.level]
}

// cut turns a value, 1 for white, into 8 bits: it is clipped, and its fraction is cut
// off, as the references do.
func cut(v float64) uint8 {
	return uint8(min(max(v, 0), 1) * 255)
}

// cut32 is cut in float32.
func cut32(v float32) uint8 {
	return uint8(min(max(v, 0), 1) * 255)
}

// units are the 256 values of a byte, 255 for 1.
var units = func() (u [256]float64) {
	for i := range u {
		u[i] = float64(i) / 255
	}
	return u
}()

// planes are the three colours of an image, [h,w] each, 1 for white.
func (k *work) planes() (p [3][]float64) {
	for c := range p {
		p[c] = make([]float64, k.w*k.h)
		for i := range p[c] {
			p[c][i] = units[k.pix[3*i+c]]
		}
	}
	return p
}

// setPlanes puts colours back into the image.
func (k *work) setPlanes(p [3][]float64) {
	for c := range p {
		for i, v := range p[c] {
			k.pix[3*i+c] = cut(v)
		}
	}
}

// mirror is the index at a place outside of n pixels that are mirrored about the middle
// of the outermost pixel: c b | a b c | b a.
func mirror(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2*n - 2
	if i = i % period; i < 0 {
		i += period
	}
	return min(i, period-i)
}

// reflect is the index at a place outside of n pixels that are mirrored about the edge:
// b a | a b c | c b.
func reflect(i, n int) int {
	period := 2 * n
	if i = i % period; i < 0 {
		i += period
	}
	return min(i, period-1-i)
}

// clamp is the index of the pixel nearest to a place.
func clamp(i, n int) int { return min(max(i, 0), n-1) }
