package cli

import (
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

// tellReadings warns where next to nothing is found, or most detections are of unknown
// classes, and the detections read in another way would find much more: labels counted
// from another number, boxes of another form.
func (v *evaluatingObjects) tellReadings(r *objectEvaluation) {
	const nothing, much = 0.01, 0.1
	few := max(10, r.Objects/10)
	if r.Detections < few || !(float64(r.BBox.AP50) < nothing) && 2*r.Strays < r.Detections {
		return
	}
	other, err := coco.OtherReading(&v.truth.Dataset, v.found)
	if err != nil || !(other.AP50 >= max(much, 2*float64(r.BBox.AP50))) {
		return // it is an aid for people, not a result
	}
	words := other.Labels
	if other.Boxes != "" && words != "" {
		words += ", and " + other.Boxes
	} else if words == "" {
		words = other.Boxes
	}
	v.warn("AP50 is %s; if %s, it would be %s: see how the file was written (the figures here are as it stands)", hundredths(r.BBox.AP50)+" %", words, hundredths(share(other.AP50))+" %")
}
