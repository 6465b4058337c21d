package cli

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// detecting is a detector that runs over images: what predict and eval share.
type detecting struct {
	network
	kind     string // of detectorKind
	form     string // --form
	detector detect.Detector
	closer   io.Closer
	size     func(featurize.Sample) (width, height int) // as the data set says it; nil: it says nothing
	least    float32                                    // score of detections
	scored   bool                                       // it was asked for
	failed   []featurize.Failure
	decoder  map[string]int // the decoder's warnings
	done     int
	objects  int
	turned   int     // images turned to have the size that the data set says
	misfits  int     // images of another size than the data set says
	ran      int     // images that the detector has seen
	seconds  float64 // that it took
}

// detected is what was found in an image, as a line of an unfinished job's state.
type detected struct {
	Path    featurize.JSONPath `json:"path"`
	Width   int                `json:"width"`
	Height  int                `json:"height"`
	Objects []detectedObject   `json:"objects,omitempty"`
	Error   string             `json:"error,omitempty"` // of an image that cannot be used

	image *pixels.Image // nil: an earlier command has seen it
}

// detectedObject is an object in an image.
type detectedObject struct {
	Class int        `json:"class"` // index among the detector's classes
	Score float32    `json:"score"`
	Box   [4]float32 `json:"box"` // x1, y1, x2, y2
	Mask  *mask.RLE  `json:"mask,omitempty"`
}

// detectAll runs the detector over images and passes what it finds to emit, in order.
// total is the number of images, 0 where it is not known; earlier is how many of them
// are done. Images that cannot be used, and warnings of the decoder, are collected.
func (d *detecting) detectAll(ctx context.Context, samples iter.Seq2[featurize.Sample, error], earlier, total int, emit func(detected) error) error {
	p := newProgress(d.env)
	start := time.Now()
	d.decoder = map[string]int{}
	defer func() {
		d.seconds = time.Since(start).Seconds()
		p.end()
		d.tellImages()
	}()
	p.update(earlier, total)
	return detect.Images(ctx, d.detector, samples, d.imagesConfig(), func(r detect.ImageResult) error {
		one := d.take(r)
		d.count(one)
		if err := emit(one); err != nil {
			return err
		}
		d.ran++
		p.update(d.done, total)
		return nil
	})
}

// imagesConfig says how images are decoded.
func (d *detecting) imagesConfig() detect.ImagesConfig {
	return detect.ImagesConfig{Decode: pixels.DecodeConfig{ExifRotate: d.ExifRotate}, Workers: min(cores(d.Workers), 4), Size: d.size}
}

// take makes a line of what was found in an image.
func (d *detecting) take(r detect.ImageResult) detected {
	for _, w := range r.Warnings {
		d.decoder[w]++
	}
	one := detected{Path: featurize.JSONPath(r.Sample.Path)}
	if r.Err != nil {
		one.Error = r.Err.Error()
		return one
	}
	one.Width, one.Height, one.image = r.Image.Width, r.Image.Height, r.Image
	if r.Turned {
		d.turned++
	} else if d.size != nil {
		if w, h := d.size(r.Sample); w != 0 && (w != one.Width || h != one.Height) {
			d.misfits++
		}
	}
	for _, o := range r.Detections {
		if o.Score < d.least {
			continue
		}
		one.Objects = append(one.Objects, detectedObject{o.Class, o.Score, o.Box, o.Mask})
	}
	return one
}

// count counts an image, also one that an earlier command has seen.
func (d *detecting) count(one detected) {
	d.done++
	d.objects += len(one.Objects)
	if one.Error != "" {
		d.failed = append(d.failed, featurize.Failure{Path: string(one.Path), Reason: one.Error})
	}
}

// tellImages passes on what is to be said of the images.
func (d *detecting) tellImages() {
	for text, n := range d.decoder {
		d.warn("%d images: %s", n, text)
	}
	if d.turned > 0 {
		d.warn("%d images are turned as their EXIF orientation says, which gives them the size that the data set says", d.turned)
	}
	if d.misfits > 0 {
		d.warn("%d images have another size than the data set says; boxes are in pixels of the image files", d.misfits)
	}
}

// class is the name of a class, or its place where the file does not name it.
func (d *detecting) class(i int) string {
	if classes := d.detector.Classes(); i < len(classes) && classes[i].Name != "" {
		return classes[i].Name
	}
	return fmt.Sprint(i)
}

// classNames are the names of the classes that the detector uses.
func (d *detecting) classNames() (names []string) {
	for _, c := range d.detector.Classes() {
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

func (d *detecting) imagesPerSecond() float64 {
	if d.seconds == 0 {
		return 0
	}
	return float64(d.ran) / d.seconds
}

// noneUsable is the error of a command none of whose images could be used.
func (d *detecting) noneUsable() error {
	f := d.failed[0]
	return fmt.Errorf("none of the %d images can be used; the first, %q: %s: %w", len(d.failed), f.Path, f.Reason, featurize.ErrData)
}

// someUnusable is the error of a command some of whose images could not be used.
func (d *detecting) someUnusable() error {
	f := d.failed[0]
	return hinted{fmt.Errorf("%d of %d images cannot be used; the first, %q: %s: %w", len(d.failed), d.done, f.Path, f.Reason, featurize.ErrData), "the detections in the others are written"}
}

// close frees the detector.
func (d *detecting) close() {
	if d.closer != nil {
		d.closer.Close()
	}
}
