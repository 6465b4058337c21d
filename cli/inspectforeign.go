package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/onnx"
)

// recognized is what inspect says of a detector of another tool: what it is, or what it
// lacks. Of other models both are nil.
type recognized struct {
	model   *foreign.Model
	missing *foreign.MissingError
}

func recognize(m *onnx.Model) (r recognized) {
	if kind, err := detectorKind(m, ""); kind != "foreign" {
		errors.As(err, &r.missing)
		return r
	}
	r.model, _ = foreign.Recognize(m) // an InputConflict is among the problems of the model
	return r
}

// object adds the key "recognized" to what inspect prints as JSON.
func (r recognized) object() object {
	switch {
	case r.missing != nil:
		return object{{"recognized", object{{"what", r.missing.What}, {"missing", r.missing.Missing}, {"forms", append([]foreign.Form{}, r.missing.Forms...)}}}}
	case r.model != nil:
		m := r.model
		return object{{"recognized", object{
			{"what", m.What}, {"form", m.Form}, {"classes", append([]onnx.DetectClass{}, m.Classes...)}, {"masks", m.Masks}, {"fit", m.Fit},
			{"range", m.Spec.Range}, {"channels", m.Spec.Channels}, {"mean", append([]float64{}, m.Spec.Mean...)}, {"std", append([]float64{}, m.Spec.Std...)},
			{"known", append([]string{}, m.Known...)}, {"assumed", append([]string{}, m.Assumed...)},
		}}}
	}
	return nil
}

// rows replaces what inspect says of the input of a classifier.
func (r recognized) rows(rows [][2]string) (out [][2]string) {
	if r.model == nil && r.missing == nil {
		return rows
	}
	told := false
	tell := func() {
		if told {
			return
		}
		told = true
		if r.missing != nil {
			out = append(out, [2]string{"kind", r.missing.What}, [2]string{"missing", r.missing.Missing})
			if len(r.missing.Forms) > 0 {
				out = append(out, [2]string{"forms", fmt.Sprintf("it may be one of %q: --form of predict and eval says which", r.missing.Forms)})
			}
			return
		}
		out = append(out, [2]string{"kind", r.model.What})
		if names := r.model.Classes; len(names) > 0 {
			out = append(out, [2]string{"classes", classesText(&onnx.Detect{Classes: names})})
		}
		for _, k := range r.model.Known {
			out = append(out, [2]string{"known", k})
		}
		for _, a := range r.model.Assumed {
			out = append(out, [2]string{"assumed", a})
		}
	}
	for _, row := range rows {
		switch row[0] {
		case "features", "answer", "note":
		case "kind", "expects", "assumed":
			tell()
		case "problem":
			tell()
			if r.missing != nil || !strings.Contains(row[1], "holds the features") && !strings.Contains(row[1], onnx.ErrNoImageInput.Error()) {
				out = append(out, row)
			}
		default:
			out = append(out, row)
		}
	}
	tell()
	return out
}
