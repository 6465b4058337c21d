package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// verifyFlag asks for an independent reading of what a verb writes. It is not
// done unasked, since it takes more than a tenth of the verb's time and memory:
// rtx import of a ResNet-50 takes 2.3 times as long with it, and 126 MB instead
// of 48 (go run ./cli/bench -only verify).
func verifyFlag() cli.Flag {
	return toggle("verify", "have a second reader, onnx-go, read the file that was written, and compare; doubles time and memory")
}

// verification is what an independent reading of a file found.
type verification struct {
	Reader string `json:"reader"`
	*verify.Result
	Differences []verify.Difference `json:"differences"`
	Seconds     float64             `json:"seconds"`
}

// verifyModel has onnx-go read a file and compares it with the model that it
// should hold. A difference is an error, beside the verification.
func verifyModel(ctx context.Context, path string, m *onnx.Model) (*verification, error) {
	start := time.Now()
	r, err := verify.File(ctx, path, m)
	if r == nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // which signal it was
		}
		return nil, err
	}
	v := &verification{Reader: "onnx-go", Result: r, Differences: []verify.Difference{}, Seconds: time.Since(start).Seconds()}
	var different *verify.DifferenceError
	if errors.As(err, &different) {
		v.Differences = different.Differences
	}
	return v, err
}

// String says what was compared.
func (v *verification) String() string {
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

// undecoded is a line for each reason why parts were not compared, with the
// names of the first of them.
func (v *verification) undecoded() []string {
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

// rows are those of a table.
func (v *verification) rows() [][2]string {
	rows := [][2]string{{"verified", v.String()}}
	for _, text := range v.undecoded() {
		rows = append(rows, [2]string{"not verified", text})
	}
	for _, d := range v.Differences {
		rows = append(rows, [2]string{"different", d.String()})
	}
	return rows
}

// noteVerified tells a person what was compared, and what of the graph and its
// weights was not; nil is no verification.
func (e *env) noteVerified(v *verification) {
	if v == nil {
		return
	}
	e.note("verified: %s", v)
	for _, text := range v.undecoded() {
		e.note("not verified: %s", text)
	}
}
