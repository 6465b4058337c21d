package graph

import (
	"fmt"
	"math"
)

// FocalLoss is the loss of RetinaNet's classes ("Focal Loss for Dense Object
// Detection", Lin et al. 2017; torchvision's sigmoid_focal_loss). Its inputs are
//
//   - logits x [N,A·K,H,W], with the K classes of each of A anchors innermost,
//   - labels [N,A,H,W]: 0 for background, k for class k-1, and -1 for anchors that do
//     not count,
//   - the weight of each image [N], for example 1/(N · number of its objects' anchors).
//
// Each logit is a binary decision. With p the probability of the right answer, the
// output is the weighted sum of -alpha·(1-p)^Gamma·log(p), where alpha is Alpha at the
// class of the label and 1-Alpha elsewhere; a negative Alpha stands for no such factor.
type FocalLoss struct{ Alpha, Gamma float64 }

// Infer checks the shapes; the loss is a single number.
func (o FocalLoss) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 {
		return nil, fmt.Errorf("%d inputs, expected logits, labels and weights", len(in))
	}
	return Shape{}, o.check(in)
}

// check reports whether logits, labels and weights have shapes that fit.
func (o FocalLoss) check(in []Shape) error {
	x, labels := in[0], in[1]
	if len(x) != 4 || len(labels) != 4 || x[0] != labels[0] || labels[1] < 1 || x[1]%labels[1] != 0 || !x[2:].Equal(labels[2:]) || !in[2].Equal(x[:1]) {
		return fmt.Errorf("inputs of shapes %v, expected logits [N,A*K,H,W], labels [N,A,H,W] and weights [N]", in)
	}
	if !(o.Gamma >= 0) || !(o.Alpha <= 1) {
		return fmt.Errorf("%+v, expected a gamma of 0 or more and an alpha of at most 1", o)
	}
	return nil
}

// alphas returns what the losses of logits of the right class, and of all others, are
// multiplied by.
func (o FocalLoss) alphas() (right, others float64) {
	if o.Alpha < 0 {
		return 1, 1
	}
	return o.Alpha, 1 - o.Alpha
}

// Run32 is the float32 kernel.
func (o FocalLoss) Run32(c Call[float32]) { focalLoss(o, c) }

// Run64 is the float64 kernel.
func (o FocalLoss) Run64(c Call[float64]) { focalLoss(o, c) }

func focalLoss[T Float](o FocalLoss, c Call[T]) {
	loss := 0.0
	eachDecision(o, c, func(i int, sign, weight float64) {
		z := sign * float64(c.In[0][i])
		loss += weight * math.Pow(sigmoid(-z), o.Gamma) * softplus(-z)
	})
	c.Dst[0] = T(loss)
}

// eachDecision calls f for each logit that counts, with its index, the sign that the
// logit of the right answer has, and its weight, alpha included.
func eachDecision[T Float](o FocalLoss, c Call[T], f func(i int, sign, weight float64)) {
	x, labels := c.Shapes[0], c.Shapes[1]
	area, anchors, classes := x[2]*x[3], labels[1], x[1]/labels[1]
	right, others := o.alphas()
	for i := range c.In[0] {
		pixel, channel, image := i%area, i/area%x[1], i/area/x[1]
		label := int(c.In[1][(image*anchors+channel/classes)*area+pixel])
		weight := float64(c.In[2][image])
		switch {
		case label < 0:
		case label == channel%classes+1:
			f(i, 1, weight*right)
		default:
			f(i, -1, weight*others)
		}
	}
}

// Wrt reports that only the logits have a derivative.
func (FocalLoss) Wrt(n int) []bool { return first(n) }

// Diff returns the gradient in closed form.
func (o FocalLoss) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(FocalLossGradient(o), withGradient(in, dy)...), {}, {}}
}

// Emit writes the formula on [N,A,K,H,W].
func (o FocalLoss) Emit(e *Emitter, s Operands) string {
	d := o.emitDecisions(e, s)
	v := e.Mul(e.power(d.wrong, o.Gamma), d.entropy)
	return e.total(e.Mul(v, d.weight), d.shape)
}

// FocalLossGradient is the gradient with respect to the logits; its inputs are logits,
// labels, weights and the gradient of the loss, which is left out if it is 1.
type FocalLossGradient FocalLoss

// Infer returns the shape of the logits.
func (o FocalLossGradient) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 && (len(in) != 4 || in[3].Size() != 1) {
		return nil, fmt.Errorf("inputs of shapes %v, expected logits, labels, weights and perhaps the gradient of the loss", in)
	}
	return in[0], FocalLoss(o).check(in)
}

// Run32 is the float32 kernel.
func (o FocalLossGradient) Run32(c Call[float32]) { focalLossGradient(FocalLoss(o), c) }

// Run64 is the float64 kernel.
func (o FocalLossGradient) Run64(c Call[float64]) { focalLossGradient(FocalLoss(o), c) }

// With z the logit in the direction of the right answer and q = 1-p = sigmoid(-z), the
// loss is q^gamma·softplus(-z), and its derivative by z is
// -q^gamma·(gamma·(1-q)·softplus(-z) + q).
func focalLossGradient[T Float](o FocalLoss, c Call[T]) {
	clear(c.Dst)
	dy := 1.0
	if len(c.In) == 4 {
		dy = float64(c.In[3][0])
	}
	eachDecision(o, c, func(i int, sign, weight float64) {
		z := sign * float64(c.In[0][i])
		q := sigmoid(-z)
		slope := -math.Pow(q, o.Gamma) * (o.Gamma*sigmoid(z)*softplus(-z) + q)
		c.Dst[i] = T(weight * slope * sign * dy)
	})
}

// Emit writes the formula on [N,A,K,H,W].
func (o FocalLossGradient) Emit(e *Emitter, s Operands) string {
	d := FocalLoss(o).emitDecisions(e, s)
	v := e.Mul(e.Mul(e.Sub(e.Number(1), d.wrong), d.entropy), e.Number(o.Gamma))
	v = e.Mul(e.power(d.wrong, o.Gamma), e.Add(v, d.wrong))
	v = e.Mul(e.Mul(v, d.weight), d.opposite)
	if len(s.In) == 4 {
		v = e.Mul(v, s.In[3])
	}
	return e.Reshape(v, s.Shape...)
}

// decisions are the values that a focal loss is made of, of shape [N,A,K,H,W].
type decisions struct {
	shape    Shape
	opposite string // the sign of the logit of the wrong answer
	wrong    string // the probability of the wrong answer
	entropy  string // minus the logarithm of the probability of the right one
	weight   string // alpha included; 0 for anchors that do not count
}

// emitDecisions writes the values that the loss and its gradient have in common.
func (o FocalLoss) emitDecisions(e *Emitter, s Operands) (d decisions) {
	x, anchors := s.Shapes[0], s.Shapes[1][1]
	classes := x[1] / anchors
	d.shape = Shape{x[0], anchors, classes, x[2], x[3]}
	number := make([]float32, classes)
	for k := range number {
		number[k] = float32(k + 1)
	}
	labels := e.Reshape(s.In[1], x[0], anchors, 1, x[2], x[3])
	hit := e.Node("Equal", []string{labels, e.Floats(Shape{classes, 1, 1}, number...)})
	d.opposite = e.Node("Where", []string{hit, e.Number(-1), e.Number(1)})
	logits := e.Mul(e.Reshape(s.In[0], d.shape...), d.opposite)
	d.wrong, d.entropy = e.Node("Sigmoid", []string{logits}), e.Node("Softplus", []string{logits})
	uncounted := e.Node("Less", []string{labels, e.Number(0)})
	d.weight = e.Node("Where", []string{uncounted, e.Number(0), e.Reshape(s.In[2], x[0], 1, 1, 1, 1)})
	if right, others := o.alphas(); right != others {
		d.weight = e.Mul(e.Node("Where", []string{hit, e.Number(right), e.Number(others)}), d.weight)
	} else {
		d.weight = e.Mul(d.weight, e.Number(right))
	}
	return d
}

// power raises a value of 0 or more to a power.
func (e *Emitter) power(v string, to float64) string {
	switch to {
	case 1:
		return v
	case 2:
		return e.Mul(v, v)
	}
	return e.Node("Pow", []string{v, e.Number(to)})
}
