package probe

import (
	"context"
	"math"
	"math/rand/v2"
)

const (
	batchRows = 64
	momentum  = 0.9
)

// descent is stochastic gradient descent with Nesterov's momentum on batches of
// 64 rows, at a learning rate that falls to 0 along a cosine. Features are
// standardised and divided by the root of their number, so that one rate suits rows
// of any width.
type descent struct {
	*training
	epochs int
	seed   uint64
}

func (d descent) fit(ctx context.Context, at Setting, _ []float64) (Model, []float64, Report, error) {
	k := len(d.classes)
	x := make([]float64, k*(d.D+1))
	s := &steps{descent: d, x: x, speed: make([]float64, len(x)), batch: make([]float32, batchRows*d.D)}
	s.w, s.gradient, s.z = make([]float32, k*d.D), make([]float32, k*d.D), make([]float32, batchRows*k)
	var rows []int
	for i, w := range d.weights {
		if w != 0 {
			rows = append(rows, i)
		}
	}
	source := rand.New(rand.NewPCG(d.seed, 2))
	each := (len(rows) + batchRows - 1) / batchRows
	total := each * d.epochs
	for step := range total {
		if step%each == 0 {
			source.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		if err := context.Cause(ctx); err != nil {
			return nil, nil, Report{}, err
		}
		from := step % each * batchRows
		rate := at.Rate / 2 * (1 + math.Cos(math.Pi*float64(step)/float64(total)))
		if err := s.step(rows[from:min(len(rows), from+batchRows)], rate, at.Lambda); err != nil {
			return nil, nil, Report{}, err
		}
	}
	return s.end(ctx, at, Report{Iterations: total, Evaluations: d.epochs + 1})
}

// steps is the state of a descent.
type steps struct {
	descent
	x, speed              []float64 // weights [k,D] for standardised features and biases [k]; their momentum
	batch, w, z, gradient []float32
}

func (s *steps) step(rows []int, rate, lambda float64) error {
	k, at := len(s.classes), len(s.w)
	unit := 1 / math.Sqrt(float64(s.varying))
	for i, row := range rows {
		for j, x := range s.X[row*s.D : (row+1)*s.D] {
			s.batch[i*s.D+j] = float32((float64(x) - s.mean[j]) * s.inverse[j] * unit)
		}
	}
	for j, w := range s.x[:at] {
		s.w[j] = float32(w / unit)
	}
	z := s.z[:len(rows)*k]
	if err := s.products.Forward(z, s.batch[:len(rows)*s.D], s.w, s.D); err != nil {
		return err
	}
	biases := make([]float64, k)
	for i, row := range rows {
		s.residual(row, z[i*k:(i+1)*k], s.x[at:])
		for c, r := range z[i*k : (i+1)*k] {
			biases[c] += float64(r)
		}
	}
	if err := s.products.Backward(s.gradient, z, s.batch[:len(rows)*s.D], s.D); err != nil {
		return err
	}
	share := float64(s.rows) / (s.sum * float64(len(rows))) // factor from the batch's sum to an estimate of the gradient
	for j := range s.x {
		g := 0.0
		if j < at {
			g = float64(s.gradient[j])*share*unit + lambda*s.x[j]*unit*unit
		} else {
			g = biases[j-at] * share
		}
		s.speed[j] = momentum*s.speed[j] - rate*g
		s.x[j] += momentum*s.speed[j] - rate*g
	}
	return nil
}

// end makes the head. An objective that is not finite, as the steps were too long,
// is reported as the largest number. One above that of weights of zero, which guess, has
// not converged.
func (s *steps) end(ctx context.Context, at Setting, r Report) (Model, []float64, Report, error) {
	var err error
	r.Objective, err = (&logistic{training: s.training, lambda: at.Lambda}).value(ctx, make([]float64, len(s.x)), s.x)
	if !(r.Objective < math.MaxFloat64) {
		r.Objective = math.MaxFloat64
	}
	r.Converged = r.Objective <= math.Log(float64(len(s.classes))) || len(s.classes) == 1
	return newHead(s.training, s.head, s.shift, untrainedLogit), nil, r, err
}
