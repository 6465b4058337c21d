package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/verify"
)

func inspectCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "tell what a model or checkpoint holds and expects", ArgsUsage: "FILE",
		Flags: []cli.Flag{
			number("index", -1, "which network `K` of a checkpoint that holds several, from 0 on; -1: the only one, or the first that is no copy"),
			toggle("verify", "compare with what a second reader, onnx-go, finds in an ONNX file, and tell what it cannot decode"),
			toggle("values", "list what the network computes, which --layer and --outputs may name; a checkpoint is imported into the cache"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := e.begin(c); err != nil {
				return err
			}
			if c.NArg() != 1 {
				return &usageError{msg: fmt.Sprintf("inspect takes one file, found %d", c.NArg()), hint: "rtx inspect MODEL.onnx"}
			}
			index := c.Int("index")
			if err := checkIndex(index); err != nil {
				return err
			}
			path, claim, kind, err := e.modelKind(c.Args().First())
			if err != nil {
				return err
			}
			if c.Bool("values") {
				if index >= 0 || c.Bool("verify") {
					return &usageError{msg: "--values goes without --index and --verify"}
				}
				return e.inspectValues(c.Args().First(), path)
			}
			if !kind.Checkpoint() {
				return e.inspectModel(c.Context, path, c.Bool("verify"))
			}
			if c.Bool("verify") {
				return &usageError{msg: fmt.Sprintf("--verify goes with an ONNX file, and %q is a PyTorch checkpoint", path)}
			}
			return e.inspectCheckpoint(path, claim, index)
		},
	}
}

// inspectModel prints what an ONNX file holds and, if asked, whether onnx-go reads
// the same from it.
func (e *env) inspectModel(ctx context.Context, path string, verified bool) error {
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	info := m.Inspect()
	if isDetector(m) {
		if _, err := detect.Core(m); err != nil {
			info.Problems = append(info.Problems, err.Error())
		}
	}
	detector := recognize(m)
	own, rows := append(inspectObject(info), detector.object()...), detector.rows(inspectTable(info))
	var failed error
	if verified {
		v, err := verify.NewReport(ctx, path, m)
		if v == nil {
			return err
		}
		own, rows, failed = append(own, object{{"verify", v}}...), append(rows, verifiedRows(v)...), err
	}
	if e.json && failed != nil {
		return partial{failed, e.result("rtx.inspect/1", "failed", "", own)}
	}
	if e.json {
		e.print(e.result("rtx.inspect/1", "done", "", own))
		return nil
	}
	e.table(rows)
	return failed
}

func inspectObject(i onnx.Info) object {
	return object{
		{"file", i.File}, {"sha256", i.SHA256}, {"producer", i.Producer}, {"ir_version", i.IRVersion}, {"opsets", i.Opsets},
		{"inputs", i.Inputs}, {"outputs", i.Outputs}, {"operators", i.Operators}, {"nodes", i.Nodes},
		{"parameters", i.Parameters}, {"weight_bytes", i.Bytes}, {"batch_norms", i.BatchNorms}, {"feature", i.Feature},
		{"classifier", i.Classifier}, {"detector", i.Detector},
		{"spec", i.Spec}, {"assumed", i.Assumed}, {"metadata", i.Metadata}, {"problems", i.Problems},
	}
}

func inspectTable(i onnx.Info) [][2]string {
	rows := [][2]string{{"file", i.File}, {"sha256", i.SHA256}, {"producer", i.Producer}}
	opsets := []string{fmt.Sprintf("IR %d", i.IRVersion)}
	for _, d := range slices.Sorted(maps.Keys(i.Opsets)) {
		opsets = append(opsets, fmt.Sprintf("%s %d", d, i.Opsets[d]))
	}
	rows = append(rows, [2]string{"versions", strings.Join(opsets, ", ")})
	for kind, values := range [][]onnx.ValueInfo{i.Inputs, i.Outputs} {
		for _, v := range values {
			rows = append(rows, [2]string{[]string{"input", "output"}[kind], fmt.Sprintf("%s %s [%s]", v.Name, v.DType, strings.Join(v.Shape, ","))})
		}
	}
	var operators []string
	for _, op := range slices.Sorted(maps.Keys(i.Operators)) {
		operators = append(operators, fmt.Sprintf("%s %d", op, i.Operators[op]))
	}
	rows = append(rows, [2]string{"nodes", fmt.Sprintf("%d: %s", i.Nodes, strings.Join(operators, ", "))},
		[2]string{"parameters", fmt.Sprintf("%d, %.1f MB", i.Parameters, float64(i.Bytes)/1e6)}, [2]string{"features", i.Feature})
	if i.Spec != nil && i.Spec.Detect != nil {
		rows = append(rows[:len(rows)-1], detectorRows(i.Spec)...)
	}
	if o := i.Classifier; o != nil && i.Detector == "" {
		rows = append(rows, [2]string{"answer", fmt.Sprintf("%s: %s", o.Output, o)})
		for _, n := range o.Notes {
			rows = append(rows, [2]string{"note", n})
		}
	}
	if i.Detector != "" && (i.Spec == nil || i.Spec.Detect == nil) {
		rows = append(rows, [2]string{"kind", i.Detector})
	}
	if s := i.Spec; s != nil {
		pixels := "mean " + fmt.Sprint(s.Mean) + ", std " + fmt.Sprint(s.Std)
		switch {
		case s.Normalized:
			pixels = "normalised inside the network"
		case s.NormalizeOutside:
			pixels += " outside: the normalisation is not in the graph, as --no-normalize asked"
		case len(s.Mean) == 0 && len(s.Std) == 0:
			pixels = "not normalised"
		}
		way := fmt.Sprintf("resized to %dx%d", s.InputSize[0], s.InputSize[1])
		switch {
		case s.Detect != nil:
			way = "images of any size"
		case s.Crop == "center":
			way = fmt.Sprintf("shorter side to %d, centre crop %dx%d", s.Resize, s.InputSize[0], s.InputSize[1])
		}
		rows = append(rows, [2]string{"expects", fmt.Sprintf("%s, %s, %s in %v, %s", way, s.Interpolation, s.Channels, s.Range, pixels)})
		if s.Arch != "" {
			rows = append(rows, [2]string{"arch", s.Arch})
		}
		if r := s.Robustness; r != nil {
			text := fmt.Sprintf("%s, eps %g", r.Norm, r.Eps)
			if r.Norm == "" {
				text = fmt.Sprintf("%.2f %% under attack, as the checkpoint says; threat model not known", 100*r.Accuracy)
			}
			rows = append(rows, [2]string{"robustness", text})
		}
	}
	for _, a := range i.Assumed {
		rows = append(rows, [2]string{"assumed", a})
	}
	for _, k := range slices.Sorted(maps.Keys(i.Metadata)) {
		rows = append(rows, [2]string{k, i.Metadata[k]})
	}
	for _, p := range i.Problems {
		rows = append(rows, [2]string{"problem", p})
	}
	return rows
}
