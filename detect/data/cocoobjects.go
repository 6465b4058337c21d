package data

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// objects adds the objects of the file.
func (r *cocoReader) objects(ctx context.Context) error {
	seen := make(map[int64]bool, len(r.file.Annotations))
	for i := range r.file.Annotations {
		if i%10000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		a := &r.file.Annotations[i]
		where := place{file: r.file.name, id: a.ID, at: i}
		id, ok := a.ID.integer()
		if !ok || id == 0 || seen[id] {
			r.find.add(ObjectID, "%s: id %q", where, a.ID.raw)
			id = 0
		}
		seen[id] = true
		at, known := r.image[a.ImageID.key()]
		if !known || !a.ImageID.given() {
			r.find.add(ObjectNoImage, "%s: image_id %q", where, a.ImageID.raw)
			continue
		}
		if a.ImageID.text {
			r.find.add(ImageIDText, "%s: image_id %q", where, a.ImageID.raw)
		}
		class, known := r.class[a.CategoryID.key()]
		if !known || !a.CategoryID.given() {
			r.find.add(ObjectNoClass, "%s: category_id %q", where, a.CategoryID.raw)
			continue
		}
		o, img := Object{ID: id, Class: class}, &r.Images[at]
		if r.object(&o, a, img, where) {
			img.Objects = append(img.Objects, o)
		} else if o.known {
			img.unfit = append(img.unfit, unfitObject{o, len(img.Objects)})
		}
	}
	return r.odd.check(r.file.name)
}

// oddBoxes counts boxes that are written otherwise than COCO's: x, y, width, height in
// pixels.
type oddBoxes struct {
	all       int
	fractions int // within the first pixel
	corners   int // width and height are beyond x and y, as x2 and y2 would be
	outside   int // of their images
}

func (c *oddBoxes) add(v []float64, img *Image) {
	if !finite(v) {
		return
	}
	c.all++
	if v[0]+v[2] <= 1.01 && v[1]+v[3] <= 1.01 {
		c.fractions++
	}
	if v[2] > v[0] && v[3] > v[1] {
		c.corners++
	}
	if img.Width > 0 && (v[0]+v[2] > float64(img.Width)+1 || v[1]+v[3] > float64(img.Height)+1) {
		c.outside++
	}
}

// check refuses a file all of whose boxes are written otherwise.
func (c *oddBoxes) check(file string) error {
	const fewest = 5 // boxes that are no coincidence
	switch {
	case c.all < fewest:
		return nil
	case c.fractions == c.all:
		return fmt.Errorf("data: %q: all %d boxes lie within the first pixel, as fractions of the image's size do, expected pixels: %w", file, c.all, featurize.ErrData)
	case c.corners == c.all && 4*c.outside > c.all:
		return fmt.Errorf("data: %q: in all %d boxes the third and fourth number are above the first two, and %d boxes reach out of their images, as corners x1, y1, x2, y2 do, expected x, y, width, height: %w", file, c.all, c.outside, featurize.ErrData)
	}
	return nil
}

// place names an annotation in a message.
type place struct {
	file string
	id   number
	at   int
}

func (p place) String() string {
	if p.id.given() {
		return fmt.Sprintf("%s: annotation %s", p.file, p.id.raw)
	}
	return fmt.Sprintf("%s: annotation at place %d", p.file, p.at)
}

// object reads the box, the mask and the rest of an object; false: it is dropped, but
// counts in an evaluation if its box is given.
func (r *cocoReader) object(o *Object, a *cocoAnnotation, img *Image, where place) bool {
	if !a.Crowd.given() {
		r.find.add(CrowdMissing, "%s", where)
	}
	crowd := a.Crowd.float()
	o.Crowd = crowd != 0 && crowd == crowd
	o.Mask = r.segmentation(a.Segmentation, img, where)
	fits := r.cocoBox(o, a.Box, img, where)
	if !fits && !o.known {
		return false
	}
	switch o.Area = a.Area.float(); {
	case !a.Area.given():
		r.find.add(AreaMissing, "%s", where)
		o.Area = o.area()
	case !(o.Area >= 0) || math.IsInf(o.Area, 0):
		r.find.add(AreaMalformed, "%s: area %q", where, a.Area.raw)
		o.Area = o.area()
	}
	return fits
}

// cocoBox reads x, y, width, height.
func (r *cocoReader) cocoBox(o *Object, raw []byte, img *Image, where place) bool {
	list, ok := floats(raw)
	if len(list) == 0 && (ok || len(raw) == 0 || string(raw) == "null") {
		r.find.add(BoxMissing, "%s", where)
		if o.Mask == nil {
			return false
		}
		o.Box, ok = o.Mask.bounds()
		return ok && r.fit(&o.Box, img, where)
	}
	if !ok || len(list) != 4 {
		r.find.add(BoxMalformed, "%s: bbox %s", where, short(raw))
		return false
	}
	r.odd.add(list, img)
	o.given, o.known = [4]float64(list), judgeable([4]float64(list))
	o.Box = [4]float64{list[0], list[1], list[0] + list[2], list[1] + list[3]}
	fits := r.fit(&o.Box, img, where)
	o.fitted = o.Box
	return fits
}

// short is the beginning of a text.
func short(raw []byte) string {
	const most = 80
	if len(raw) > most {
		return strings.ToValidUTF8(string(raw[:most]), "") + "..."
	}
	return string(raw)
}
