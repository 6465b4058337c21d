package coco

import (
	"cmp"
	"slices"
)

// ImageErrors are what was right and wrong in an image.
type ImageErrors struct {
	ImageID int64
	Right   []int // detections, as places in those given to Evaluate, by falling score
	Wrong   []int // detections
	Missed  []int // objects, as places in Dataset.Annotations
}

// Worst returns the images with errors, those with the most wrong detections and missed
// objects first; of equal ones that of the lower id. Errors are those of PerImage. At most
// n images are returned; 0: all.
func (e *Evaluation) Worst(n int, iou, score float64) ([]ImageErrors, error) {
	images, err := e.PerImage(iou, score)
	if err != nil {
		return nil, err
	}
	images = slices.DeleteFunc(images, func(m ImageErrors) bool { return len(m.Wrong)+len(m.Missed) == 0 })
	slices.SortStableFunc(images, func(a, b ImageErrors) int {
		return cmp.Compare(len(b.Wrong)+len(b.Missed), len(a.Wrong)+len(a.Missed))
	})
	if n > 0 && len(images) > n {
		images = images[:n]
	}
	return images, nil
}

// PerImage returns what was right and wrong in each image, by rising id. Only detections
// with at least a score count, and a detection is right if it matches an object of its
// category at iou, one of Config.IoUs.
func (e *Evaluation) PerImage(iou, score float64) ([]ImageErrors, error) {
	t, err := e.threshold(iou)
	if err != nil {
		return nil, err
	}
	a, err := e.assign(t)
	if err != nil {
		return nil, err
	}
	x := e.x
	images := make([]ImageErrors, len(x.images))
	for i, at := range x.images {
		images[i].ImageID = x.gt.Images[at].ID
	}
	order := make([]int32, len(x.found))
	for i := range order {
		order[i] = int32(i)
	}
	sortByScore(order, x.found)
	for _, d := range order {
		f := &x.found[d]
		switch m := &images[f.image]; {
		case f.score < score || a.ignored[d]:
		case a.object[d] >= 0:
			m.Right = append(m.Right, int(f.at))
		default:
			m.Wrong = append(m.Wrong, int(f.at))
		}
	}
	for _, g := range x.groups {
		for o := g.g0; o < g.g1; o++ {
			if d := a.found[o]; !a.absent[o] && (d < 0 || x.found[d].score < score) {
				images[g.image].Missed = append(images[g.image].Missed, int(x.objects[o].at))
			}
		}
	}
	return images, nil
}
