package attack

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// pool attacks rows concurrently and answers their questions in batches.
type pool struct {
	a    *Attacker
	turn sync.WaitGroup // of searches that have neither asked nor ended
	live []*search      // in the order of their start
}

// Attack attacks rows, and yields their outcomes as they become known, which is not the
// order of the rows. It ends with an error of rows, of the executor or of ctx, with the
// first row that cannot be attacked, and when the caller breaks; rows without an outcome
// can be attacked later. Between batches, ctx is checked and rows are read.
func (a *Attacker) Attack(ctx context.Context, rows iter.Seq2[Row, error], c Config) iter.Seq2[Outcome, error] {
	return func(yield func(Outcome, error) bool) {
		c, err := c.Resolved()
		if err == nil {
			err = a.accepts(c)
		}
		if err != nil {
			yield(Outcome{}, err)
			return
		}
		next, stop := iter.Pull2(rows)
		defer stop()
		p := &pool{a: a}
		defer p.abandon()
		if err := p.attack(ctx, next, c, yield); err != nil {
			yield(Outcome{}, err)
		}
	}
}

func (p *pool) attack(ctx context.Context, next func() (Row, error, bool), c Config, yield func(Outcome, error) bool) error {
	more, done := true, 0
	for {
		// With this many rows at work there is always a full batch of some kind of question.
		for more && len(p.live) < c.kinds()*(p.a.options.Batch-1)+1 {
			row, err, ok := next()
			if err != nil {
				return err
			}
			if more = ok; !ok {
				break
			}
			if err := p.start(row, c); err != nil {
				return err
			}
		}
		p.turn.Wait()
		var ended []*search
		p.live = slices.DeleteFunc(p.live, func(s *search) bool {
			if s.ended {
				ended = append(ended, s)
			}
			return s.ended
		})
		for _, s := range ended {
			if s.err != nil {
				return s.err
			}
			if done++; !yield(s.out, nil) {
				return nil
			}
		}
		if len(ended) > 0 && more {
			continue
		}
		if len(p.live) == 0 {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := p.batch(ctx); err != nil {
			return err
		}
		if p.a.options.Progress != nil {
			p.a.options.Progress(Progress{Done: done, Open: len(p.live), Batches: p.a.batches})
		}
	}
}

// start begins the search of a row.
func (p *pool) start(r Row, c Config) error {
	a := p.a
	size := 3 * a.size[0] * a.size[1]
	if len(r.Image) != size {
		return fmt.Errorf("attack: row %d has an image of %d values, expected [3,%d,%d]", r.ID, len(r.Image), a.size[0], a.size[1])
	}
	if i := slices.IndexFunc(r.Image, func(v float32) bool { return !(v >= 0 && v <= 1) }); i >= 0 {
		return fmt.Errorf("attack: row %d: value %d of the image is %v, expected 0 to 1", r.ID, i, r.Image[i])
	}
	aim := aim{r.Label, -1}
	if c.Targeted {
		aim.target = r.Target
	}
	if r.Label < 0 || r.Label >= a.classes || aim.target >= a.classes || c.Targeted && (aim.target < 0 || aim.target == r.Label) {
		return fmt.Errorf("attack: row %d has the label %d and the target %d, expected different ones from 0 to %d", r.ID, r.Label, aim.target, a.classes-1)
	}
	s := &search{Row: r, Config: c, pool: p, aim: aim, answer: make(chan answer)}
	s.ball = ball{c.Threat, r.Image[:size/3*a.planes]}
	s.y = make([]float64, len(s.ball.centre))
	s.kept = kept{s: s}
	p.live = append(p.live, s)
	p.turn.Add(1)
	go func() {
		defer p.turn.Done()
		defer func() { s.ended = true }()
		s.run()
	}()
	return nil
}

// batch answers the questions of one kind, of as many rows as there are places.
func (p *pool) batch(ctx context.Context) error {
	byKind, asking := map[kind][]*search{}, []*search(nil)
	for _, s := range p.live {
		k := s.asked.kind()
		byKind[k] = append(byKind[k], s)
	}
	for _, s := range p.live { // of kinds that are asked equally often, that of the first row
		if all := byKind[s.asked.kind()]; len(all) > len(asking) {
			asking = all
		}
	}
	asking = asking[:min(len(asking), p.a.options.Batch)]
	questions := make([]question, len(asking))
	for i, s := range asking {
		questions[i] = s.asked
	}
	answers, err := p.a.answer(ctx, questions)
	if err != nil {
		return err
	}
	p.turn.Add(len(asking))
	for i, s := range asking {
		s.answer <- answers[i]
	}
	return nil
}

// abandon ends all searches.
func (p *pool) abandon() {
	p.turn.Wait()
	for _, s := range p.live {
		if !s.ended {
			p.turn.Add(1)
			close(s.answer)
		}
	}
	p.turn.Wait()
}
