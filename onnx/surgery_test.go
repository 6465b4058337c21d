package onnx_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
)

// TestRenameRefuses names the first of several faults by name, every time.
func TestRenameRefuses(t *testing.T) {
	m := backbone(t)
	for range 50 {
		if _, err := m.Rename(map[string]string{"images": "logits", "features": "logits", "c": "logits"}); err == nil || !strings.Contains(err.Error(), `rename "c"`) {
			t.Fatal(err)
		}
	}
}

func TestCut(t *testing.T) {
	m := backbone(t)
	c, err := m.Cut("/l1/Relu_1_output_0")
	if err != nil {
		t.Fatal(err)
	}
	if n, all := len(c.Proto.Graph.Node), len(m.Proto.Graph.Node); n >= all/2 || len(c.Proto.Graph.Initializer) >= len(m.Proto.Graph.Initializer)/2 {
		t.Errorf("%d of %d nodes are left", n, all)
	}
	if bad := c.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	if len(m.Outputs()) != 2 || len(m.Validate()) > 0 {
		t.Error("the model itself was changed")
	}
	last := m.Proto.Graph.Node[len(m.Proto.Graph.Node)-1]
	last.Output = append(last.Output, "") // an optional output that is left out
	_, err = m.Cut("featurs")
	var e *onnx.ValueError
	if !errors.As(err, &e) || e.Value != "featurs" || !slices.Contains(e.Values, "features") || slices.Contains(e.Values, "") || !slices.IsSorted(e.Values) {
		t.Errorf("%v, %+v", err, e)
	}
}
