package cli

import (
	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx/verify"
)

// verifyFlag asks for an independent reading of what a verb writes. It is not the
// default, since it takes more than a tenth of the verb's time and memory: rtx
// import of a ResNet-50 takes 2.3 to 2.7 times as long with it, and 126 to 129 MB
// instead of 48 (go run ./cli/bench -only verify).
func verifyFlag() cli.Flag {
	return toggle("verify", "have a second reader, onnx-go, read the file that was written, and compare; takes two to three times the time and memory")
}

// verifiedRows are those of a table.
func verifiedRows(v *verify.Report) [][2]string {
	rows := [][2]string{{"verified", v.String()}}
	for _, text := range v.Reasons() {
		rows = append(rows, [2]string{"not verified", text})
	}
	for _, d := range v.Differences {
		rows = append(rows, [2]string{"different", d.String()})
	}
	return rows
}

// noteVerified tells a person what was compared, and what of the graph and its
// weights was not; nil is no verification.
func (e *env) noteVerified(v *verify.Report) {
	if v == nil {
		return
	}
	e.note("verified: %s", v)
	for _, text := range v.Reasons() {
		e.note("not verified: %s", text)
	}
}
