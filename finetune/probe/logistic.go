package probe

import (
	"context"
	"math"
)

// logistic is the objective of multinomial logistic regression. Its variables are the
// weights [k,D] for standardised features, followed by the biases [k].
type logistic struct {
	*training
	sketch *sketch
	lambda float64
}

func (l *logistic) value(ctx context.Context, gradient, x []float64) (float64, error) {
	at := len(l.classes) * l.D
	dv, db := gradient[:at], gradient[at:]
	loss, err := l.pass(ctx, dv, db, x[:at], x[at:], l.residual)
	if err != nil {
		return 0, err
	}
	penalty := 0.0
	for j, w := range x[:at] {
		dv[j] = dv[j]/l.sum + l.lambda*w
		penalty += w * w
	}
	for c := range db {
		db[c] /= l.sum
	}
	return loss/l.sum + l.lambda/2*penalty, nil
}

// residual is that of pass for cross-entropy: the logits of a row are z + shift. Loss
// and gradient are weighted.
func (t *training) residual(row int, z []float32, shift []float64) float64 {
	best := math.Inf(-1)
	for c, x := range z {
		best = max(best, float64(x)+shift[c])
	}
	y, weight := t.label[row], t.weights[row]
	truth, sum := float64(z[y])+shift[y]-best, 0.0
	for c, x := range z {
		e := math.Exp(float64(x) + shift[c] - best)
		z[c] = float32(e)
		sum += e
	}
	for c, e := range z {
		z[c] = float32(weight * (float64(e) / sum))
	}
	z[y] = float32(weight * (math.Exp(truth)/sum - 1))
	return weight * (math.Log(sum) - truth)
}

// precondition divides by an approximation of the second derivatives: p (1-p) is
// taken to be the same for all rows of a class, and 0 between classes.
func (l *logistic) precondition(g []float64) {
	at := len(l.classes) * l.D
	scale := make([]float64, len(l.classes))
	for c, s := range l.spread {
		scale[c] = max(s/l.sum, 1e-9)
		g[at+c] /= scale[c]
	}
	l.sketch.divide(g[:at], scale, l.lambda)
}
