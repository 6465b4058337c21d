package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// loader holds what one goroutine reads images with.
type loader struct {
	plain, upright *pixels.Decoder // upright turns images as EXIF says
	resampler      pixels.Resampler
	file           []byte
	decoded        pixels.Image
}

func newLoaders(n int) chan *loader {
	all := make(chan *loader, n)
	for range n {
		all <- &loader{plain: pixels.NewDecoder(pixels.DecodeConfig{}), upright: pixels.NewDecoder(pixels.DecodeConfig{ExifRotate: true})}
	}
	return all
}

func (l *loader) close() {
	l.plain.Close()
	l.upright.Close()
}

// Load fills a batch: its input graph.Images, and the truth of each row, a *Target. All
// rows must have one canvas. Rows whose images cannot be read are missed. Training
// images may be mirrored and have other sizes, depending only on the seed, the row and
// the epoch; in a negative epoch they are as those of other splits.
func (d *Data) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	if b.N() == 0 {
		return nil
	}
	for _, row := range b.Rows {
		if row < 0 || row >= d.Rows(s) {
			return fmt.Errorf("detect: row %d of split %s, which has %d", row, s, d.Rows(s))
		}
		if d.Group(s, row) != d.Group(s, b.Rows[0]) {
			return fmt.Errorf("detect: rows %d and %d of split %s are of different canvases, %v and %v, in one batch", b.Rows[0], row, s, d.canvases[d.Group(s, b.Rows[0])], d.canvases[d.Group(s, row)])
		}
	}
	canvas := d.canvases[d.Group(s, b.Rows[0])]
	size := 3 * canvas.H * canvas.W
	images := b.Input(graph.Images, b.N()*size/b.N())
	onWorkers(ctx, cap(d.loaders), b.N(), func(i int) {
		l := <-d.loaders
		defer func() { d.loaders <- l }()
		row := b.Rows[i]
		p := d.picture(s, row)
		t, err := d.load(l, p, d.scaling(s, row, epoch), d.flips(s, row, epoch), canvas, images[i*size:][:size])
		if err != nil {
			d.fail(p.at, err)
			b.Miss(i)
			return
		}
		t.Row = row
		b.Truth[i] = t
	})
	return context.Cause(ctx)
}

// load writes an image [3,H,W] of the canvas's size, and makes its target.
func (d *Data) load(l *loader, p picture, scaling onnx.DetectImages, flip bool, canvas detect.Size, dst []float32) (*Target, error) {
	to := detect.Scaled(scaling, p.size)
	planes, err := d.planes(l, p, scaling, to, flip)
	if err != nil {
		return nil, err
	}
	for c := range 3 {
		from := c
		if d.spec.Channels == "bgr" {
			from = 2 - c
		}
		place(dst[c*canvas.H*canvas.W:][:canvas.H*canvas.W], canvas.W, planes[from*to.H*to.W:][:to.H*to.W], to.W, d.padding[c])
	}
	t := d.target(&d.set.Images[p.at], p.size, to, flip)
	t.Canvas = canvas
	return t, nil
}

// place copies a plane of w columns to the upper left of one of width columns, and pads
// the rest.
func place(dst []float32, width int, plane []float32, w int, padding float32) {
	for row := range slices.Chunk(dst, width) {
		n := copy(row, plane[:min(w, len(plane))])
		plane = plane[n:]
		for i := n; i < width; i++ {
			row[i] = padding
		}
	}
}

// planes are the pixels of a scaled image [3,H,W], RGB in [0,1], which may be mirrored.
func (d *Data) planes(l *loader, p picture, scaling onnx.DetectImages, to detect.Size, flip bool) ([]float32, error) {
	kept := d.cache[p.at].Load()
	if kept == nil {
		if err := l.decode(&d.set.Images[p.at], p); err != nil {
			return nil, err
		}
		kept = &cached{image: &l.decoded}
		var err error
		if len(d.config.MinSizes) == 1 {
			if kept, err = kept.scaled(l, scaling, to); err != nil {
				return nil, err
			}
		}
		d.keep(p.at, kept)
	}
	if kept.planes == nil {
		return detect.Resize(scaling, kept.image, to, flip)
	}
	if !flip {
		return kept.planes, nil
	}
	mirrored := slices.Clone(kept.planes)
	for row := range slices.Chunk(mirrored, to.W) {
		slices.Reverse(row)
	}
	return mirrored, nil
}

// decode reads an image and decodes it.
func (l *loader) decode(img *data.Image, p picture) (err error) {
	if l.file, err = img.Read(l.file[:0]); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	decoder := l.plain
	if p.turned {
		decoder = l.upright
	}
	if _, err = decoder.Decode(&l.decoded, l.file); err != nil {
		return err
	}
	if found := (detect.Size{H: l.decoded.Height, W: l.decoded.Width}); found != p.size {
		return fmt.Errorf("it is %dx%d, and was %dx%d when the training began", found.W, found.H, p.size.W, p.size.H)
	}
	return nil
}
