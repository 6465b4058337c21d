package graph

import (
	"maps"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
)

// trained lists the parameters with gradients, sorted by name.
func (r *reader) trained() (out []Param) {
	if r.config.Averaged {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.found)) {
		if _, ok := r.rule(r.found[name]); ok {
			out = append(out, r.found[name])
		}
	}
	return out
}

// descend differentiates the loss and appends the optimizer's updates.
func (r *reader) descend(loss Value, trained []Param) (outputs, updates []named) {
	var by G.Nodes
	for _, p := range trained {
		by = append(by, r.leaves[p.Name].node)
	}
	if r.config.Images {
		by = append(by, r.leaves[Images].node)
	}
	diffs, err := G.Grad(loss.node, by...)
	if err != nil {
		r.fail("the loss has no gradient: %w", err)
	}
	if r.config.Images {
		last := len(diffs) - 1
		outputs = append(outputs, named{Gradient + Images, Value{diffs[last]}})
	}
	gradients := make([]Value, len(trained))
	for i := range trained {
		gradients[i] = Value{diffs[i]}
	}
	if r.config.Optimizer == nil {
		for i, p := range trained {
			outputs = append(outputs, named{Gradient + p.Name, gradients[i]})
		}
		return outputs, nil
	}
	if r.config.Clip > 0 && len(trained) > 0 {
		norm := r.apply(GlobalNorm{}, gradients...)
		outputs = append(outputs, named{Norm, norm})
		for i, g := range gradients {
			gradients[i] = r.apply(Clipped{Max: r.config.Clip}, g, norm)
		}
	}
	for i, p := range trained {
		rule, _ := r.rule(p)
		updates = append(updates, r.config.Optimizer.update(r.builder, p, rule, r.leaves[p.Name].Value, gradients[i])...)
	}
	return outputs, updates
}

// averages updates the exponential moving average of everything that a step
// changes, but for the optimizer's own state.
func (r *reader) averages(updates []named) (out []named) {
	if r.config.EMA == 0 {
		return nil
	}
	for _, u := range updates {
		if strings.HasPrefix(u.name, FirstSum) || strings.HasPrefix(u.name, SecondSum) {
			continue
		}
		name := Average + u.name
		old := r.leaf(name, u.value.Shape(), State, nil)
		out = append(out, named{name, r.apply(Blend{r.config.EMA, 1 - r.config.EMA}, old, u.value)})
	}
	return out
}
