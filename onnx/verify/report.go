package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// Report is what File has found, as one value that is written as JSON.
type Report struct {
	Reader string `json:"reader"` // "onnx-go"
	*Result
	Differences []Difference `json:"differences"`
	Seconds     float64      `json:"seconds"`
}

// NewReport compares a file with a model, as File does. A difference is an error,
// beside the Report.
func NewReport(ctx context.Context, path string, m *onnx.Model) (*Report, error) {
	start := time.Now()
	r, err := File(ctx, path, m)
	if r == nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // which signal it was
		}
		return nil, err
	}
	v := &Report{Reader: "onnx-go", Result: r, Differences: []Difference{}, Seconds: time.Since(start).Seconds()}
	var different *DifferenceError
	if errors.As(err, &different) {
		v.Differences = different.Differences
	}
	return v, err
}

// String says what was compared.
func (v *Report) String() string {
	text := fmt.Sprintf("%s, %s, %s of %.1f MB, %s, %s", count(v.Nodes, "node"), count(v.Attributes, "attribute"), count(v.Weights, "weight"),
		float64(v.WeightBytes)/1e6, count(v.Inputs, "input"), count(v.Outputs, "output"))
	if n := len(v.Differences); n > 0 {
		return text + ": onnx-go reads " + count(n, "difference")
	}
	return text + fmt.Sprintf(": onnx-go reads the same, in %.2f s", v.Seconds)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Reasons is a line for each reason why parts were not compared, with the names
// of the first of them.
func (v *Report) Reasons() []string {
	const most = 12
	names := map[string][]string{}
	var reasons []string
	for _, u := range v.Undecoded {
		reason := fmt.Sprintf("%s, %s", u.Part, u.Why)
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], u.Name)
	}
	for i, reason := range reasons {
		all := names[reason]
		text := strings.Join(all[:min(most, len(all))], ", ")
		if more := len(all) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		reasons[i] = reason + ": " + text
	}
	return reasons
}
