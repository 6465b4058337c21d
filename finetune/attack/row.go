package attack

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
)

// Row is an image to attack.
type Row struct {
	ID     int       // identifies the row in its Outcome, and for random numbers
	Image  []float32 // [3,H,W] in [0,1]; of networks for one channel, three equal planes. It is not modified
	Label  int
	Target int // with Config.Targeted: the class to be reached
}

// Outcome is what the attack of a row came to.
type Outcome struct {
	Row       int     // its ID
	Label     int     //
	Clean     bool    // the network classifies the original as Label; other rows are not attacked
	Robust    bool    // Clean, and the attack did not reach what it worked for
	By        string  // if Clean and not Robust: the member of the attack that succeeded, such as "pgd"
	Predicted int     // class of Image
	Loss      float64 // Config.Loss of Image
	Distance  float64 // of Image from the original, in the threat's norm
	Image     []float32
	Gradients int // that were computed
	Zero      int // of these, those of which all values are 0: signs of masked gradients
	Forwards  int // evaluations without a gradient
}

// search is the attack of one row. It runs in a goroutine of its own, between whose
// questions the pool computes the answers.
type search struct {
	Row
	Config
	aim
	ball   ball
	pool   *pool
	asked  question
	answer chan answer
	ended  bool
	err    error
	out    Outcome
	kept   kept
	y      []float64 // scratch: an image before projection
}

// question is an image of which the logits are asked, and the gradient of a loss
// unless that is "".
type question struct {
	image []float32
	loss  Loss
	aim   aim
}

func (q question) kind() kind {
	if q.loss == "" {
		return kind{}
	}
	return kindOf(q.loss, q.aim)
}

// answer is valid until the next question. The attack ends without one if the pool
// does.
type answer struct{ logits, gradient []float32 }

// ask waits for the answer to a question.
func (s *search) ask(q question) answer {
	s.asked = q
	s.pool.turn.Done()
	a, ok := <-s.answer
	if !ok {
		runtime.Goexit()
	}
	for i, v := range a.logits {
		if math.IsNaN(float64(v)) {
			s.fail(fmt.Errorf("attack: row %d: logit %d is not a number", s.ID, i))
		}
	}
	return a
}

// fail ends the search, and with it the attack of all rows.
func (s *search) fail(err error) {
	s.err = err
	runtime.Goexit()
}

// forward evaluates an image.
func (s *search) forward(image []float32) (logits []float32) {
	s.out.Forwards++
	return s.ask(question{image: image}).logits
}

// gradient evaluates an image and the gradient of a loss by it.
func (s *search) gradient(image []float32, l Loss, a aim) (logits, gradient []float32) {
	s.out.Gradients++
	got := s.ask(question{image, l, a})
	zero := true
	for i, v := range got.gradient {
		if math.IsNaN(float64(v)) {
			s.fail(fmt.Errorf("attack: row %d: the gradient by value %d of the image is not a number; the network cannot be attacked by gradients there", s.ID, i))
		}
		zero = zero && v == 0
	}
	if zero {
		s.out.Zero++
	}
	return got.logits, got.gradient
}

// random returns random numbers for a member of the attack and a restart.
func (s *search) random(member string, restart int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, member, " ", restart)
	return rand.New(rand.NewPCG(s.Seed, h.Sum64()^uint64(s.ID)*0x9e3779b97f4a7c15))
}

// run attacks the row.
func (s *search) run() {
	s.out = Outcome{Row: s.ID, Label: s.Label, Image: s.Image}
	logits := s.forward(s.ball.centre)
	s.out.Predicted, s.out.Loss = argmax(logits), s.Loss.of(logits, s.aim)
	s.out.Clean = s.out.Predicted == s.Label
	if !s.out.Clean {
		return
	}
	first := slices.Clone(logits)
	switch s.Method {
	case PGD:
		s.pgd()
	case APGD:
		s.apgd("apgd-"+string(s.Loss), s.Loss, s.aim, s.RandomStart, s.Restarts)
	case Square:
		s.square()
	case Auto:
		_ = s.pgd() || s.apgd("apgd-ce", CrossEntropy, s.aim, true, 1) || s.targeted(first) || s.square()
	}
	image := s.kept.image
	logits = s.forward(image) // whatever the search believed
	s.out.Predicted, s.out.Loss = argmax(logits), s.Loss.of(logits, s.aim)
	s.out.Robust = !s.fooled(logits)
	if !s.out.Robust {
		s.out.By = s.kept.by
	}
	s.out.Distance = s.Threat.Norm.Distance(image, s.ball.centre)
	s.out.Image = s.whole(image)
}

// whole returns an image with all three planes, in memory of its own.
func (s *search) whole(image []float32) []float32 {
	out := make([]float32, 0, len(s.Image))
	for len(out) < len(s.Image) {
		out = append(out, image...)
	}
	return out
}
