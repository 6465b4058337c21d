package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/onnx"
)

// entry is a model of a comparison, with a name and input settings of its own.
type entry struct {
	model string
	label string // what tables call it; "": a name by its file
	input inputOptions
}

// entries are the models of the command line, then those of --models. Input settings of the
// command line hold for all models that have no others.
func (k *comparing) entries(arguments []string) (all []entry, err error) {
	for _, model := range arguments {
		all = append(all, entry{model: model})
	}
	if k.Models != "" {
		listed, err := readEntries(k.Models)
		if err != nil {
			return nil, err
		}
		all = append(all, listed...)
	}
	for i := range all {
		all[i].input.defaults(k.inputOptions)
	}
	return all, nil
}

// defaults fills in what is not set.
func (o *inputOptions) defaults(from inputOptions) {
	for field, value := range map[*string]string{
		&o.Normalize: from.Normalize, &o.InputSize: from.InputSize, &o.Resize: from.Resize, &o.Crop: from.Crop,
		&o.Interpolation: from.Interpolation, &o.Range: from.Range, &o.Channels: from.Channels,
	} {
		if *field == "" {
			*field = value
		}
	}
	o.ForceInput = o.ForceInput || from.ForceInput
}

// readEntries reads a list of models: each is a name or a map with the key model, and perhaps
// label, and the names of the flags for input settings.
func readEntries(file string) (all []entry, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("--models: %v", err)}
	}
	var list []any
	if err := yaml.UnmarshalWithOptions(data, &list, yaml.UseOrderedMap()); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, &usageError{msg: fmt.Sprintf("--models %q: %s", file, first), hint: `a list such as "- {model: net.onnx, range: -1..1, label: net}"`}
	}
	for i, item := range list {
		e, err := readEntry(item)
		if err != nil {
			err.msg = fmt.Sprintf("--models %q, model %d: %s", file, i+1, err.msg)
			return nil, err
		}
		if beside := filepath.Join(filepath.Dir(file), e.model); !filepath.IsAbs(e.model) && catalogue.IsFile(beside) {
			e.model = beside
		}
		all = append(all, e)
	}
	return all, nil
}

func readEntry(item any) (e entry, _ *usageError) {
	keys := map[string]*string{
		"model": &e.model, "label": &e.label, "name": &e.label, "range": &e.input.Range, "normalize": &e.input.Normalize, "input-size": &e.input.InputSize,
		"resize": &e.input.Resize, "crop": &e.input.Crop, "interpolation": &e.input.Interpolation, "channels": &e.input.Channels,
	}
	settings, ok := item.(yaml.MapSlice)
	if text, plain := item.(string); plain {
		settings, ok = yaml.MapSlice{{Key: "model", Value: text}}, true
	}
	if !ok {
		return e, &usageError{msg: fmt.Sprintf("it is %v, expected a name or a map with the key model", item)}
	}
	for _, s := range settings {
		key := strings.ReplaceAll(fmt.Sprint(s.Key), "_", "-")
		if force, isBool := s.Value.(bool); key == "force-input" && isBool {
			e.input.ForceInput = force
			continue
		}
		field := keys[key]
		if field == nil {
			names := []string{"force-input"}
			for name := range keys {
				names = append(names, name)
			}
			slices.Sort(names)
			return e, &usageError{msg: fmt.Sprintf("unknown key %q", s.Key), hint: suggest(key, names, "keys: "+strings.Join(names, ", "))}
		}
		switch s.Value.(type) {
		case string, int, int64, uint64, float64:
			*field = fmt.Sprint(s.Value)
		default:
			return e, &usageError{msg: fmt.Sprintf("%s is %v, expected one value", s.Key, s.Value)}
		}
	}
	if e.model == "" {
		return e, &usageError{msg: "the key model is missing"}
	}
	return e, nil
}

// take takes the models that are named, and wants data and an output as well.
func (k *comparing) take(arguments []string, usage string) (err error) {
	if k.list, err = k.entries(arguments); err != nil {
		return err
	}
	for _, e := range k.list {
		k.models = append(k.models, e.model)
	}
	if len(k.models) == 0 {
		return &usageError{msg: "no models are named", hint: usage}
	}
	return required(usage, "data", k.Data, "out", k.Out)
}

// name gives every model of a comparison a name: its label, else one by its file. The
// names are those of folders, too.
func (k *comparing) name() error {
	k.names = backboneNames(k.models)
	labels := map[string]bool{}
	for i, e := range k.list {
		if e.label == "" {
			continue
		}
		if strings.ContainsAny(e.label, `/\`) || !filepath.IsLocal(e.label) || e.label == "." || labels[e.label] {
			return &usageError{msg: fmt.Sprintf("--models: the label %q, expected one that can be the name of a folder, and that no other model has", e.label)}
		}
		k.names[i], labels[e.label] = e.label, true
	}
	for i, name := range k.names {
		if k.list[i].label == "" && labels[name] {
			return &usageError{msg: fmt.Sprintf("--models: the label %q is the name of %q, too", name, k.models[i]), hint: "give that one a label, too"}
		}
	}
	return nil
}

// checkInputs refuses input settings that contradict a model's own Spec, before anything
// is computed. A model that cannot be read is told of later.
func (k *comparing) checkInputs() error {
	silent := &env{stdout: k.stdout, stderr: io.Discard, json: true, progress: "none", warnings: []string{}}
	var refused *usageError
	foreign := "MODEL.onnx" // one that the settings may be meant for
	for i, e := range slices.Backward(k.list) {
		if len(e.input.pixelFlags()) == 0 {
			continue
		}
		m, err := silent.openModel(e.model)
		if err != nil {
			continue
		}
		if m.Metadata(onnx.SpecKey) == "" {
			foreign = e.model
		}
		var usage *usageError
		if _, _, err = silent.modelSpec(e.input, e.model, m); errors.As(err, &usage) {
			refused = &usageError{msg: fmt.Sprintf("%s: %s", k.names[i], usage.msg), hint: usage.hint}
		}
	}
	if refused == nil {
		return nil
	}
	if flags := k.pixelFlags(); len(flags) > 0 {
		var given, settings string
		for _, f := range flags {
			given += fmt.Sprintf(" --%s %s", f.name, quoted(f.value))
			settings += fmt.Sprintf(", %s: %s", f.name, f.value)
		}
		refused.hint = fmt.Sprintf("give it to the model that it is meant for: rtx import %s -o NEW.onnx%s, or --models FILE.yaml with - {model: %s%s}; --force-input gives it to all",
			quoted(foreign), given, quoted(foreign), settings)
	}
	return refused
}
