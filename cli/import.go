package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/verify"
)

func importCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make an ONNX model of a PyTorch checkpoint", ArgsUsage: "CKPT",
		Description: "CKPT is a .pt, .pth, .th, .ckpt or .safetensors file, which may be compressed by gzip, or\n" +
			"the name of a checkpoint that rtx models get fetched. Nothing in it is executed. Its\n" +
			"normalisation becomes part of the graph. An ONNX file as CKPT gets the names, versions\n" +
			"and Spec that rtx's models have. A detector becomes one file that finds objects in images\n" +
			"of any size.",
		Flags: slices.Concat([]cli.Flag{
			text("out", "", "the ONNX `FILE` to write", "o"),
			text("arch", "auto", "the `NAME` of the architecture; auto recognises it"),
			toggle("no-normalize", "leave normalisation out of the graph, and say in the Spec what it is"),
			toggle("fold-bn", "make batch norms part of the convolutions before them"),
			number("index", -1, "which network `K` of a file that holds several, from 0 on; -1: the only one, or the first that is no copy"),
			text("labels", "", "`FILE` of the classes' names in their order, one a line"),
			text("bn-eps", "auto", "what a detector's frozen batch norms add to variances: `EPS`, or auto for 1e-5, and 0 for files that torchvision released for it"),
			text("key-map", "", "write what each tensor was called in the checkpoint to this CSV `FILE`"),
		}, inputFlags(), []cli.Flag{
			useFlag(),
			verifyFlag(),
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "replace files that are there"),
		}),
		Action: func(c *cli.Context) error { return e.importModel(c) },
	}
}

// importOptions are the flags of rtx import.
type importOptions struct {
	Out          string `flag:"out"`
	Arch         string `flag:"arch"` // "": recognised
	NoNormalize  bool   `flag:"no-normalize"`
	FoldBN       bool   `flag:"fold-bn"`
	Index        int    `flag:"index"`
	Labels       string `flag:"labels"`
	BatchNormEps string `flag:"bn-eps"`
	KeyMap       string `flag:"key-map"`
	Use          string `flag:"use"`
	inputOptions
	Overwrite bool `flag:"overwrite"`
	Verify    bool `flag:"verify"`
}

// importing is one call of rtx import.
type importing struct {
	*env
	importOptions
	path   string // of the file
	claim  *assets.Checkpoint
	kind   checkpoint.Kind
	labels []string
	out    target
	keys   target // of --key-map
}

// converted is the model of rtx import; imported is nil where it is made of an
// ONNX file.
type converted struct {
	model    *onnx.Model
	imported *checkpoint.Imported
	notes    []string
	verified *verify.Report // nil: not asked for
	use      *script
}

func (e *env) importModel(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	v, err := e.parseImport(c)
	if err != nil {
		return err
	}
	made, err := v.convert()
	if err != nil {
		return err
	}
	if made.imported != nil {
		defer made.imported.Close()
	}
	if v.FoldBN {
		if made.model, err = made.model.FoldBatchNorm(); err != nil {
			return err
		}
	}
	if made.model, err = deployable(made.model); err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	if err := v.checkKeys(made); err != nil {
		return err
	}
	v.out.inputs = append(v.out.inputs, made.model.Files()...)
	if made.use, err = newScript("use", v.Use, made.model, v.out); err != nil {
		return err
	}
	status, err := saveModel(ctx, made.model, v.out)
	if err == nil {
		err = made.use.write(ctx)
	}
	if err != nil {
		return err
	}
	if made.imported != nil {
		made.notes = append(made.notes, defects(made.imported)...)
	}
	if v.Verify {
		if made.verified, err = verify.NewReport(ctx, v.Out, made.model); err != nil {
			return err
		}
	}
	if v.KeyMap != "" && !v.keys.holds(made.imported.WriteKeyMap) {
		if err := v.keys.write(ctx, made.imported.WriteKeyMap); err != nil {
			return err
		}
	}
	return v.report(made, status)
}

// checkKeys looks at the file of --key-map, which may hold the names already.
func (v *importing) checkKeys(made *converted) error {
	if v.KeyMap == "" || v.keys.holds(made.imported.WriteKeyMap) {
		return nil
	}
	return v.keys.check()
}

// parseImport reads the flags.
func (e *env) parseImport(c *cli.Context) (*importing, error) {
	const usage = "rtx import CKPT -o MODEL.onnx"
	v := &importing{env: e}
	readOptions(c, &v.importOptions)
	if c.NArg() != 1 {
		return nil, &usageError{msg: fmt.Sprintf("import takes one checkpoint, found %d", c.NArg()), hint: usage}
	}
	err := required(usage, "out", v.Out)
	if err == nil {
		err = checkIndex(v.Index)
	}
	if err == nil {
		v.labels, err = readLabels(v.Labels)
	}
	if v.Arch == "auto" {
		v.Arch = ""
	}
	if all := slices.Concat(arch.Names, arch.Detectors); err == nil && v.Arch != "" && !slices.Contains(all, v.Arch) {
		err = &usageError{msg: fmt.Sprintf("--arch is %q", v.Arch), hint: suggest(v.Arch, all, "one of auto, "+strings.Join(arch.Names, ", ")+", or a detector, such as "+arch.Detectors[0])}
	}
	if err == nil {
		_, err = v.batchNormEps()
	}
	if err == nil {
		v.path, v.claim, v.kind, err = e.modelKind(c.Args().First())
	}
	v.out = target{"out", v.Out, v.Overwrite, []string{v.path, v.Labels}}
	v.keys = target{"key-map", v.KeyMap, v.Overwrite, append(v.out.inputs, v.Out)}
	if err == nil {
		err = v.out.spare(v.out.inputs...)
	}
	if err != nil {
		return nil, err
	}
	return v, v.checkKind(c)
}

// checkKind refuses flags that mean nothing for the kind of file.
func (v *importing) checkKind(c *cli.Context) error {
	flags, says := []string{"range", "channels"}, "--%s goes with an ONNX file, and %q is a PyTorch checkpoint: the model that is made takes RGB in 0..1"
	if !v.kind.Checkpoint() {
		flags, says = []string{"arch", "index", "key-map", "bn-eps"}, "--%s goes with a PyTorch checkpoint, and %q is an ONNX file"
	}
	for _, name := range flags {
		if c.IsSet(name) {
			return &usageError{msg: fmt.Sprintf(says, name, v.path)}
		}
	}
	return nil
}

// checkIndex looks at --index, which is -1 where it is not given.
func checkIndex(n int) error {
	if n < -1 {
		return &usageError{msg: fmt.Sprintf("--index is %d, expected a number from 0 on", n)}
	}
	return nil
}

// convert makes the model.
func (v *importing) convert() (*converted, error) {
	if !v.kind.Checkpoint() {
		return v.adopt()
	}
	ckpt, err := checkpoint.Open(v.path, v.Index)
	if err != nil {
		return nil, err
	}
	eps, err := v.batchNormEps()
	if err != nil {
		return nil, err
	}
	im, err := ckpt.Import(checkpoint.Config{
		Arch: v.Arch, Labels: v.labels, NormalizeOutside: v.NoNormalize, Change: v.change, Claim: claimOf(v.claim), BatchNormEps: eps,
	})
	var labels *checkpoint.LabelsError
	if errors.As(err, &labels) {
		err = &usageError{msg: fmt.Sprintf("--labels names %d classes, and the checkpoint has %d", labels.Labels, labels.Classes)}
	}
	if err != nil {
		ckpt.Close()
		return nil, err
	}
	if im.Spec.NormalizeOutside = v.NoNormalize && im.Spec.Mean != nil; im.Spec.NormalizeOutside {
		if im.Model, err = im.Model.WithSpec(im.Spec); err != nil {
			ckpt.Close()
			return nil, err
		}
	}
	return &converted{model: im.Model, imported: im, notes: importNotes(im)}, nil
}

// change applies the flags to the Spec that the checkpoint would get.
func (v *importing) change(s *onnx.Spec) error {
	normalized := s.Normalized
	if err := v.checkDetector(s); err != nil {
		return err
	}
	if err := v.override(s); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return &usageError{msg: err.Error(), hint: "the flags --input-size, --resize and --crop must agree"}
	}
	if normalized && !s.Normalized {
		return &usageError{msg: "--normalize would normalise twice: " + s.Arch + " normalises its input itself, by its buffers"}
	}
	return nil
}

// adopt gives a foreign ONNX file the names, versions and Spec of rtx's models.
func (v *importing) adopt() (*converted, error) {
	m, err := v.openModel(v.path)
	if err != nil {
		return nil, err
	}
	v.rewrites = true
	spec, assumed, err := v.modelSpec(v.inputOptions, v.path, m)
	if err != nil {
		return nil, err
	}
	if v.NoNormalize && spec.Normalized {
		return nil, &usageError{msg: fmt.Sprintf("--no-normalize: %q normalises its input itself", v.path), hint: "rtx inspect shows the nodes"}
	}
	spec.NormalizeOutside = v.NoNormalize
	made := &converted{}
	if !assumed {
		made.notes = append(made.notes, "it has a Spec, which the flags change")
	}
	made.model, err = checkpoint.Adopt(m, spec, v.labels)
	return made, err
}

// report tells what a model was made of.
func (v *importing) report(made *converted, status string) error {
	spec, _, err := made.model.Spec()
	if err != nil {
		return err
	}
	classes := made.model.ClassCount()
	if spec.Detect != nil {
		classes = len(spec.Detect.Classes)
	}
	own := object{{"arch", spec.Arch}, {"classes", classes}, {"spec", spec}, {"notes", list(made.notes)}}
	if im := made.imported; im != nil {
		n := im.Network
		own = append(own, object{
			{"format", im.File.Format}, {"layout", n.Layout}, {"tensors", len(n.Tensors)}, {"dropped", list(n.Dropped)},
			{"networks", list(im.Networks)}, {"index", im.Index}, {"head", list(im.Head)}, {"beside", list(im.Beside())}, {"computed", list(n.Computed)},
			{"skipped", list(n.Skipped)}, {"fields", list(im.File.Fields())}, {"not_executed", list(im.File.Classes())},
		}...)
	}
	own = append(own, made.use.fields()...)
	if made.verified != nil {
		own = append(own, object{{"verify", made.verified}}...)
	}
	if v.json {
		v.print(v.result("rtx.import/1", status, v.Out, own))
		return nil
	}
	if im := made.imported; im != nil {
		v.note("%s, %d tensors: %s, %s", summary(im), len(im.Network.Tensors), im.File.Format, im.Network.Layout)
		if inert := im.File.Classes(); len(inert) > 0 {
			v.note("%d classes of the pickle were read as data and not executed; rtx inspect lists them", len(inert))
		}
	}
	for _, n := range made.notes {
		v.note("%s", n)
	}
	if status == "cached" {
		v.note("nothing to do: it is there")
	}
	v.noteVerified(made.verified)
	made.use.tell(v.env)
	fmt.Fprintln(v.stdout, v.Out)
	return nil
}
