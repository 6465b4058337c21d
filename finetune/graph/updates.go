package graph

import (
	"maps"
	"slices"

	G "gorgonia.org/gorgonia"
)

// trained lists the parameters that are trained, sorted by name.
func (r *reader) trained() (out []Param) {
	if r.config.Averaged {
		return nil
	}
	found := maps.Clone(r.found)
	for _, a := range r.added {
		found[a.Name] = a.Param
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, ok := r.rule(found[name]); ok {
			out = append(out, found[name])
		}
	}
	return out
}

// gradients differentiates the loss. It returns the optimizer's updates or, without
// an optimizer, the gradients as outputs.
func (r *reader) gradients(loss Value, trained []Param) (outputs []Named, updates []Next) {
	var by G.Nodes
	for _, p := range trained {
		by = append(by, r.parameter(p).node)
	}
	if r.config.ImageGradient {
		images, ok := r.leaves[leafID{Variable{Name: Images}, Input}]
		if !ok {
			r.fail("a gradient by the images is asked for, and no node reads them")
		}
		by = append(by, images.node)
	}
	for _, name := range r.config.ValueGradients {
		probe, ok := r.probes[name]
		if !ok {
			r.fail("the model's part that is read has no value %q, by which there is to be a gradient", name)
		}
		by = append(by, probe.node)
	}
	if len(by) == 0 {
		return nil, nil
	}
	reached := r.readers([]*G.Node{loss.node})
	for i, p := range trained {
		if reached[by[i]] == 0 {
			r.fail("the loss does not depend on the parameter %q, which is to be trained: read the network for values that the objective uses", p.Name)
		}
	}
	diffs, err := G.Grad(loss.node, by...)
	if err != nil {
		r.fail("the loss has no gradient: %w", err)
	}
	others := diffs[len(trained):]
	if r.config.ImageGradient {
		outputs = append(outputs, Named{Gradient + Images, Value{others[0]}})
		others = others[1:]
	}
	for i, name := range r.config.ValueGradients {
		outputs = append(outputs, Named{Gradient + name, Value{others[i]}})
	}
	gradients := make([]Value, len(trained))
	for i := range trained {
		gradients[i] = Value{diffs[i]}
	}
	if r.config.Optimizer == nil {
		for i, p := range trained {
			outputs = append(outputs, Named{Gradient + p.Name, gradients[i]})
		}
		return outputs, nil
	}
	if r.config.Clip > 0 && len(trained) > 0 {
		norm := r.Apply(GlobalNorm{}, gradients...)
		outputs = append(outputs, Named{Norm, norm})
		for i, g := range gradients {
			gradients[i] = r.Apply(ClipByGlobalNorm{Max: r.config.Clip}, g, norm)
		}
	}
	for i, p := range trained {
		rule, _ := r.rule(p)
		updates = append(updates, r.config.Optimizer.Update(r.Builder, p, rule, r.parameter(p), gradients[i])...)
	}
	return outputs, updates
}

// parameter is the value of a parameter.
func (r *reader) parameter(p Param) Value { return r.Builder.Variable(Variable{Name: p.Name}, p.Shape) }

// averages returns updates of the exponential moving average of every parameter
// that a step changes.
func (r *reader) averages(updates []Next) (out []Next) {
	if r.config.EMA == 0 {
		return nil
	}
	for _, u := range updates {
		if u.Slot != Parameter {
			continue
		}
		average := Variable{u.Name, Average}
		old := r.Builder.Variable(average, u.Value.Shape())
		out = append(out, Next{average, r.Apply(Axpby{r.config.EMA, 1 - r.config.EMA}, old, u.Value)})
	}
	return out
}
