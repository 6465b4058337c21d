package data

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// studioTask is an image of Label Studio, of the form JSON or, without Data, JSON-MIN.
type studioTask struct {
	ID          number
	Data        map[string]json.RawMessage
	Annotations []struct {
		Result    []studioResult
		Cancelled bool `json:"was_cancelled"`
	}
	fields map[string]json.RawMessage
}

// studioResult is what was drawn: in JSON-MIN its value itself.
type studioResult struct {
	studioValue
	Value  studioValue
	Width  number `json:"original_width"`
	Height number `json:"original_height"`
	Type   string
}

// studioValue is a shape, in percent of the image's sides, and its labels.
type studioValue struct {
	X, Y, Width, Height *float64
	Rotation            float64
	Points              [][]float64
	RectangleLabels     []string
	PolygonLabels       []string
	BrushLabels         []string
	EllipseLabels       []string
	KeypointLabels      []string
	Labels              []string
	Choices             []string
}

// UnmarshalJSON keeps the fields of the task, whose names the user chooses in JSON-MIN.
func (t *studioTask) UnmarshalJSON(b []byte) error {
	type plain studioTask
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	return json.Unmarshal(b, &t.fields)
}

// labels are those of a shape.
func (v *studioValue) labels() []string {
	return slices.Concat(v.RectangleLabels, v.PolygonLabels, v.BrushLabels, v.EllipseLabels, v.KeypointLabels, v.Labels)
}

// image is the address of the task's image.
func (t *studioTask) image() string {
	fields := t.Data
	if fields == nil {
		fields = t.fields
	}
	keys := slices.Sorted(maps.Keys(fields))
	if i := slices.Index(keys, "image"); i > 0 {
		keys = slices.Insert(slices.Delete(keys, i, i+1), 0, "image")
	}
	for _, key := range keys {
		var text string
		if json.Unmarshal(fields[key], &text) == nil && featurize.IsImageName(strings.TrimPrefix(path.Base(text), ".")) {
			return text
		}
	}
	return ""
}
