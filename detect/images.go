package detect

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// ImagesConfig configures Images.
type ImagesConfig struct {
	Decode  pixels.DecodeConfig
	Workers int // goroutines that read and decode; 0: 1

	// Size is the width and height of a sample as its data set says them; 0, 0 where it
	// says nothing. An image of another size is turned as its EXIF orientation says if
	// that gives it this one. nil: all images are as Decode leaves them.
	Size func(featurize.Sample) (width, height int)

	// Alter, unless nil, changes an image before the detector sees it. Workers call it at
	// once for different images. An error makes the image one that cannot be used.
	Alter func(*pixels.Image, featurize.Sample) error
}

// ImageResult is what a detector found in an image, or why the image cannot be used.
type ImageResult struct {
	Sample     featurize.Sample
	Image      *pixels.Image // valid until emit returns
	Turned     bool          // by its EXIF orientation, to have the size of the data set
	Detections []Detection
	Err        error    // why the file could not be read or decoded
	Warnings   []string // of the decoder
}

// Images calls emit with what a detector finds in each of some images, in their order;
// an error of emit or of the detector ends it. An image that cannot be read or decoded
// is an ImageResult with an error, and no error of Images. It holds a few images at a
// time.
//
// When ctx ends, the image that the detector works on is finished and emitted, and the
// context's cause is returned.
func Images(ctx context.Context, d Detector, samples iter.Seq2[featurize.Sample, error], c ImagesConfig, emit func(ImageResult) error) error {
	inner, stop := context.WithCancelCause(ctx)
	workers := max(1, c.Workers)
	ordered, work := make(chan *decoding, workers+1), make(chan *decoding, workers+1)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop(nil)
	for range workers {
		running.Go(func() { c.decode(work) })
	}
	running.Go(func() {
		defer close(ordered)
		defer close(work)
		if err := feed(inner, samples, ordered, work); err != nil {
			stop(err)
		}
	})
	for job := range ordered {
		<-job.done
		if inner.Err() != nil {
			break
		}
		r := job.result
		if r.Err == nil {
			var err error
			if r.Detections, err = d.Detect(context.WithoutCancel(ctx), r.Image); err != nil {
				return fmt.Errorf("%q: %w", r.Sample.Path, err)
			}
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return context.Cause(inner)
}

// decoding is an image that a worker decodes; done is closed when it has.
type decoding struct {
	result ImageResult
	done   chan struct{}
}

// feed hands samples to the workers, and to the detector in their order, until the
// samples or ctx end.
func feed(ctx context.Context, samples iter.Seq2[featurize.Sample, error], ordered, work chan<- *decoding) error {
	for s, err := range samples {
		if err != nil {
			return err
		}
		job := &decoding{result: ImageResult{Sample: s}, done: make(chan struct{})}
		select {
		case ordered <- job:
		case <-ctx.Done():
			return nil
		}
		work <- job // the workers never stop before it is closed
	}
	return nil
}

// decode is a worker: it reads and decodes images.
func (c ImagesConfig) decode(work <-chan *decoding) {
	plain := pixels.NewDecoder(c.Decode)
	defer plain.Close()
	turning := c.Decode
	turning.ExifRotate = true
	upright := pixels.NewDecoder(turning)
	defer upright.Close()
	var data []byte
	for job := range work {
		r := &job.result
		r.Image = &pixels.Image{}
		var info pixels.Info
		if data, r.Err = r.Sample.Read(data[:0]); r.Err == nil {
			info, r.Err = plain.Decode(r.Image, data)
		}
		if r.Err == nil && c.Size != nil && !c.Decode.ExifRotate {
			r.turn(upright, data, c.Size)
		}
		if r.Err == nil && c.Alter != nil {
			r.Err = c.Alter(r.Image, r.Sample)
		}
		r.Warnings = info.Warnings
		close(job.done)
	}
}

// turn turns an image by its EXIF orientation if only that gives it the size of its
// data set.
func (r *ImageResult) turn(upright *pixels.Decoder, data []byte, size func(featurize.Sample) (int, int)) {
	w, h := size(r.Sample)
	if w == 0 || w == r.Image.Width && h == r.Image.Height {
		return
	}
	var turned pixels.Image
	if _, err := upright.Decode(&turned, data); err == nil && turned.Width == w && turned.Height == h {
		*r.Image, r.Turned = turned, true
	}
}
