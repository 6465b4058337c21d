package coco

// Evaluation is how well detections find the objects of a data set. Its arrays hold
// what those of pycocotools do, in another order of axes: K categories, A area ranges,
// M numbers of detections, T IoU thresholds, R recalls. -1 stands where a category has
// no objects in an area range.
type Evaluation struct {
	Config     Config     // with its defaults filled in
	Categories []Category // by rising id

	Precision []float64 // [K,A,M,T,R]
	Recall    []float64 // [K,A,M,T] the highest that is reached
	Scores    []float64 // [K,A,M,T,R] of the detection with which the recall is reached; 0: it is not

	Strays Strays

	positives []int // [K,A] objects that are to be found
	x         *index
	m         *matches
}

// Evaluate judges detections by COCO's rules, and gives the figures of pycocotools.
// Detections may come in any order; of equal scores the earlier one counts first.
//
// Values that cannot be judged are an *InputError: ids that are not unique, detections
// of unknown images, scores or boxes that are not numbers, masks that are missing or not
// of their image's size. Detections of unknown categories are left out and counted in
// Strays, as are annotations of unknown categories or images.
//
// The Evaluation keeps gt and dt for the analyses: do not change them while it is used.
func Evaluate(gt *Dataset, dt []Detection, c Config) (*Evaluation, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	x, err := newIndex(gt, dt, c)
	if err != nil {
		return nil, err
	}
	m, err := x.match()
	if err != nil {
		return nil, err
	}
	e := &Evaluation{Config: c, Strays: x.strays, x: x, m: m}
	for _, i := range x.categories {
		e.Categories = append(e.Categories, gt.Categories[i])
	}
	e.positives = make([]int, len(x.categories)*len(c.Areas))
	for k := range x.categories {
		for a := range c.Areas {
			for i := x.first[k]; i < x.first[k+1]; i++ {
				e.positives[k*len(c.Areas)+a] += int(m.positives[a][i])
			}
		}
	}
	n := len(x.categories) * len(c.Areas) * len(c.MaxDets) * len(c.IoUs)
	e.Recall, e.Precision, e.Scores = undefined(n), undefined(n*len(c.Recalls)), undefined(n*len(c.Recalls))
	e.accumulate(x, m)
	return e, nil
}

func undefined(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = -1
	}
	return v
}
