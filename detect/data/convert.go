package data

import (
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/detect/coco"
)

// COCO returns the images of a split and their objects for the evaluation; those of all
// splits for "". The images are in the order of the set. Image and class ids are those of
// the data, annotation ids too if they are above 0 and unique; otherwise each is numbered
// from 1 on. Lost images are among them. Masks are made only on request, as that takes
// time.
func (s *Set) COCO(ctx context.Context, split string, masks bool) (*coco.Dataset, error) {
	d := &coco.Dataset{}
	for _, c := range s.Classes {
		d.Categories = append(d.Categories, coco.Category{ID: c.ID, Name: c.Name})
	}
	var of []*Image
	images, objects := map[int64]bool{}, map[int64]bool{}
	for i := range s.Images {
		img := &s.Images[i]
		if split != "" && img.Split != split {
			continue
		}
		of = append(of, img)
		images[img.ID] = true
		for _, o := range img.Objects {
			if o.ID > 0 {
				objects[o.ID] = true
			}
			d.Annotations = append(d.Annotations, coco.Annotation{
				ID: o.ID, CategoryID: s.Classes[o.Class].ID, Box: o.xywh(), Area: o.Area, Crowd: o.Crowd,
			})
		}
	}
	next := 0
	for i, img := range of {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := img.ID
		if len(images) < len(of) {
			id = int64(i + 1)
		}
		d.Images = append(d.Images, coco.Image{ID: id, FileName: img.Name, Width: img.Width, Height: img.Height})
		for j := range img.Objects {
			a := &d.Annotations[next]
			next++
			a.ImageID = id
			if len(objects) < len(d.Annotations) {
				a.ID = int64(next)
			}
			if m := img.Objects[j].Mask; masks && m != nil {
				var err error
				if a.Mask, err = m.Runs(img.Height, img.Width); err != nil {
					return nil, fmt.Errorf("data: %q: object %d: %w", img.Path, j, err)
				}
			}
		}
	}
	return d, nil
}
