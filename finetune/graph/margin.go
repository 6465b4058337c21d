package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Margin is the sum over rows of how much larger the logit of another class is than
// that of the right one: x_t - x_y, with y the label, and t the target class or, without
// targets, the class of the largest logit besides y. It is positive where the row is
// misclassified. Its inputs are the logits x [N,K], labels [N,K] and perhaps targets
// [N,K], both one-hot; a row of zeros for the label does not count.
//
// Scaled divides the margin of each row by the spread of its largest logits, which makes
// it the "difference of logits ratio" (Croce and Hein 2020): x_(1) - x_(3), or with
// targets x_(1) - (x_(3)+x_(4))/2, where x_(i) is the i-th largest logit; 1e-12 is added.
type Margin struct{ Scaled bool }

// ranks is how many of the largest logits of a row are needed.
func (o Margin) ranks(targets bool) int {
	switch {
	case !o.Scaled:
		return 2
	case targets:
		return 4
	}
	return 3
}

// Infer expects two or three matrices of one shape; the loss is a single number.
func (o Margin) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 && len(in) != 3 {
		return nil, fmt.Errorf("%d inputs, expected logits, labels and perhaps targets", len(in))
	}
	return Shape{}, o.check(in)
}

func (o Margin) check(in []Shape) error {
	s, err := sameShapes(in, len(in))
	if err == nil && (len(s) != 2 || s[1] < o.ranks(len(in) == 3)) {
		err = fmt.Errorf("logits of shape %v, expected [N,K] of at least %d classes", s, o.ranks(len(in) == 3))
	}
	return err
}

// Run32 is the float32 kernel.
func (o Margin) Run32(c Call[float32]) { margin(o, c) }

// Run64 is the float64 kernel.
func (o Margin) Run64(c Call[float64]) { margin(o, c) }

func margin[T Float](o Margin, c Call[T]) {
	loss := 0.0
	k := c.Shapes[0][1]
	for i := 0; i < len(c.In[0]); i += k {
		if m, ok := marginOf(o, c, i, len(c.In) == 3); ok {
			loss += m.difference / m.spread
		}
	}
	c.Dst[0] = T(loss)
}

// rowMargin is the margin of a row.
type rowMargin struct {
	label, target      int
	top                [4]int // classes of the largest logits, in order
	difference, spread float64
}

// marginOf computes the margin of the row that starts at i; ok is false if it does not
// count.
func marginOf[T Float](o Margin, c Call[T], i int, targets bool) (m rowMargin, ok bool) {
	k := c.Shapes[0][1]
	x := c.In[0][i : i+k]
	m.label = hot(c.In[1][i : i+k])
	if m.label < 0 {
		return m, false
	}
	for r := range min(k, len(m.top)) {
		best := -1
		for j, v := range x {
			taken := false
			for _, t := range m.top[:r] {
				taken = taken || t == j
			}
			if !taken && (best < 0 || v > x[best]) {
				best = j
			}
		}
		m.top[r] = best
	}
	switch {
	case targets:
		m.target = max(hot(c.In[2][i:i+k]), 0)
	case m.top[0] == m.label:
		m.target = m.top[1]
	default:
		m.target = m.top[0]
	}
	m.difference, m.spread = float64(x[m.target])-float64(x[m.label]), 1
	if o.Scaled {
		m.spread = float64(x[m.top[0]]) - float64(x[m.top[2]]) + tinySpread
		if targets {
			m.spread = float64(x[m.top[0]]) - (float64(x[m.top[2]])+float64(x[m.top[3]]))/2 + tinySpread
		}
	}
	return m, true
}

const tinySpread = 1e-12

// hot is the index of the first element that is not 0; -1: there is none.
func hot[T Float](x []T) int {
	for i, v := range x {
		if v != 0 {
			return i
		}
	}
	return -1
}

// Wrt reports that only the logits have a derivative.
func (Margin) Wrt(n int) []bool { return first(n) }

// Diff returns the gradient in closed form.
func (o Margin) Diff(b *Builder, in []Value, _, dy Value) []Value {
	out := make([]Value, len(in))
	out[0] = b.Apply(MarginGradient{o, len(in) == 3}, withGradient(in, dy)...)
	return out
}

// Emit writes TopK, comparisons and sums.
func (o Margin) Emit(e *Emitter, s Operands) string {
	m := o.emitRows(e, s.In[0], s.In[1], targetsOf(s.In, len(s.In) == 3), s.Shapes[0])
	return e.Node("Squeeze", []string{e.Sum(m.ratio, 0), e.Ints(0)})
}

func targetsOf(in []string, targets bool) string {
	if targets {
		return in[2]
	}
	return ""
}

// MarginGradient is the gradient with respect to the logits; its inputs are those of the
// margin, and the gradient of the loss, which is left out if it is 1.
type MarginGradient struct {
	Margin  Margin
	Targets bool
}

// Infer returns the shape of the logits.
func (o MarginGradient) Infer(in []Shape) (Shape, error) {
	n := o.inputs()
	if len(in) != n && (len(in) != n+1 || in[n].Size() != 1) {
		return nil, fmt.Errorf("inputs of shapes %v, expected logits, labels, perhaps targets and perhaps the gradient of the loss", in)
	}
	return in[0], o.Margin.check(in[:n])
}

// inputs is how many inputs the margin has.
func (o MarginGradient) inputs() int {
	if o.Targets {
		return 3
	}
	return 2
}

// Run32 is the float32 kernel.
func (o MarginGradient) Run32(c Call[float32]) { marginGradient(o, c) }

// Run64 is the float64 kernel.
func (o MarginGradient) Run64(c Call[float64]) { marginGradient(o, c) }

func marginGradient[T Float](o MarginGradient, c Call[T]) {
	clear(c.Dst)
	dy := 1.0
	if n := o.inputs(); len(c.In) > n {
		dy = float64(c.In[n][0])
	}
	k := c.Shapes[0][1]
	for i := 0; i < len(c.In[0]); i += k {
		m, ok := marginOf(o.Margin, c, i, o.Targets)
		if !ok {
			continue
		}
		add := func(class int, v float64) { c.Dst[i+class] += T(dy * v / m.spread) }
		add(m.target, 1)
		add(m.label, -1)
		if !o.Margin.Scaled {
			continue
		}
		ratio := m.difference / m.spread
		add(m.top[0], -ratio)
		if o.Targets {
			add(m.top[2], ratio/2)
			add(m.top[3], ratio/2)
		} else {
			add(m.top[2], ratio)
		}
	}
}

// Emit writes the gradient as one-hot rows.
func (o MarginGradient) Emit(e *Emitter, s Operands) string {
	m := o.Margin.emitRows(e, s.In[0], s.In[1], targetsOf(s.In, o.Targets), s.Shapes[0])
	d := m.direction
	if o.Margin.Scaled {
		slope := e.Sub(m.top[0], m.top[2])
		if o.Targets {
			slope = e.Sub(m.top[0], e.Mul(e.Add(m.top[2], m.top[3]), e.Number(.5)))
		}
		d = e.Node("Div", []string{e.Sub(d, e.Mul(slope, m.ratio)), m.spread})
	}
	if n := o.inputs(); len(s.In) > n {
		d = e.Mul(d, s.In[n])
	}
	return d
}

// marginRows are the values that a margin and its gradient have in common.
type marginRows struct {
	direction string   // [N,K]: 1 at t, -1 at y
	top       []string // [N,K] each: 1 at the class of the i-th largest logit
	spread    string   // [N,1]; "" unless scaled
	ratio     string   // [N,1]: the margins, scaled if they are
}

func (o Margin) emitRows(e *Emitter, x, labels, targets string, s Shape) (m marginRows) {
	ranks := o.ranks(targets != "")
	top := e.NodeN("TopK", 2, []string{x, e.Ints(ranks)}, onnx.Int("axis", 1))
	number := make([]int, s[1])
	for i := range number {
		number[i] = i
	}
	value := make([]string, ranks)
	for r := range ranks {
		value[r] = e.Slice(top[0], []int{1}, []int{r}, []int{r + 1}, []int{1})
		at := e.Slice(top[1], []int{1}, []int{r}, []int{r + 1}, []int{1})
		is := e.Node("Equal", []string{at, e.Ints(number...)})
		m.top = append(m.top, e.Node("Cast", []string{is}, onnx.Int("to", int64(pb.TensorProto_FLOAT))))
	}
	sum := func(v string) string {
		return e.Node("ReduceSum", []string{v, e.Ints(1)}, onnx.Int("keepdims", 1))
	}
	if targets == "" {
		first := sum(e.Mul(m.top[0], labels)) // 1 where the label has the largest logit
		targets = e.Add(m.top[0], e.Mul(first, e.Sub(m.top[1], m.top[0])))
	}
	m.direction = e.Mul(e.Sub(targets, labels), sum(labels)) // 0 in rows that do not count
	m.ratio = sum(e.Mul(m.direction, x))
	if o.Scaled {
		low := value[2]
		if ranks == 4 {
			low = e.Mul(e.Add(value[2], value[3]), e.Number(.5))
		}
		m.spread = e.Add(e.Sub(value[0], low), e.Number(tinySpread))
		m.ratio = e.Node("Div", []string{m.ratio, m.spread})
	}
	return m
}
