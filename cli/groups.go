package cli

import (
	"slices"
	"strings"
)

// group is a heading of help texts, the manual and completions, and what
// stands under it, most used first.
type group struct {
	title   string
	members []string
}

// flagGroups assigns each flag of each verb to a group. VERB:FLAG overrides
// FLAG for a verb where the flag belongs elsewhere.
var flagGroups = []group{
	{"Input", strings.Fields("model data labels test test-labels split name add:arch eps query queries neighbours:seed from shard root on-error max-skipped")},
	{"Output", strings.Fields("out resume attach format to names outputs top-k neighbours fold-bn no-normalize embed-preprocess export:precision opset key-map overwrite verify")},
	{"Network", strings.Fields("arch classes import:labels new:labels new:input-size new:seed index")},
	{"Features", strings.Fields("layer pool bn")},
	{"Classifier", strings.Fields("solver reg folds seeds seed per-class balanced")},
	{"Training", strings.Fields("recipe mode epochs finetune:batch-size finetune:bn head head-init label-smoothing patience metric val-fraction max-time finetune:seed finetune:seeds")},
	{"Optimizer", strings.Fields("lr optimizer schedule warmup weight-decay momentum nesterov clip ema layer-decay no-decay-norm step-size gamma")},
	{"Augmentation", strings.Fields("augment mixup jitter")},
	{"Preprocessing", strings.Fields("input-size resize crop normalize range channels interpolation pre-resize exif-rotate")},
	{"Machine", strings.Fields("device engine batch-size precision workers threads cuda onnxruntime")},
	{"General", strings.Fields("config json progress quiet help")},
}

// verbGroups assigns each verb to a group.
var verbGroups = []group{
	{"Models", strings.Fields("models import export inspect new")},
	{"Features", strings.Fields("featurize probe compare merge plot adapt")},
	{"Training", strings.Fields("finetune eval predict")},
	{"Installation", strings.Fields("runtime doctor version completion man")},
}

// placeOf finds the first of some names in a table: the index of its group, and
// that of the name in it. What the table lacks comes last.
func placeOf(table []group, names ...string) (at [2]int) {
	for _, name := range names {
		for i, g := range table {
			if j := slices.Index(g.members, name); j >= 0 {
				return [2]int{i, j}
			}
		}
	}
	return [2]int{len(table), 0}
}

func (v verb) placeOf(o option) [2]int {
	return placeOf(flagGroups, v.name+":"+o.names[0], o.names[0])
}

// sortByGroup puts the flags of a verb and the verbs below it into the order of
// the tables.
func (v *verb) sortByGroup() {
	slices.SortStableFunc(v.options, func(a, b option) int {
		x, y := v.placeOf(a), v.placeOf(b)
		return slices.Compare(x[:], y[:])
	})
	slices.SortStableFunc(v.verbs, func(a, b verb) int {
		x, y := placeOf(verbGroups, a.name), placeOf(verbGroups, b.name)
		return slices.Compare(x[:], y[:])
	})
}

// optionGroup is a heading and its flags.
type optionGroup struct {
	title   string
	options []option
}

// optionGroups are the flags of a verb under their headings.
func (v verb) optionGroups() (found []optionGroup) {
	for i, g := range flagGroups {
		var members []option
		for _, o := range v.options {
			if v.placeOf(o)[0] == i {
				members = append(members, o)
			}
		}
		if members != nil {
			found = append(found, optionGroup{g.title, members})
		}
	}
	return found
}

// verbGroup is a heading and its verbs.
type verbGroup struct {
	title string
	verbs []verb
}

// verbGroups are the verbs below a verb under their headings; below rtx itself
// these are those of the table.
func (v verb) verbGroups() (found []verbGroup) {
	if v.path != "" && len(v.verbs) > 0 {
		return []verbGroup{{"Verbs", v.verbs}}
	}
	for i, g := range verbGroups {
		var members []verb
		for _, s := range v.verbs {
			if placeOf(verbGroups, s.name)[0] == i {
				members = append(members, s)
			}
		}
		if members != nil {
			found = append(found, verbGroup{g.title, members})
		}
	}
	return found
}
