package finetune

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Mode says which parameters are trained. The zero value trains all of them.
type Mode struct {
	Fixed bool // train only the head
	Last  int  // train the head and this many last stages; 0: all
}

// ParseMode reads "full", "fixed" or "last-K".
func ParseMode(s string) (Mode, error) {
	switch k, ok := strings.CutPrefix(s, "last-"); {
	case s == "full":
		return Mode{}, nil
	case s == "fixed":
		return Mode{Fixed: true}, nil
	case ok:
		if n, err := strconv.Atoi(k); err == nil && n > 0 {
			return Mode{Last: n}, nil
		}
	}
	return Mode{}, fmt.Errorf("finetune: mode %q, expected full, fixed or last-K with K from 1 on", s)
}

// String returns the form that ParseMode reads.
func (m Mode) String() string {
	switch {
	case m.Fixed:
		return "fixed"
	case m.Last > 0:
		return fmt.Sprintf("last-%d", m.Last)
	}
	return "full"
}

// Rules say how parameters are trained. The zero value is the default.
type Rules struct {
	Mode        Mode
	WeightDecay float64 // 0: 5e-4, negative: none
	FixedNorms  bool    // scale and shift of the batch norms are not trained, except those of the head
	NoNormDecay bool    // no weight decay for batch norms and biases
	BiasDecay   bool    // with NoNormDecay: biases have weight decay, batch norms do not
	LayerDecay  float64 // the learning rate of a stage is that of the next deeper stage times LayerDecay; 0: 1
}

// resolved returns the rules with the values of those that are left to their
// defaults.
func (r Rules) resolved() Rules {
	r.WeightDecay, r.LayerDecay = orDefault(r.WeightDecay, 5e-4), orDefault(r.LayerDecay, 1)
	if r.WeightDecay < 0 {
		r.WeightDecay = -1
	}
	return r
}

// For returns the rule of each parameter of a network, for graph.Config.Train. The
// head and parameters after the last stage have the full learning rate, the last
// stage has it times LayerDecay, the one before it times LayerDecay^2, and so on.
// The stem belongs to the first stage.
func (r Rules) For(net *graph.Network) (func(graph.Param) (graph.Rule, bool), error) {
	if err := r.checkHead(net.Params()); err != nil {
		return nil, err
	}
	return r.of(net)
}

// checkHead returns an error where the mode needs a head and no parameter is of
// one. A task may add it.
func (r Rules) checkHead(params []graph.Param) error {
	if (r.Mode.Fixed || r.Mode.Last > 0) && !slices.ContainsFunc(params, func(p graph.Param) bool { return p.Head }) {
		return fmt.Errorf("finetune: mode %s: the model's Spec names no head, expected the weights of the last linear layer", r.Mode)
	}
	return nil
}

// of is For without checkHead.
func (r Rules) of(net *graph.Network) (func(graph.Param) (graph.Rule, bool), error) {
	stages := len(net.Spec().Stages)
	if stages == 0 && (r.Mode.Last > 0 || orDefault(r.LayerDecay, 1) != 1) {
		return nil, fmt.Errorf("finetune: the model's Spec names no stages, which mode last-K and a layer decay go by")
	}
	if r.Mode.Last > stages {
		return nil, fmt.Errorf("finetune: mode %s: the model has %d stages", r.Mode, stages)
	}
	if r.LayerDecay < 0 || r.LayerDecay > 1 {
		return nil, fmt.Errorf("finetune: layer decay %v, expected (0,1]", r.LayerDecay)
	}
	return func(p graph.Param) (graph.Rule, bool) {
		depth := 0 // number of stage ends between the parameter and the head
		if !p.Head {
			depth = max(stages-p.Stage, 0)
		}
		if p.Kind.Statistic() || !p.Head && (r.Mode.Fixed || r.Mode.Last > 0 && depth > r.Mode.Last) {
			return graph.Rule{}, false
		}
		if r.FixedNorms && !p.Head && (p.Kind == graph.Scale || p.Kind == graph.Shift) {
			return graph.Rule{}, false
		}
		rule := graph.Rule{LRScale: 1, WeightDecay: max(orDefault(r.WeightDecay, 5e-4), 0)}
		for range depth {
			rule.LRScale *= orDefault(r.LayerDecay, 1)
		}
		if r.NoNormDecay && p.Kind != graph.Weight && !(r.BiasDecay && p.Kind == graph.Bias) {
			rule.WeightDecay = 0
		}
		return rule, true
	}, nil
}
