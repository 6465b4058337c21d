package cli

import (
	"math"
	"path/filepath"

	"github.com/robust-transfer/rtx/detect/coco"
)

// tellStrays warns of detections of classes that the data do not have.
func (v *evaluatingObjects) tellStrays(r *objectEvaluation) {
	if r.Strays == 0 {
		return
	}
	known, strange := map[int64]bool{}, map[int64]bool{}
	for _, c := range v.truth.Categories {
		known[c.ID] = true
	}
	for _, d := range v.found {
		if !known[d.CategoryID] {
			strange[d.CategoryID] = true
		}
	}
	v.warn("%d of %d detections are of %d classes that the data do not have, and count for nothing, as in pycocotools; category_id %s, and the data have %s", r.Strays, r.Detections, len(strange), idList(strange), idList(known))
}

// tellEmpty warns where a file has no detections in most images that show objects: it may
// be of another split.
func (v *evaluatingObjects) tellEmpty(p *predictionsFile) {
	found, shown, empty := map[int64]bool{}, map[int64]bool{}, 0
	for _, d := range p.detections {
		found[d.ImageID] = true
	}
	for _, a := range v.truth.Annotations {
		if !a.Crowd && !shown[a.ImageID] {
			if shown[a.ImageID] = true; !found[a.ImageID] {
				empty++
			}
		}
	}
	if 2*empty > len(shown) {
		v.warn("%s has no detections in %d of the %d images that show objects, which count as missed: is it of another split?", filepath.Base(p.File), empty, len(shown))
	}
}

// tellReadings warns where less than half is found, or most detections are of unknown
// classes, and the detections read in another way would find much more: labels counted
// from another number, boxes of another form. Boxes of another form may find something
// where they begin at the upper left corner.
func (v *evaluatingObjects) tellReadings(r *objectEvaluation) {
	const low, times, more = 0.5, 1.5, 0.1
	if r.Detections < 10 || !(float64(r.BBox.AP50) < low) && 2*r.Strays < r.Detections {
		return
	}
	other, err := coco.OtherReading(&v.truth.Dataset, v.found)
	if err != nil || other.Labels == "" && other.Boxes == "" || !(other.AP50 >= max(times*other.AsWritten, other.AsWritten+more)) {
		return // it is an aid for people, not a result
	}
	words := other.Labels
	if other.Boxes != "" && words != "" {
		words += ", and " + other.Boxes
	} else if words == "" {
		words = other.Boxes
	}
	of := ""
	if math.Abs(other.AsWritten-float64(r.BBox.AP50)) > 0.01 {
		of = " of the first images with detections"
	}
	v.warn("AP50%s is %s; if %s, it would be %s: see how the file was written (the figures here are as it stands)", of, hundredths(share(other.AsWritten))+" %", words, hundredths(share(other.AP50))+" %")
}
