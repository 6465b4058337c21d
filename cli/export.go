package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/verify"
)

func exportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write a model as weights for PyTorch, or as other ONNX", ArgsUsage: "FILE",
		Description: "FILE is a model that rtx import made, a checkpoint or a name. safetensors holds every\n" +
			"parameter and buffer under the names that the checkpoint had, for load_state_dict with\n" +
			"strict=True. ONNX files may get other outputs: logits, features, c2 to c5 (the deepest\n" +
			"feature map of stride 4 to 32) or any value of the graph. A detector becomes one file\n" +
			"that finds objects in images of any size, with the outputs boxes, labels, scores and masks.",
		Flags: append([]cli.Flag{
			text("out", "", "the `FILE` to write", "o"),
			text("to", "", "`KIND` of file: onnx or safetensors (default: by the name of OUT)"),
			text("names", "checkpoint", "`WHOSE` names the weights have: checkpoint or torchvision"),
			text("outputs", "", "`NAMES` of the outputs, with commas between: logits, features, c2 and so on, or values of the graph"),
			toggle("embed-preprocess", "take uint8 pixels [N,H,W,3], and scale and normalise them in the graph"),
			toggle("fold-bn", "make batch norms part of the convolutions before them"),
			text("precision", "fp32", "fp32, or fp16 for convolutions and matrix products"),
			number("opset", onnx.Opset, "the operator set `N` of the ONNX file"),
			useFlag(),
			verifyFlag(),
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "replace a file that is there"),
		}, deployFlags()...),
		Action: func(c *cli.Context) error { return e.export(c) },
	}
}

func (e *env) export(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	to, err := exportKind(c)
	if err != nil {
		return err
	}
	m, err := e.openModel(c.Args().First())
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	out := target{"out", c.String("out"), c.Bool("overwrite"), append(m.Files(), c.Args().First())}
	if err := out.check(); err != nil {
		return err
	}
	own := object{{"to", to}}
	if to == "safetensors" {
		n, err := exportWeights(ctx, m, out, c.String("names") == "torchvision")
		if err != nil {
			return err
		}
		own = append(own, object{{"tensors", n}}...)
		if note := partNote(m); note != "" {
			e.note("%s", note)
		}
	} else {
		written, err := e.exportModel(ctx, c, m, out)
		if err != nil {
			return err
		}
		own = append(own, written...)
	}
	if e.json {
		e.print(e.result("rtx.export/1", "done", c.String("out"), own))
		return nil
	}
	fmt.Fprintln(e.stdout, c.String("out"))
	return nil
}

// partNote says what of a checkpoint is not among the weights of its model, "" where
// that is nothing.
func partNote(m *onnx.Model) string {
	spec, _, err := m.Spec()
	if err != nil || spec.Source == nil {
		return ""
	}
	var parts []string
	if n := spec.Source.LeftOut; n > 0 {
		parts = append(parts, fmt.Sprintf("without %s that lay beside it in %s", tensors(n), spec.Source.File))
	}
	if n := spec.Source.Computed; n > 0 {
		parts = append(parts, fmt.Sprintf("of which %d are computed of the tensors that %s holds for each", n, spec.Source.File))
	}
	if spec.Head == nil && spec.Detect == nil {
		parts = append(parts, "without a head")
	}
	if parts == nil {
		return ""
	}
	return "these are the weights of the network alone, " + strings.Join(parts, ", ")
}

// exportModel writes the model as an ONNX file, and returns the part of the result
// that describes it.
func (e *env) exportModel(ctx context.Context, c *cli.Context, m *onnx.Model, out target) (object, error) {
	m, err := exportGraph(c, m)
	if err != nil {
		return nil, err
	}
	use, err := newScript("use", c.String("use"), m, out)
	if err != nil {
		return nil, err
	}
	besides, err := newBesides(c, m, out)
	if err != nil {
		return nil, err
	}
	if err := out.write(ctx, m.Write); err != nil {
		return nil, err
	}
	if err := use.write(ctx); err != nil {
		return nil, err
	}
	for _, b := range besides {
		if err := b.to.write(ctx, b.write); err != nil {
			return nil, err
		}
	}
	info := m.Inspect()
	own := append(object{{"inputs", info.Inputs}, {"outputs", info.Outputs}, {"opset", m.Opset()}}, use.fields()...)
	e.note("outputs %s", outputsOf(info))
	defer use.tell(e)
	if c.Bool("verify") {
		v, err := verify.NewReport(ctx, out.name, m)
		if err != nil {
			return nil, err
		}
		own = append(own, object{{"verify", v}}...)
		e.noteVerified(v)
	}
	return own, nil
}

// exportKind checks the flags and returns the kind of file to write.
func exportKind(c *cli.Context) (string, error) {
	const usage = "rtx export MODEL -o OUT.onnx|OUT.safetensors"
	if c.NArg() != 1 {
		return "", &usageError{msg: fmt.Sprintf("export takes one model, found %d", c.NArg()), hint: usage}
	}
	if c.String("out") == "" {
		return "", &usageError{msg: "--out is missing", hint: usage}
	}
	to := c.String("to")
	if to == "" {
		to = strings.TrimPrefix(filepath.Ext(c.String("out")), ".")
	}
	if to != "onnx" && to != "safetensors" {
		return "", &usageError{msg: fmt.Sprintf("--to is %q, expected onnx or safetensors", to), hint: usage}
	}
	if err := oneOf("precision", c.String("precision"), "fp32", "fp16"); err != nil {
		return "", err
	}
	if err := oneOf("names", c.String("names"), "checkpoint", "torchvision"); err != nil {
		return "", err
	}
	graph := append([]string{"outputs", "embed-preprocess", "fold-bn", "precision", "opset", "verify", "use", "triton"}, detectorOnly...)
	if to == "onnx" {
		graph = []string{"names"}
	}
	for _, name := range graph {
		if c.IsSet(name) {
			return "", &usageError{msg: fmt.Sprintf("--%s means nothing for %s", name, to)}
		}
	}
	return to, nil
}

// exportGraph applies the changes to the graph that the flags ask for.
func exportGraph(c *cli.Context, m *onnx.Model) (*onnx.Model, error) {
	if isDetector(m) {
		return exportDetector(c, m)
	}
	for _, name := range detectorOnly {
		if c.IsSet(name) {
			return nil, &usageError{msg: fmt.Sprintf("--%s goes with detectors, and %q is none", name, c.Args().First()), hint: "leave it out"}
		}
	}
	m, err := m.Normalize()
	if err != nil {
		return nil, err
	}
	if names := c.String("outputs"); names != "" {
		if m, err = expose(m, names); err != nil {
			return nil, err
		}
	}
	if c.Bool("fold-bn") {
		if m, err = m.FoldBatchNorm(); err != nil {
			return nil, err
		}
	}
	if c.String("precision") == "fp16" {
		if m, err = m.Float16(); err != nil {
			return nil, err
		}
	}
	if c.Bool("embed-preprocess") {
		spec, _, err := m.Spec()
		if err != nil {
			return nil, err
		}
		if m, err = m.WithPreprocess(spec); err != nil {
			return nil, err
		}
	}
	if m, err = m.WithOpset(int64(c.Int("opset"))); err != nil {
		return nil, &usageError{msg: err.Error(), hint: "another --opset"}
	}
	return m, nil
}

// expose gives a model the outputs of --outputs.
func expose(m *onnx.Model, names string) (*onnx.Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	outputs := strings.Split(names, ",")
	for i := range outputs {
		outputs[i] = strings.TrimSpace(outputs[i])
	}
	c, err := m.WithOutputs(outputs...)
	if err == nil || errors.Is(err, onnx.ErrNoLogits) || errors.Is(err, onnx.ErrFormat) {
		return c, err
	}
	hint := "rtx inspect shows the model"
	if levels := spec.Pyramid(); len(levels) > 0 {
		hint = "logits, features, " + strings.Join(slices.Sorted(maps.Keys(levels)), ", ") + ", or a value that rtx inspect --values lists"
	}
	var value *onnx.ValueError
	if errors.As(err, &value) {
		hint = suggest(value.Value, value.Values, hint)
	}
	return nil, &usageError{msg: err.Error(), hint: hint}
}

// exportWeights writes the state_dict of a model and returns how many tensors it
// has.
func exportWeights(ctx context.Context, m *onnx.Model, out target, torchvision bool) (n int, err error) {
	if isDetector(m) {
		if m, err = detect.Core(m); err != nil {
			return 0, err
		}
	}
	weights, err := checkpoint.Weights(m, torchvision)
	if err != nil {
		if x := (*arch.Mismatch)(nil); errors.As(err, &x) {
			return 0, hinted{err, "weights come back from a model that rtx import made without --fold-bn"}
		}
		return 0, hinted{err, "weights come back from a model that rtx import made"}
	}
	return len(weights.Tensors), out.write(ctx, weights.Write)
}

func outputsOf(i onnx.Info) string {
	var out []string
	for _, v := range i.Outputs {
		out = append(out, fmt.Sprintf("%s %s [%s]", v.Name, v.DType, strings.Join(v.Shape, ",")))
	}
	return strings.Join(out, ", ")
}
