package featurize

import "encoding/json"

// Summary says what a job did.
type Summary struct {
	Status   string         // "done", "cached" if there was nothing to do, or "interrupted"
	Samples  int            // rows of the set
	Dims     []int          // shape of a row
	Skipped  int            // samples without features; files that are no images are not among them: see Listing.Unread
	Reused   int            // rows that former runs computed
	New      int            // rows that this run computed
	Seconds  float64        // spent on computing them
	Failed   []Failure      // the samples without features, in order
	Warnings map[string]int // images by warning of the decoder
	Lost     []string       // the classes that have samples and none with features, in order; not of a shard
}

// Failure is a sample that has no features, and why.
type Failure struct{ Path, Reason string }

// MarshalJSON writes an object with the keys Path, a JSONPath, and Reason.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct{ Path, Reason JSONPath }{JSONPath(f.Path), JSONPath(f.Reason)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Failure) UnmarshalJSON(data []byte) error {
	var o struct{ Path, Reason JSONPath }
	err := json.Unmarshal(data, &o)
	f.Path, f.Reason = string(o.Path), string(o.Reason)
	return err
}

// ImagesPerSecond is the speed at which new rows were computed: 0 if there are none.
func (s *Summary) ImagesPerSecond() float64 {
	if s.New == 0 || s.Seconds == 0 {
		return 0
	}
	return float64(s.New) / s.Seconds
}

// Dim is the number of features of a row.
func (s *Summary) Dim() int { return product(s.Dims) }

// count fills in the summary from the entries of the listing.
func (r *run) count() {
	r.sum.Samples, r.sum.Reused, r.sum.New = 0, 0, 0
	rows := make([]int, len(r.Listing.Classes))
	for _, s := range r.Listing.Samples {
		if reason := r.failure(s); reason != "" {
			r.sum.Failed = append(r.sum.Failed, Failure{s.Path, reason})
			continue
		}
		r.sum.Samples++
		if s.Label >= 0 {
			rows[s.Label]++
		}
		if _, ok := r.fresh[s.Path]; ok {
			r.sum.New++
		} else {
			r.sum.Reused++
		}
	}
	r.sum.Skipped = len(r.sum.Failed)
	for label, n := range rows {
		if n == 0 && r.Listing.shard == nil {
			r.sum.Lost = append(r.sum.Lost, r.Listing.Classes[label])
		}
	}
}

// soFar fills in the summary of a job that was interrupted.
func (r *run) soFar() {
	r.sum.Reused, r.sum.New = int(r.kept.Load()), 0
	for _, e := range r.fresh {
		if e.Error == "" {
			r.sum.New++
		}
	}
	r.sum.Samples = r.sum.Reused + r.sum.New
}
