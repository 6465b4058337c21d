package cli

import (
	"context"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/voc"
)

// analysisIoU is the overlap at which detections are right in all that is not an average
// over overlaps: curves, best scores, kinds of errors, the confusion matrix.
const analysisIoU = 0.5

// objectSpread is how much figures vary over bootstrap samples of the images.
type objectSpread struct {
	BBox figureSpread  `json:"bbox"`
	Segm *figureSpread `json:"segm"`
}

type figureSpread struct {
	AP   spreadRange `json:"ap"`
	AP50 spreadRange `json:"ap50"`
}

// spreadRange is a standard deviation and the 95 % interval.
type spreadRange struct {
	SD   share `json:"sd"`
	Low  share `json:"low"`
	High share `json:"high"`
}

func rangeOf(s coco.Spread) spreadRange { return spreadRange{share(s.SD), share(s.Low), share(s.High)} }

// spreadOf draws bootstrap samples of the images.
func spreadOf(ctx context.Context, e *coco.Evaluation) (figureSpread, error) {
	ap, ap50, err := e.Bootstrap(ctx, coco.BootstrapConfig{})
	return figureSpread{rangeOf(ap), rangeOf(ap50)}, err
}

// objectErrors are the kinds of errors of boxes, after TIDE (Bolya et al. 2020).
type objectErrors struct {
	IoU           float64     `json:"iou"`
	Kinds         []errorKind `json:"kinds"`
	FalsePositive share       `json:"false_positive_ap"` // what AP at IoU would gain if right detections came before all others
	FalseNegative share       `json:"false_negative_ap"` // without objects that nothing finds
}

type errorKind struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	AP    share  `json:"ap"` // what AP at IoU would gain without these errors
}

// errorNames are the kinds of errors, in the order of coco.ErrorKind.
var errorNames = [...][2]string{
	{"class", "the place of an object, with another class"},
	{"localisation", "the class of an object nearby, with too little overlap"},
	{"both", "an object of another class nearby, with too little overlap"},
	{"duplicate", "an object that a better detection has found"},
	{"background", "where there is no object"},
	{"missed", "an object that nothing finds"},
}

func errorsOf(k *coco.ErrorKinds) *objectErrors {
	r := &objectErrors{IoU: analysisIoU, FalsePositive: share(k.FalsePositive), FalseNegative: share(k.FalseNegative)}
	for i, name := range errorNames {
		r.Kinds = append(r.Kinds, errorKind{name[0], k.Count[i], share(k.DeltaAP[i])})
	}
	return r
}

// objectDifference compares with the detections of --against, by the paired bootstrap.
type objectDifference struct {
	File   string      `json:"file"`
	SHA256 string      `json:"sha256"`
	BBox   figureTest  `json:"bbox"`
	Segm   *figureTest `json:"segm"`
}

type figureTest struct {
	AP   differenceTest `json:"ap"`
	AP50 differenceTest `json:"ap50"`
}

// differenceTest is a difference, this evaluation minus the other, and its p value.
type differenceTest struct {
	Value share `json:"value"`
	spreadRange
	P float64 `json:"p"`
}

func testOf(d coco.Difference) differenceTest {
	return differenceTest{share(d.Value), rangeOf(d.Spread), d.P}
}

func compared(ctx context.Context, this, other *coco.Evaluation) (figureTest, error) {
	ap, ap50, err := coco.Compare(ctx, other, this, coco.BootstrapConfig{})
	return figureTest{testOf(ap), testOf(ap50)}, err
}

func bestOf(o coco.Operating) *bestScore {
	if math.IsNaN(o.Score) {
		return nil
	}
	return &bestScore{share(o.Score), share(o.F1), share(o.Precision), share(o.Recall)}
}

// analyse adds to the figures what goes beyond COCO's.
func (v *judged) analyse(ctx context.Context, r *objectEvaluation) error {
	var err error
	r.Spread = &objectSpread{}
	if r.Spread.BBox, err = spreadOf(ctx, v.boxes); err != nil {
		return err
	}
	if v.masks != nil {
		s, err := spreadOf(ctx, v.masks)
		if err != nil {
			return err
		}
		r.Spread.Segm = &s
	}
	all, err := v.boxes.Curve(coco.AllCategories, analysisIoU)
	if err != nil {
		return err
	}
	r.Best = bestOf(all.Best())
	for k := range r.PerClass {
		c, err := v.boxes.Curve(k, analysisIoU)
		if err != nil {
			return err
		}
		r.PerClass[k].Best = bestOf(c.Best())
	}
	kinds, err := v.boxes.ErrorKinds(analysisIoU)
	if err != nil {
		return err
	}
	r.Errors = errorsOf(kinds)
	r.confusion, err = v.boxes.Confusion(analysisIoU, r.score())
	return err
}

// score is the one of the highest F1 over all classes: what counts as detected in the
// confusion matrix and in pictures.
func (r *objectEvaluation) score() float64 {
	if r.Best == nil {
		return 0
	}
	return float64(r.Best.Score)
}

// against compares with the other file.
func (v *evaluatingObjects) against(ctx context.Context, r *objectEvaluation) error {
	if v.other == nil {
		return nil
	}
	v.tellEmpty(v.other)
	other, err := v.evaluation(v.other.detections, false)
	if err != nil {
		return err
	}
	d := &objectDifference{File: v.other.File, SHA256: v.other.SHA256}
	if d.BBox, err = compared(ctx, v.boxes, other); err != nil {
		return err
	}
	if v.masks != nil && v.other.masks {
		if other, err = v.evaluation(v.other.detections, true); err != nil {
			return err
		}
		t, err := compared(ctx, v.masks, other)
		if err != nil {
			return err
		}
		d.Segm = &t
	}
	r.Against = d
	return nil
}

// vocFigures are average precision by the rules of Pascal VOC.
type vocFigures struct {
	Metric   string `json:"metric"` // voc07 or voc10
	Rounding string `json:"rounding"`
	AP       share  `json:"ap"` // mean over IoU .5 to .95, which Detectron2 calls AP
	AP50     share  `json:"ap50"`
	AP75     share  `json:"ap75"`
}

// voc judges by the rules of Pascal VOC, where --metric asks for it.
func (v *evaluatingObjects) voc(_ context.Context, r *objectEvaluation) error {
	if v.metric() == "coco" {
		return nil
	}
	place, class := map[int64]int{}, map[int64]int{}
	images := make([]voc.Image, len(v.truth.Images))
	for i, m := range v.truth.Images {
		place[m.ID] = i
		for _, o := range v.truth.objects[i] {
			images[i].Objects = append(images[i].Objects, voc.Object{Class: o.Class, Box: o.Box, Difficult: o.Difficult})
		}
	}
	for i, c := range v.truth.Categories { // in the order of the set's classes
		class[c.ID] = i
	}
	for _, d := range v.found {
		k, known := class[d.CategoryID]
		if !known {
			continue
		}
		m := &images[place[d.ImageID]]
		m.Detections = append(m.Detections, voc.Detection{Class: k, Box: [4]float64{d.Box[0], d.Box[1], d.Box[0] + d.Box[2], d.Box[1] + d.Box[3]}, Score: d.Score})
	}
	got, err := voc.Evaluate(images, len(v.truth.Categories), voc.Config{Area: v.metric() == "voc10", Rounded: v.o.Rounding == "d2"})
	if err != nil {
		return fmt.Errorf("%q: %w", v.Data, err)
	}
	r.VOC = &vocFigures{v.metric(), v.o.Rounding, share(got.AP), share(got.AP50), share(got.AP75)}
	for i := range r.PerClass {
		if k, known := class[r.PerClass[i].ID]; known {
			ap50 := share(got.Classes[k].AP[0])
			r.PerClass[i].VOCAP50 = &ap50
		}
	}
	return nil
}

func (v *evaluatingObjects) metric() string {
	if v.o.Metric == "" {
		return "coco"
	}
	return v.o.Metric
}
