package data

import (
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/featurize"
)

// CheckConfig says how a data set is checked. The zero value is the default.
type CheckConfig struct {
	Workers  int                   // goroutines that read and decode image files; 0: 1
	Progress func(done, total int) // told of the image files; nil: nobody is. Not called by two goroutines at a time
}

// Report is what Check finds in a data set. Images are named by their places in the set.
type Report struct {
	Splits   []SplitCount // in the order of Set.Splits
	Classes  []ClassCount // in the order of Set.Classes
	Boxes    BoxSizes
	Odd      []OddBoxes // kinds of boxes that exist and are worth a look, in the order of the kinds
	Base     Base
	Files    FileCheck
	Findings []Finding // those of the set, with those of CheckSizes
}

// Check counts what is in a data set and looks at every box and every image file: it
// reads the files, decodes them, and finds those that occur more than once. Findings and
// Notes of the set get what CheckSizes finds.
func (s *Set) Check(ctx context.Context, c CheckConfig) (*Report, error) {
	if err := s.CheckSizes(ctx); err != nil {
		return nil, err
	}
	r := &Report{Findings: s.Findings}
	r.count(s)
	r.Boxes = s.boxSizes()
	r.Odd = s.oddBoxes()
	r.Base = s.base()
	if err := r.Files.check(ctx, s, c); err != nil {
		return nil, err
	}
	for _, f := range r.Files.Unreadable {
		r.split(s, f.Image).Unreadable++
	}
	return r, nil
}

// Unusable says why nothing can be trained on or evaluated with the data, as an error
// that wraps featurize.ErrData; nil where something can.
func (r *Report) Unusable() error {
	images, objects, read := 0, 0, 0
	for _, s := range r.Splits {
		images, objects, read = images+s.Images, objects+s.Objects, read+s.Images-s.Lost-s.Unreadable
	}
	switch {
	case images > 0 && read == 0:
		return fmt.Errorf("data: none of the %d images can be read: %w", images, featurize.ErrData)
	case objects == 0:
		return fmt.Errorf("data: none of the %d images shows an object: %w", images, featurize.ErrData)
	}
	return nil
}

// SplitCount is what a split holds.
type SplitCount struct {
	Name       string
	Images     int
	Lost       int // images without a file
	Unreadable int // images whose file cannot be decoded
	Empty      int // images without objects
	Objects    int
	Crowds     int // objects that are many, not told apart
	Difficult  int // objects that VOC does not count
	Masks      int // objects with a mask
	Most       int // objects of the image that has the most
	PerImage   Histogram
}

// ClassCount is where the objects of a class are.
type ClassCount struct {
	ID                   int64
	Name                 string
	Objects, Images      int
	InSplit              []int  // objects, in the order of the splits
	Small, Medium, Large int    // objects by COCO's limits of areas
	Only                 string // the split that has all of its objects, where there are several splits with objects
}

// Histogram counts values: Counts[i] are those from Edges[i] to below Edges[i+1]. Values
// beyond the edges count in the first and the last bin.
type Histogram struct {
	Edges  []float64
	Counts []int
}

// newHistogram makes an empty histogram.
func newHistogram(edges ...float64) Histogram {
	return Histogram{Edges: edges, Counts: make([]int, len(edges)-1)}
}

func (h *Histogram) add(v float64) {
	i := 0
	for i+1 < len(h.Counts) && v >= h.Edges[i+1] {
		i++
	}
	h.Counts[i]++
}

// perImage are the edges of histograms of objects per image.
var perImage = []float64{0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 257}

// count fills in Splits and Classes.
func (r *Report) count(s *Set) {
	place := map[string]int{}
	for i, name := range s.Splits() {
		place[name] = i
		r.Splits = append(r.Splits, SplitCount{Name: name, PerImage: newHistogram(perImage...)})
	}
	for _, c := range s.Classes {
		r.Classes = append(r.Classes, ClassCount{ID: c.ID, Name: c.Name, InSplit: make([]int, len(r.Splits))})
	}
	last := make([]int, len(s.Classes)) // image, from 1 on, that was counted last
	for i := range s.Images {
		img := &s.Images[i]
		split := &r.Splits[place[img.Split]]
		split.add(img)
		for _, o := range img.Objects {
			c := &r.Classes[o.Class]
			c.Objects++
			c.InSplit[place[img.Split]]++
			if last[o.Class] != i+1 {
				c.Images, last[o.Class] = c.Images+1, i+1
			}
			switch sizeOf(o.Area) {
			case 0:
				c.Small++
			case 1:
				c.Medium++
			default:
				c.Large++
			}
		}
	}
	r.onlyIn()
}

func (c *SplitCount) add(img *Image) {
	c.Images++
	if img.Read == nil {
		c.Lost++
	}
	if len(img.Objects) == 0 {
		c.Empty++
	}
	c.Objects += len(img.Objects)
	c.Most = max(c.Most, len(img.Objects))
	c.PerImage.add(float64(len(img.Objects)))
	for _, o := range img.Objects {
		if o.Crowd {
			c.Crowds++
		}
		if o.Difficult {
			c.Difficult++
		}
		if o.Mask != nil {
			c.Masks++
		}
	}
}

// onlyIn finds the classes whose objects are all in one split. Splits without objects,
// as COCO's test images are, do not count.
func (r *Report) onlyIn() {
	filled := 0
	for _, s := range r.Splits {
		if s.Objects > 0 {
			filled++
		}
	}
	if filled < 2 {
		return
	}
	for i := range r.Classes {
		c := &r.Classes[i]
		in := 0
		for j, n := range c.InSplit {
			if n > 0 {
				in++
				c.Only = r.Splits[j].Name
			}
		}
		if in != 1 {
			c.Only = ""
		}
	}
}

func (r *Report) split(s *Set, image int) *SplitCount {
	for i := range r.Splits {
		if r.Splits[i].Name == s.Images[image].Split {
			return &r.Splits[i]
		}
	}
	panic("data: an image of no split")
}
