package coco

// ErrorKind says what is wrong with a detection, after Bolya et al. (2020). An object
// is near a detection if their IoU is at least the background threshold, .1, and found
// by it from the foreground threshold on.
type ErrorKind int

const (
	KindClass        ErrorKind = iota // it would find an object of another category
	KindLocalization                  // it is near an object of its category, but not near enough
	KindBoth                          // it is near an object of another category, but not near enough
	KindDuplicate                     // a detection with a higher score found the object
	KindBackground                    // no object is near
	KindMissed                        // an object that no detection finds, or would find with the right category or place
)

func (k ErrorKind) String() string {
	return [...]string{"Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"}[k]
}

// ErrorKinds tells how many errors of each kind there are, and what they cost.
type ErrorKinds struct {
	AP      float64    // at the foreground threshold
	Count   [6]int     // by ErrorKind
	DeltaAP [6]float64 // what AP would gain without the errors of a kind, and with all others; never below 0

	FalsePositive float64 // what AP would gain if all right detections came before all wrong ones
	FalseNegative float64 // what AP would gain if the objects that were not found did not count

	Errors []DetectionError // those of detections, by image and falling score
	Missed []int            // objects, as places in Dataset.Annotations
}

// DetectionError is an error of a detection.
type DetectionError struct {
	Detection int // place in those given to Evaluate
	Kind      ErrorKind
	Object    int // the object of KindClass and KindLocalization, as a place in Dataset.Annotations; else -1
}

// backgroundIoU is the overlap below which there is nothing, t_b of the paper.
const backgroundIoU = 0.1

// ErrorKinds sorts the errors at an IoU, one of Config.IoUs and the paper's t_f, into
// kinds by the rules of the paper and of its authors' code, tidecv. What removing a kind
// of errors would gain is computed on its own for each, so the gains do not add up to
// 1-AP. Detections of crowds are no errors, which they are in tidecv.
func (e *Evaluation) ErrorKinds(iou float64) (*ErrorKinds, error) {
	t, err := e.threshold(iou)
	if err != nil {
		return nil, err
	}
	a, err := e.assign(t)
	if err != nil {
		return nil, err
	}
	w := &errorFinder{e: e, a: a, foreground: limit(e.Config.IoUs[t]), out: &ErrorKinds{}}
	w.kinds, w.taken = e.x.categoryOf()
	w.fixable = make([]int32, len(e.x.objects))
	for o := range w.fixable {
		w.fixable[o] = -1
	}
	if err := e.x.scenes(func(_ int32, s *scene) { w.scene(s) }); err != nil {
		return nil, err
	}
	w.missed()
	w.gains()
	return w.out, nil
}

// errorFinder finds the errors of all images.
type errorFinder struct {
	e            *Evaluation
	a            *assignment
	foreground   float64
	kinds, taken []int32 // categories of objects and detections
	errors       []foundError
	fixable      []int32 // of each object that was not found, the first detection that errs about it alone; -1: none
	lost         []int32 // objects that nothing but finding them would mend
	out          *ErrorKinds
}

// foundError is an error of index.found[d], perhaps about index.objects[o].
type foundError struct {
	d, o int32
	kind ErrorKind
}

// scene finds the errors of the detections in an image.
func (w *errorFinder) scene(s *scene) {
	for i, d := range s.found {
		if w.a.object[d] >= 0 || w.a.ignored[d] {
			continue
		}
		err := w.judge(s, d, s.overlaps[i*len(s.objects):][:len(s.objects)])
		if err.o >= 0 && w.a.found[err.o] < 0 {
			if best := w.fixable[err.o]; best < 0 || w.e.x.found[best].score < w.e.x.found[d].score {
				w.fixable[err.o] = d
			}
		}
		w.errors = append(w.errors, err)
	}
}

// judge says what is wrong with a detection that found nothing. The order of the
// questions is that of tidecv.
func (w *errorFinder) judge(s *scene, d int32, overlaps []float64) foundError {
	same, other, used, any := best{}, best{}, best{}, best{}
	for i, o := range s.objects {
		if w.a.absent[o] {
			continue
		}
		v := overlaps[i]
		any.take(v, o)
		if w.kinds[o] != w.taken[d] {
			other.take(v, o)
			continue
		}
		same.take(v, o)
		if w.a.found[o] >= 0 {
			used.take(v, o)
		}
	}
	switch {
	case same.iou >= backgroundIoU && same.iou <= w.foreground:
		return foundError{d, same.o, KindLocalization}
	case other.iou >= w.foreground:
		return foundError{d, other.o, KindClass}
	case used.iou >= w.foreground:
		return foundError{d, -1, KindDuplicate}
	case any.iou <= backgroundIoU:
		return foundError{d, -1, KindBackground}
	}
	return foundError{d, -1, KindBoth}
}

// best is the object of the highest overlap, the first of equal ones.
type best struct {
	iou float64
	o   int32
}

func (b *best) take(iou float64, o int32) {
	if iou > b.iou {
		*b = best{iou, o}
	}
}

// missed finds the objects that were not found, nor are the subject of another error.
func (w *errorFinder) missed() {
	for o := range w.a.found {
		if !w.a.absent[o] && w.a.found[o] < 0 && w.fixable[o] < 0 {
			w.lost = append(w.lost, int32(o))
		}
	}
	for _, f := range w.errors {
		w.out.Count[f.kind]++
		object := -1
		if f.o >= 0 {
			object = int(w.e.x.objects[f.o].at)
		}
		w.out.Errors = append(w.out.Errors, DetectionError{int(w.e.x.found[f.d].at), f.kind, object})
	}
	for _, o := range w.lost {
		w.out.Missed = append(w.out.Missed, int(w.e.x.objects[o].at))
	}
	w.out.Count[KindMissed] = len(w.lost)
}
