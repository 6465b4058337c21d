package graph_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// roiCase is a case of testdata/roialign.json: RoIAlign of a pyramid.
type roiCase struct {
	graph.RoIAlign
	levels []array
	tensor map[string]array
}

// roiCases reads what testdata/roialign.py computed with torchvision.
func roiCases(t *testing.T) (out []roiCase) {
	t.Helper()
	var all struct {
		Strides []int
		Size    int
		Levels  []array
		Cases   []json.RawMessage
	}
	text, err := os.ReadFile("testdata/roialign.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all.Cases) < 8 {
		t.Fatal("testdata/roialign.json: ", err)
	}
	for _, raw := range all.Cases {
		c := roiCase{graph.RoIAlign{Strides: all.Strides, Size: all.Size}, all.Levels, nil}
		c.tensor = decode(t, raw, &c.RoIAlign)
		out = append(out, c)
	}
	return out
}

// rois are the inputs that the op and its gradient share.
func (c roiCase) rois() []array {
	return []array{c.tensor["boxes"], c.tensor["images"], c.tensor["bounds"]}
}

func (c roiCase) String() string {
	return fmt.Sprintf("aligned %v, sampling %d, bounds %v", c.Aligned, c.Sampling, c.tensor["bounds"].Data)
}

func TestRoIAlignAsTorchvision(t *testing.T) {
	for _, c := range roiCases(t) {
		t.Run(c.String(), func(t *testing.T) {
			near(t, "y", run(t, c.RoIAlign, slices.Concat(c.levels, c.rois())...), c.tensor["y"])
			for l, level := range c.levels {
				o := graph.RoIAlignGradient{RoIAlign: c.RoIAlign, Level: l, Shape: level.Shape}
				near(t, fmt.Sprint("dx", l), run(t, o, slices.Concat([]array{c.tensor["dy"]}, c.rois())...), c.tensor[fmt.Sprint("dx", l)])
			}
		})
	}
}
