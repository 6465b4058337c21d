package cueconflict

// Count are decisions about images of one class of shapes, or about all.
type Count struct {
	Class   string // the shape; "" for all
	N       int    // images whose shape and texture are of two classes
	Shape   int    // decided by the shape
	Texture int    // decided by the texture
}

// Bias is the share of decisions by shape among those by shape or texture; NaN where there
// are none.
func (c Count) Bias() float64 { return float64(c.Shape) / float64(c.Shape+c.Texture) }

// ByShape and ByTexture are the accuracies with respect to either cue; NaN where there are
// no images.
func (c Count) ByShape() float64   { return float64(c.Shape) / float64(c.N) }
func (c Count) ByTexture() float64 { return float64(c.Texture) / float64(c.N) }

// Tally counts decisions. The zero value is ready for use.
type Tally struct {
	all     Count
	classes map[string]*Count
	agree   int
}

// Add counts a decision. Images whose cues agree tell nothing of the bias, and are counted
// apart.
func (t *Tally) Add(shape, texture, decision string) {
	if shape == texture {
		t.agree++
		return
	}
	if t.classes == nil {
		t.classes = map[string]*Count{}
	}
	if t.classes[shape] == nil {
		t.classes[shape] = &Count{Class: shape}
	}
	for _, c := range []*Count{&t.all, t.classes[shape]} {
		c.N++
		switch decision {
		case shape:
			c.Shape++
		case texture:
			c.Texture++
		}
	}
}

// All is the count over all classes.
func (t *Tally) All() Count { return t.all }

// Agree is the number of images whose cues agree.
func (t *Tally) Agree() int { return t.agree }

// PerShape are the counts of the classes that occur as a shape, sorted.
func (t *Tally) PerShape() (counts []Count) {
	for _, class := range Classes {
		if c := t.classes[class]; c != nil {
			counts = append(counts, *c)
		}
	}
	return counts
}
