package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
)

// evalAttack are the attacks of an evaluation.
type evalAttack struct {
	runs     []attackRun
	rows     []featurize.Sample // that are attacked: all that are evaluated
	attacker *attack.Attacker
	x        finetune.Executor
	engine   string
	planes   imagePlanes
	check    bool
}

// attackKind is what an attack is for.
type attackKind string

const (
	asked    attackKind = ""         // the figure that was asked for
	oneStep  attackKind = "one_step" // the others are checks: a single step as long as the radius
	vast     attackKind = "vast"     // a radius within which every image can become grey
	unguided attackKind = "square"   // a search without gradients
)

// attackRun is an attack of the images, or of the first of them.
type attackRun struct {
	kind     attackKind
	of       int // the run that is checked
	config   attack.Config
	most     int                 // images that are attacked
	outcomes map[string]attacked // by the paths of the images
}

// attacked is the outcome of an image, as a line of the state of an unfinished job.
type attacked struct {
	Run       int                `json:"run"`
	Path      featurize.JSONPath `json:"path"`
	Clean     bool               `json:"clean"`
	Robust    bool               `json:"robust"`
	By        string             `json:"by,omitempty"`
	Predicted int                `json:"predicted"`
	Distance  float64            `json:"distance"`
	Gradients int                `json:"gradients"`
	Zero      int                `json:"zero"`
	Forwards  int                `json:"forwards"`
}

// attackedFile is that state's file.
const attackedFile = "attacked.jsonl"

// checkedImages is the number of images that checks are made with.
const checkedImages = 200

// checkQueries is how many queries the search without gradients makes for an image.
const checkQueries = 500

// attackRuns are the attacks that were asked for, and the checks of that with the largest
// radius in each norm.
func attackRuns(configs []attack.Config, check bool, size [2]int) (runs []attackRun) {
	largest := map[attack.Norm]int{}
	for i, c := range configs {
		runs = append(runs, attackRun{config: c, most: math.MaxInt, outcomes: map[string]attacked{}})
		if at, there := largest[c.Threat.Norm]; !there || c.Threat.Eps > configs[at].Threat.Eps {
			largest[c.Threat.Norm] = i
		}
	}
	for i, c := range configs {
		if !check || largest[c.Threat.Norm] != i {
			continue
		}
		radius := .5
		if c.Threat.Norm == attack.L2 {
			radius = math.Ceil(radius * math.Sqrt(float64(3*size[0]*size[1])))
		}
		for _, more := range []struct {
			kind   attackKind
			config attack.Config
		}{
			{oneStep, attack.Config{Threat: c.Threat, Steps: 1, StepSize: c.Threat.Eps}},
			{vast, attack.Config{Threat: attack.Threat{Norm: c.Threat.Norm, Eps: radius}}},
			{unguided, attack.Config{Threat: c.Threat, Method: attack.Square, Queries: checkQueries}},
		} {
			if config, err := more.config.Resolved(); err == nil {
				runs = append(runs, attackRun{more.kind, i, config, checkedImages, map[string]attacked{}})
			}
		}
	}
	return runs
}

// attackImages attacks the images that have been scored. With a folder it goes on where an
// earlier command was ended.
func (v *evaluating) attackImages(ctx context.Context) error {
	a := v.attack
	if a == nil {
		return nil
	}
	if err := v.attackable(); err != nil {
		return err
	}
	keep := func(attacked) error { return nil }
	done, total := 0, 0
	for _, r := range a.runs {
		total += min(r.most, len(a.rows))
	}
	if v.folder != nil {
		if err := v.folder.Begin(v.settings(), v.o.Overwrite); err != nil {
			return err
		}
		state, err := stateOf[attacked](v.folder, attackedFile)
		if err != nil {
			return err
		}
		defer state.file.Close()
		for _, one := range state.seen {
			if one.Run < len(a.runs) {
				a.runs[one.Run].outcomes[string(one.Path)] = one
				done++
			}
		}
		if done > 0 {
			v.note("going on after %d of %d attacks", done, total)
		}
		keep = state.add
	}
	p := newProgress(v.env)
	p.noun = "attacks"
	defer p.end()
	p.update(done, total)
	for i := range a.runs {
		err := v.attackRun(ctx, i, func(one attacked) error {
			done++
			p.update(done, total)
			return keep(one)
		})
		if errors.As(err, new(signalled)) {
			partly := partial{err, v.result("rtx.eval/1", "interrupted", v.o.Out, object{{"n", v.scores.N()}, {"attacks_done", done}})}
			if v.folder == nil {
				return hinted{partly, startsOver}
			}
			return goOn(partly, v.o.Overwrite)
		}
		if err != nil {
			return v.attackError(err)
		}
	}
	return nil
}

// attackRun attacks the images that have no outcome yet.
func (v *evaluating) attackRun(ctx context.Context, run int, emit func(attacked) error) error {
	r := &v.attack.runs[run]
	for o, err := range v.attack.attacker.Attack(ctx, v.attackRows(ctx, r), r.config) {
		if err != nil {
			return err
		}
		one := attacked{
			Run: run, Path: featurize.JSONPath(v.attack.rows[o.Row].Path), Clean: o.Clean, Robust: o.Robust, By: o.By,
			Predicted: o.Predicted, Distance: o.Distance, Gradients: o.Gradients, Zero: o.Zero, Forwards: o.Forwards,
		}
		r.outcomes[string(one.Path)] = one
		if err := emit(one); err != nil {
			return err
		}
	}
	return nil
}

// attackRows reads the images of a run that have no outcome yet. The ID of a row is its
// place among all.
func (v *evaluating) attackRows(ctx context.Context, r *attackRun) iter.Seq2[attack.Row, error] {
	var places []int
	var rest []featurize.Sample
	for i, s := range v.attack.rows[:min(r.most, len(v.attack.rows))] {
		if _, there := r.outcomes[s.Path]; !there {
			places, rest = append(places, i), append(rest, s)
		}
	}
	ended := errors.New("no more rows are wanted")
	return func(yield func(attack.Row, error) bool) {
		e := v.extractor()
		e.Network, e.RowSize = v.attack.planes, 3*v.spec.InputSize[0]*v.spec.InputSize[1]
		err := e.Extract(ctx, each(rest), func(results []featurize.Result) error {
			for _, one := range results {
				if one.Err != nil {
					return fmt.Errorf("%q: %w: %w", one.Sample.Path, one.Err, featurize.ErrData)
				}
				if !yield(attack.Row{ID: places[0], Image: slices.Clone(one.Features), Label: v.indices[one.Sample.Label]}, nil) {
					return ended
				}
				places = places[1:]
			}
			return nil
		})
		if err != nil && err != ended {
			yield(attack.Row{}, err)
		}
	}
}
