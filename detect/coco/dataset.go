package coco

import "github.com/robust-transfer/rtx/detect/mask"

// Dataset is the truth about images: what objects they show. It is what COCO's
// instances_*.json holds.
type Dataset struct {
	Images      []Image
	Categories  []Category
	Annotations []Annotation
}

// Image is an image of a Dataset.
type Image struct {
	ID            int64
	FileName      string
	Width, Height int
}

// Category is a class.
type Category struct {
	ID            int64
	Name          string
	Supercategory string
}

// Annotation is an object in an image.
type Annotation struct {
	ID         int64 // from 1 on, and unique: pycocotools takes 0 for none
	ImageID    int64
	CategoryID int64
	Box        [4]float64 // x, y, width, height
	Area       float64    // of the mask, or of the box where there are no masks
	Crowd      bool       // many objects that were not told apart
	Mask       *mask.RLE  // nil: none
}

// Detection is an object that a detector found: an element of COCO's results files.
type Detection struct {
	ImageID    int64
	CategoryID int64
	Box        [4]float64 // x, y, width, height
	Score      float64
	Mask       *mask.RLE // nil: none

	// Area decides which area ranges the detection belongs to. 0: width times height of
	// Box. pycocotools takes the area of the mask only where a results file has no
	// boxes; then ReadResults sets it.
	Area float64
}

func (d *Detection) area() float64 {
	if d.Area != 0 {
		return d.Area
	}
	return d.Box[2] * d.Box[3]
}
