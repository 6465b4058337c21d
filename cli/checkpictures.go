package cli

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"math"
	"path"
	"slices"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// pictures draws images of a data set for a page.
type pictures struct {
	set     *data.Set
	colours draw.Colours
	decoder *pixels.Decoder
	upright *pixels.Decoder
	bases   map[string]int // number of images of a file name without its folders
	file    []byte
	img     pixels.Image
}

const (
	pictureSide   = 360 // of a picture in the page, in pixels: not much more than it is shown with
	picturesEach  = 8   // of a split
	picturesOfOdd = 4   // of a kind of odd boxes
	mostLabelled  = 15  // objects of an image that all get a label; of more, the first of each class
)

func newPictures(set *data.Set) *pictures {
	var names []string
	for _, c := range set.Classes {
		names = append(names, c.Name)
	}
	bases := map[string]int{}
	for i := range set.Images {
		bases[path.Base(set.Images[i].Path)]++
	}
	return &pictures{set: set, bases: bases, colours: draw.NewColours(names...), decoder: pixels.NewDecoder(pixels.DecodeConfig{}), upright: pixels.NewDecoder(pixels.DecodeConfig{ExifRotate: true})}
}

// name is that of an image: of its file alone where no other has it.
func (p *pictures) name(img *data.Image) string {
	if base := path.Base(img.Path); p.bases[base] == 1 {
		return base
	}
	return img.Path
}

// read decodes an image; false: it cannot be.
func (p *pictures) read(img *data.Image) bool {
	if img.Read == nil {
		return false
	}
	var err error
	if p.file, err = img.Read(p.file[:0]); err != nil {
		return false
	}
	decoder := p.decoder
	if img.Turned {
		decoder = p.upright
	}
	_, err = decoder.Decode(&p.img, p.file)
	return err == nil
}

// objects are those of an image, as they are drawn on the pixels that were read.
func (p *pictures) objects(img *data.Image, which ...int) (all []draw.Object) {
	for _, i := range which {
		o := &img.Objects[i]
		class := p.set.Classes[o.Class]
		d := draw.Object{Class: class.Name, Number: int(class.ID)}
		for j, v := range o.Box {
			d.Box[j] = float32(v)
		}
		if o.Crowd || o.Difficult {
			d.Kind = draw.Ignored
		}
		if o.Mask != nil && img.Width == p.img.Width && img.Height == p.img.Height {
			if m, err := o.Mask.Runs(img.Height, img.Width); err == nil && m.W == img.Width && m.H == img.Height {
				d.Mask = m
			}
		}
		all = append(all, d)
	}
	return all
}

// draw makes a picture of the image that was read, or of a part of it.
func (p *pictures) draw(img *pixels.Image, objects []draw.Object, name, caption string) (report.Picture, error) {
	side := pictureSide
	if longer := max(img.Width, img.Height); longer < side {
		side -= side % longer // enlarged by a whole factor
	}
	spareLabels(objects)
	m, err := draw.Objects(img, objects, draw.Config{Colours: p.colours, Side: side})
	if err != nil {
		return report.Picture{}, err
	}
	var b bytes.Buffer
	err = draw.JPEG(&b, m)
	return report.Picture{Data: b.Bytes(), Width: m.Rect.Dx(), Height: m.Rect.Dy(), Name: name, Caption: caption}, err
}

// spareLabels leaves out labels where there are many objects: the first of each class keeps
// its own.
func spareLabels(objects []draw.Object) {
	labelled := map[string]bool{}
	for i := range objects {
		o := &objects[i]
		o.Bare = len(objects) > mostLabelled && labelled[o.Class]
		labelled[o.Class] = true
	}
}

// samples draws some images of a split.
func (p *pictures) samples(ctx context.Context, split string) (all []report.Picture, err error) {
	for _, i := range p.choose(split) {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		img := &p.set.Images[i]
		if !p.read(img) {
			continue
		}
		which := make([]int, len(img.Objects))
		for j := range which {
			which[j] = j
		}
		one, err := p.draw(&p.img, p.objects(img, which...), p.name(img), counted(len(img.Objects), "object"))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// choose takes images of a split.
func (p *pictures) choose(split string) (chosen []int) {
	var images []int
	var shown [][]data.Object
	for i := range p.set.Images {
		if img := &p.set.Images[i]; img.Split == split && img.Read != nil {
			images, shown = append(images, i), append(shown, img.Objects)
		}
	}
	for _, i := range samplesOf(shown, len(p.set.Classes), picturesEach) {
		chosen = append(chosen, images[i])
	}
	return chosen
}

// samplesOf takes at most n of the images that show objects of some classes: one for each
// of the rarest classes, up to a half of them, and others spread over all, in their order.
func samplesOf(images [][]data.Object, classes, n int) []int {
	count, first := make([]int, classes), make([]int, classes)
	for i, objects := range images {
		for _, o := range objects {
			if count[o.Class]++; count[o.Class] == 1 {
				first[o.Class] = i
			}
		}
	}
	rarest := make([]int, classes)
	for i := range rarest {
		rarest[i] = i
	}
	slices.SortStableFunc(rarest, func(a, b int) int { return cmp.Compare(count[a], count[b]) })
	var chosen []int
	take := func(i int) {
		if !slices.Contains(chosen, i) {
			chosen = append(chosen, i)
		}
	}
	for _, c := range rarest {
		if count[c] > 0 && len(chosen) < n/2 {
			take(first[c])
		}
	}
	left := min(n, len(images)) - len(chosen)
	for k := range left {
		take((2*k + 1) * len(images) / (2 * left))
	}
	for i := range images { // where some of those were chosen before
		if len(chosen) < min(n, len(images)) {
			take(i)
		}
	}
	slices.Sort(chosen)
	return chosen
}

// odd draws some boxes of a kind, each with what is around it.
func (p *pictures) odd(ctx context.Context, o data.OddBoxes) (all []report.Picture, err error) {
	for _, w := range o.Where {
		if len(all) == picturesOfOdd {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		img := &p.set.Images[w.Image]
		if !p.read(img) {
			continue
		}
		which := []int{w.Object}
		if w.Other >= 0 {
			which = []int{w.Other, w.Object}
		}
		objects := p.objects(img, which...)
		part := around(&p.img, objects[0].Box)
		for i := range objects {
			objects[i].Mask = nil
			for j := range objects[i].Box {
				objects[i].Box[j] -= float32([]int{part.Min.X, part.Min.Y}[j%2])
			}
		}
		one, err := p.draw(cut(&p.img, part), objects, p.name(img), "at "+boxText(img.Objects[w.Object].Box))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// around is the part of an image that shows a box and as much again on each side, at
// least a quarter of the image's sides.
func around(img *pixels.Image, b box.Box) image.Rectangle {
	side := func(from, to float32, n int) (int, int) {
		a, z := float64(from), float64(to)
		margin := max(z-a, (float64(n)/4-(z-a))/2, 16)
		low := max(0, min(n-1, int(math.Floor(a-margin))))
		return low, max(low+1, min(n, int(math.Ceil(z+margin))))
	}
	x0, x1 := side(b[0], b[2], img.Width)
	y0, y1 := side(b[1], b[3], img.Height)
	return image.Rect(x0, y0, x1, y1)
}

// cut is a part of an image.
func cut(img *pixels.Image, r image.Rectangle) *pixels.Image {
	out := &pixels.Image{Width: r.Dx(), Height: r.Dy()}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		at := (y*img.Width + r.Min.X) * 3
		out.Pix = append(out.Pix, img.Pix[at:at+3*r.Dx()]...)
	}
	return out
}
