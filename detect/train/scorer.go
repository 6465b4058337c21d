package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Scorer returns what detects objects and judges them as pycocotools does. The figures
// are bbox_ap, bbox_ap50, bbox_ap75, bbox_ap_small, bbox_ap_medium, bbox_ap_large and
// bbox_ar100, and of a detector with masks the same of segm. It computes no loss.
func (t *Task) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	n, err := t.network(net)
	if err != nil {
		return nil, err
	}
	s := &scorer{Task: t, network: n}
	if s.metrics, err = t.metrics(n.d); err != nil {
		return nil, err
	}
	for _, size := range t.canvases(net, c) {
		f, err := newFinder(n, size, c)
		if err != nil {
			return nil, fmt.Errorf("train: images of %dx%d: %w", size.W, size.H, err)
		}
		s.canvases = append(s.canvases, f)
	}
	return s, nil
}

// scorer detects objects and compares them with the truth.
type scorer struct {
	*Task
	*network
	canvases []*finder
	recent   recent

	metrics []string // Boxes, and Masks where they are judged

	split finetune.Split
	truth *coco.Dataset
	ids   []int64 // of the images that were added
	found []coco.Detection
}

// metrics are those that the truth of both splits allows. It returns an error where the
// figure that ranks epochs would not be defined.
func (t *Task) metrics(d *onnx.Detect) ([]string, error) {
	if t.Truth == nil {
		return nil, errors.New("train: the Task has no Truth")
	}
	masks := d.Mask != nil
	for _, split := range []finetune.Split{finetune.Validation, finetune.Test} {
		truth := t.Truth(split)
		if truth == nil || len(truth.Images) == 0 {
			continue
		}
		e, err := coco.Evaluate(truth, nil, coco.Config{})
		if err != nil {
			return nil, fmt.Errorf("train: split %s: %w", split, err)
		}
		if math.IsNaN(e.Summary().AP) {
			return nil, fmt.Errorf("train: split %s has no objects, expected some to judge detections by", split)
		}
		masks = masks && !slices.ContainsFunc(truth.Annotations, func(a coco.Annotation) bool { return a.Mask == nil })
		if t.Metric == Masks && !masks {
			return nil, fmt.Errorf("train: epochs are to be ranked by masks, and objects of split %s have none", split)
		}
	}
	if masks {
		return []string{Boxes, Masks}, nil
	}
	return []string{Boxes}, nil
}

// Programs lists those of all canvases.
func (s *scorer) Programs() (list []*graph.Program) {
	for _, f := range s.canvases {
		list = append(list, f.all()...)
	}
	return list
}

// all lists those of a canvas.
func (s *scorer) all(size detect.Size) []*graph.Program { return s.of(size).all() }

// Resident lists those of the largest canvases.
func (s *scorer) Resident() []*graph.Program {
	var sizes []detect.Size
	for _, f := range s.canvases {
		sizes = append(sizes, f.size)
	}
	return largest(sizes, s.all)
}

// Reset forgets what was found.
func (s *scorer) Reset() { s.ids, s.found, s.truth = nil, nil, nil }

// Add detects the objects of a batch.
func (s *scorer) Add(p *finetune.Pass) error {
	targets, err := truthOf(p)
	if err != nil {
		return err
	}
	f := s.of(targets[0].Canvas)
	if f == nil {
		return fmt.Errorf("train: images of canvas %v, which is none of the Task's", targets[0].Canvas)
	}
	if err := s.recent.use(p, f.size, s.all); err != nil {
		return err
	}
	if s.truth == nil {
		s.split, s.truth = p.Split, s.Truth(p.Split)
	}
	found, err := f.find(p, targets)
	if err != nil {
		return err
	}
	categories := s.categories()
	for i, t := range targets {
		if t.Row < 0 || t.Row >= len(s.truth.Images) {
			return fmt.Errorf("train: row %d of split %s, whose truth has %d images", t.Row, p.Split, len(s.truth.Images))
		}
		id := s.truth.Images[t.Row].ID
		s.ids = append(s.ids, id)
		for _, d := range found[i] {
			if category, known := categories[s.d.Classes[d.Class].Name]; known {
				s.found = append(s.found, cocoDetection(id, category, d))
			}
		}
	}
	return nil
}

// of is what detects objects in images of a size.
func (s *scorer) of(size detect.Size) *finder {
	i := slices.IndexFunc(s.canvases, func(f *finder) bool { return f.size == size })
	if i < 0 {
		return nil
	}
	return s.canvases[i]
}

// categories are the ids of the truth's categories by name.
func (s *scorer) categories() map[string]int64 {
	ids := map[string]int64{}
	for _, c := range s.truth.Categories {
		ids[c.Name] = c.ID
	}
	return ids
}

func cocoDetection(image, category int64, d detect.Detection) coco.Detection {
	b := d.Box
	return coco.Detection{
		ImageID: image, CategoryID: category, Score: float64(d.Score), Mask: d.Mask,
		Box: [4]float64{float64(b[0]), float64(b[1]), float64(b[2] - b[0]), float64(b[3] - b[1])},
	}
}

// Score judges what was found.
func (s *scorer) Score() finetune.Score {
	score := finetune.Score{N: len(s.ids), Loss: math.NaN()}
	for _, m := range s.metrics {
		sum := coco.Summary{}
		if e, err := coco.Evaluate(s.seen(), s.found, coco.Config{Masks: m == Masks}); err == nil { // metrics has seen to it
			sum = e.Summary()
		}
		for _, f := range []finetune.Figure{
			{Name: "_ap", Value: sum.AP}, {Name: "_ap50", Value: sum.AP50}, {Name: "_ap75", Value: sum.AP75},
			{Name: "_ap_small", Value: sum.APs}, {Name: "_ap_medium", Value: sum.APm}, {Name: "_ap_large", Value: sum.APl},
			{Name: "_ar100", Value: sum.AR100},
		} {
			score.Figures = append(score.Figures, finetune.Figure{Name: m + f.Name, Value: f.Value})
		}
	}
	if s.Scored != nil && score.N > 0 {
		s.Scored(s.split, s.found)
	}
	return score
}

// seen is the truth of the images that were added: some may not have been readable.
func (s *scorer) seen() *coco.Dataset {
	if s.truth == nil || len(s.ids) == len(s.truth.Images) {
		return cmp.Or(s.truth, &coco.Dataset{})
	}
	is := map[int64]bool{}
	for _, id := range s.ids {
		is[id] = true
	}
	return &coco.Dataset{
		Images:      slices.DeleteFunc(slices.Clone(s.truth.Images), func(i coco.Image) bool { return !is[i.ID] }),
		Categories:  s.truth.Categories,
		Annotations: slices.DeleteFunc(slices.Clone(s.truth.Annotations), func(a coco.Annotation) bool { return !is[a.ImageID] }),
	}
}
