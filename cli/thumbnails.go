package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// thumbnails reads the wanted images of a source, by path, and makes them small.
func thumbnails(ctx context.Context, data, root string, wanted map[string]bool) (map[string]image.Image, error) {
	l, err := featurize.Source(ctx, data, featurize.SourceConfig{Root: root, Stdin: os.Stdin})
	if errors.Is(err, fs.ErrNotExist) {
		err = hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), whereImages}
	}
	if err != nil {
		return nil, err
	}
	defer l.Close()
	m := thumbnailer{decoder: pixels.NewDecoder(pixels.DecodeConfig{})}
	defer m.decoder.Close()
	thumbs := map[string]image.Image{}
	for s, err := range l.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if !wanted[s.Path] {
			continue
		}
		if thumbs[s.Path], err = m.make(s); err != nil {
			return nil, hinted{fmt.Errorf("%q: %w: %w", s.Path, err, featurize.ErrData), whereImages}
		}
		if len(thumbs) == len(wanted) {
			break
		}
	}
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		if thumbs[path] == nil {
			return nil, hinted{fmt.Errorf("%q has no image %q, which the set names: %w", data, path, featurize.ErrData), whereImages}
		}
	}
	return thumbs, nil
}

// thumbnailer makes thumbnails. It keeps its buffers from one image to the next.
type thumbnailer struct {
	decoder   *pixels.Decoder
	resampler pixels.Resampler
	data      []byte
	img       pixels.Image
}

// make decodes an image and shrinks it to the size of a thumbnail.
func (m *thumbnailer) make(s featurize.Sample) (image.Image, error) {
	var err error
	if m.data, err = s.Read(m.data[:0]); err != nil {
		return nil, err
	}
	if _, err := m.decoder.Decode(&m.img, m.data); err != nil {
		return nil, err
	}
	longer := max(m.img.Width, m.img.Height)
	w, h := max(1, m.img.Width*report.ThumbnailSize/longer), max(1, m.img.Height*report.ThumbnailSize/longer)
	rgb := make([]uint8, w*h*3)
	if err := m.resampler.Apply(rgb, &m.img, pixels.Geometry{Width: w, Height: h, Interpolation: pixels.Bicubic}); err != nil {
		return nil, err
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		copy(img.Pix[4*i:], rgb[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img, nil
}
