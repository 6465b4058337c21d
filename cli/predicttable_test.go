package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// TestListed wants a table to hold every label that is predicted of an image, not the
// most probable one alone.
func TestListed(t *testing.T) {
	p := &predicting{names: []string{"a", "b;c", `d "e"`}}
	two := prediction{top: []metrics.Ranked{{Class: 2, Probability: 0.9}}, yes: []metrics.Ranked{{Class: 2, Probability: 0.9}, {Class: 1, Probability: 0.5}}}
	for want, j := range map[string]prediction{
		`["[\"d \\\"e\\\"\",\"b;c\"]" "[0.9,0.5]"]`: two, `["[]" "[]"]`: {top: two.top}, `["" ""]`: {err: errors.New("unusable")},
	} {
		got, err := p.listed(j)
		if err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%q, %v, want %s", got, err, want)
		}
	}
}
