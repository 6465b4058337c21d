package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// objectImages are the images of a detection data set, for a detector.
type objectImages struct {
	samples []featurize.Sample // each file once; Read fails for a lost one
	ids     map[string]int64   // by the paths of samples
	sizes   map[string][2]int  // width and height as the data say them; 0, 0: they do not
}

// imagesOf lists images, whose ids are given beside them.
func imagesOf(images []data.Image, ids []int64, stat func(*data.Image) (size, time int64)) *objectImages {
	o := &objectImages{ids: map[string]int64{}, sizes: map[string][2]int{}}
	for i := range images {
		img := &images[i]
		if _, twice := o.ids[img.Path]; twice {
			continue
		}
		s, there := img.Sample()
		if !there {
			s.Read = lost
		}
		s.Size, s.ModTime = stat(img)
		o.samples = append(o.samples, s)
		o.ids[img.Path], o.sizes[img.Path] = ids[i], [2]int{img.Width, img.Height}
	}
	return o
}

// lost reads an image whose file was not found.
func lost([]byte) ([]byte, error) {
	return nil, fmt.Errorf("the file was not found: %w", fs.ErrNotExist)
}

// size is that which the data say of an image.
func (o *objectImages) size(s featurize.Sample) (width, height int) {
	size := o.sizes[s.Path]
	return size[0], size[1]
}

// listImages lists the images of predict: those that are named, those of a detection data
// set, or those of whatever else --data names.
func (p *predictingObjects) listImages(ctx context.Context) error {
	if len(p.o.Images) > 0 || p.Data == "-" {
		p.network.objects = true
		return p.network.images(ctx, p.o.Images)
	}
	if !strings.EqualFold(filepath.Ext(p.Data), ".json") {
		err := p.network.source(ctx)
		if err == nil && p.listing.Stream != nil { // what it is would show at its end
			if _, other := data.Format(ctx, p.Data); other == nil {
				p.listing.Close()
				err = featurize.ErrObjects
			}
		}
		if !errors.Is(err, featurize.ErrObjects) {
			return err
		}
	}
	set, err := p.openObjects(ctx, p.dataOptions)
	if err != nil {
		return err
	}
	truth := &truth{name: p.Data, split: "all", set: set}
	all, err := set.COCO(ctx, "", false)
	if err != nil {
		set.Close()
		return err
	}
	truth.Dataset = *all
	ids := make([]int64, len(all.Images))
	for i, image := range all.Images {
		ids[i] = image.ID
	}
	p.truth, p.known = truth, imagesOf(set.Images, ids, truth.stat)
	p.size = p.known.size
	p.listing = &featurize.Listing{Samples: p.known.samples}
	return nil
}

// tellClasses warns of classes of the detector that the data do not have.
func (p *predictingObjects) tellClasses() {
	if p.truth == nil || p.format() != "coco" {
		return
	}
	var strange []string
	for _, name := range p.classNames() {
		if p.truth.categoryOf(name) == nil {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		p.warn("%d classes of %s are not in %s, and what is found of them is left out of predictions.json: %s", len(strange), p.model.Name(), p.Data, someOf(strange))
	}
}

// closeImages closes what the images are read from.
func (p *predictingObjects) closeImages() {
	p.listing.Close()
	if p.truth != nil {
		p.truth.set.Close()
	}
}
