package data

import (
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

// COCO returns the images of a split and their objects for the evaluation; those of all
// splits for "". The images are in the order of the set. Image and class ids are those of
// the data, annotation ids too if they are above 0 and unique; otherwise each is numbered
// from 1 on. Where splits number classes in different ways, those of a split have its
// numbers. Lost images are among them. Boxes are those of the data, as pycocotools takes
// them: of COCO's files also those that Image.Objects lacks because they are empty or not
// in the image, and those that reach out of it whole. Masks are made only on request, as
// that takes time.
func (s *Set) COCO(ctx context.Context, split string, masks bool) (*coco.Dataset, error) {
	d := &coco.Dataset{}
	classes := s.classIDs(split)
	for i, c := range s.Classes {
		d.Categories = append(d.Categories, coco.Category{ID: classes[i], Name: c.Name})
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
		for o := range img.judged {
			if o.ID > 0 {
				objects[o.ID] = true
			}
			d.Annotations = append(d.Annotations, coco.Annotation{
				ID: o.ID, CategoryID: classes[o.Class], Box: o.xywh(), Area: o.Area, Crowd: o.Crowd,
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
		for o, fits := range img.judged {
			a := &d.Annotations[next]
			next++
			a.ImageID = id
			if len(objects) < len(d.Annotations) {
				a.ID = int64(next)
			}
			switch {
			case masks && o.Mask != nil:
				var err error
				if a.Mask, err = o.Mask.Runs(img.Height, img.Width); err != nil {
					return nil, fmt.Errorf("data: %q: annotation %d: %w", img.Path, a.ID, err)
				}
			case masks && !fits: // an empty one, which nothing finds
				a.Mask, _ = mask.FromBox([4]float64{}, img.Height, img.Width) // nil for an image of an unknown size
			}
		}
	}
	return d, nil
}

// classIDs are the ids of the classes in a split. A class that its list does not name
// keeps its own id, unless another class of the split has that.
func (s *Set) classIDs(split string) []int64 {
	ids, taken, highest := make([]int64, len(s.Classes)), map[int64]bool{}, int64(0)
	var rest []int
	for i, c := range s.Classes {
		highest = max(highest, c.ID)
		id, listed := s.listed[split][c.Name]
		if !listed || taken[id] {
			rest = append(rest, i)
			continue
		}
		ids[i], taken[id], highest = id, true, max(highest, id)
	}
	for _, i := range rest {
		if ids[i] = s.Classes[i].ID; taken[ids[i]] {
			highest++
			ids[i] = highest
		}
		taken[ids[i]] = true
	}
	return ids
}
