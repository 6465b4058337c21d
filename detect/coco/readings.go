package coco

import (
	"cmp"
	"math"
	"slices"
)

// Reading is a way in which detections may have been meant that is not COCO's.
type Reading struct {
	Labels string  // what category_id holds, in words; "": what COCO says
	Boxes  string  // what the boxes hold, in words; "": what COCO says
	AP50   float64 // of boxes at IoU .5, with this reading

	AsWritten float64 // the same with what COCO says, of the same images
}

// mostRead is the number of images by which readings are judged.
const mostRead = 500

// OtherReading looks for mistakes that results files often have, and returns the reading
// that gives the highest AP50 of boxes: category_id counted from another number or
// a place in the list of categories; boxes of two corners, or of a centre and a size;
// and boxes in fractions of the image. Where none of them is better than what COCO
// says, both words of the Reading are empty. At most 500 images are judged.
//
// Detections of images that are not in gt are passed over.
func OtherReading(gt *Dataset, dt []Detection) (Reading, error) {
	gt, dt = excerpt(gt, dt)
	best, err := Reading{}, error(nil)
	if best.AP50, err = ap50(gt, dt); err != nil {
		return best, err
	}
	best.AsWritten = best.AP50
	sizes := map[int64]Image{}
	for _, image := range gt.Images {
		sizes[image.ID] = image
	}
	for _, b := range boxReadings(dt) {
		boxed := make([]Detection, len(dt))
		for i, d := range dt {
			boxed[i] = d
			boxed[i].Mask, boxed[i].Area = nil, 0
			boxed[i].Box = b.box(d.Box, sizes[d.ImageID])
		}
		for _, l := range labelReadings(gt) {
			if l.words == "" && b.words == "" {
				continue
			}
			read := slices.Clone(boxed)
			for i := range read {
				read[i].CategoryID = l.id(read[i].CategoryID)
			}
			ap, err := ap50(gt, read)
			if err != nil {
				return best, err
			}
			if ap > best.AP50 || math.IsNaN(best.AP50) {
				best.Labels, best.Boxes, best.AP50 = l.words, b.words, ap
			}
		}
	}
	return best, nil
}

// ap50 is the figure of boxes alone.
func ap50(gt *Dataset, dt []Detection) (float64, error) {
	e, err := Evaluate(gt, dt, Config{IoUs: []float64{.5}, MaxDets: []int{100}, Areas: []AreaRange{{AreaAll, 0, 1e10}}})
	if err != nil {
		return math.NaN(), err
	}
	return e.Summary().AP50, nil
}

// excerpt is a part of both: the first images that have detections.
func excerpt(gt *Dataset, dt []Detection) (*Dataset, []Detection) {
	found := map[int64]bool{}
	for _, d := range dt {
		found[d.ImageID] = true
	}
	some, taken := &Dataset{Categories: gt.Categories}, map[int64]bool{}
	for _, image := range gt.Images {
		if found[image.ID] && len(some.Images) < mostRead {
			some.Images, taken[image.ID] = append(some.Images, image), true
		}
	}
	for _, a := range gt.Annotations {
		if taken[a.ImageID] {
			some.Annotations = append(some.Annotations, a)
		}
	}
	return some, slices.DeleteFunc(slices.Clone(dt), func(d Detection) bool { return !taken[d.ImageID] })
}

type labelReading struct {
	words string
	id    func(int64) int64
}

// labelReadings are those of category_id.
func labelReadings(gt *Dataset) []labelReading {
	sorted := slices.Clone(gt.Categories)
	slices.SortFunc(sorted, func(a, b Category) int { return cmp.Compare(a.ID, b.ID) })
	place := func(first int64) func(int64) int64 {
		return func(id int64) int64 {
			if id -= first; id >= 0 && id < int64(len(sorted)) {
				return sorted[id].ID
			}
			return math.MinInt64 // of no category
		}
	}
	return []labelReading{
		{"", func(id int64) int64 { return id }},
		{"category_id is one too low", func(id int64) int64 { return id + 1 }},
		{"category_id is one too high", func(id int64) int64 { return id - 1 }},
		{"category_id is the place of the category, from 0 on", place(0)},
		{"category_id is the place of the category, from 1 on", place(1)},
	}
}

type boxReading struct {
	words string
	box   func([4]float64, Image) [4]float64
}

// boxReadings are those of boxes: in fractions of the image where all their numbers
// are small, else in pixels.
func boxReadings(dt []Detection) []boxReading {
	small := !slices.ContainsFunc(dt, func(d Detection) bool {
		return slices.ContainsFunc(d.Box[:], func(v float64) bool { return math.Abs(v) > 1.5 })
	})
	corners := func(b [4]float64) [4]float64 { return [4]float64{b[0], b[1], b[2] - b[0], b[3] - b[1]} }
	// The conversions keep halves, which are products, from being fused with the differences.
	centre := func(b [4]float64) [4]float64 {
		return [4]float64{b[0] - float64(b[2]/2), b[1] - float64(b[3]/2), b[2], b[3]}
	}
	same := func(b [4]float64) [4]float64 { return b }
	if !small {
		pixels := func(f func([4]float64) [4]float64) func([4]float64, Image) [4]float64 {
			return func(b [4]float64, _ Image) [4]float64 { return f(b) }
		}
		return []boxReading{
			{"", pixels(same)},
			{"boxes are x1, y1, x2, y2", pixels(corners)},
			{"boxes are the centre and the size", pixels(centre)},
		}
	}
	scaled := func(f func([4]float64) [4]float64) func([4]float64, Image) [4]float64 {
		return func(b [4]float64, image Image) [4]float64 {
			b = f(b)
			w, h := float64(image.Width), float64(image.Height)
			return [4]float64{b[0] * w, b[1] * h, b[2] * w, b[3] * h}
		}
	}
	return []boxReading{
		{"boxes are x, y, width, height in fractions of the image", scaled(same)},
		{"boxes are x1, y1, x2, y2 in fractions of the image", scaled(corners)},
		{"boxes are the centre and the size in fractions of the image", scaled(centre)},
	}
}
