package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch"
)

func importCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make an ONNX model of a PyTorch checkpoint", ArgsUsage: "CKPT",
		Description: "CKPT is a .pt, .pth, .th, .ckpt or .safetensors file, or the name of a checkpoint that\n" +
			"rtx models get fetched. Nothing in it is executed. Its normalisation becomes part of the\n" +
			"graph. An ONNX file as CKPT gets the names, versions and Spec that rtx's models have.",
		Flags: slices.Concat([]cli.Flag{
			text("out", "", "the ONNX `FILE` to write", "o"),
			text("arch", "auto", "the `NAME` of the architecture; auto recognises it"),
			toggle("no-normalize", "leave normalisation out of the graph, and say in the Spec what it is"),
			toggle("fold-bn", "make batch norms part of the convolutions before them"),
			number("index", -1, "which network `K` of a file that holds a list, from 0 on; -1: the only one"),
			text("labels", "", "`FILE` of the classes' names in their order, one a line"),
			text("key-map", "", "write what each tensor was called in the checkpoint to this CSV `FILE`"),
		}, inputFlags(), []cli.Flag{
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "replace another model in OUT"),
		}),
		Action: func(c *cli.Context) error { return e.importModel(c) },
	}
}

func (e *env) importModel(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	const usage = "rtx import CKPT -o MODEL.onnx"
	if c.NArg() != 1 {
		return &usageError{msg: fmt.Sprintf("import takes one checkpoint, found %d", c.NArg()), hint: usage}
	}
	if c.String("out") == "" {
		return &usageError{msg: "--out is missing", hint: usage}
	}
	index, err := networkIndex(c)
	if err != nil {
		return err
	}
	labels, err := readLabels(c.String("labels"))
	if err != nil {
		return err
	}
	path, entry, kind, err := e.modelKind(c.Args().First())
	if err != nil {
		return err
	}
	if name := c.String("key-map"); name != "" {
		if err := spared("key-map", name, path, c.String("out")); err != nil {
			return err
		}
	}
	var im *imported
	if isCheckpoint(kind) {
		for _, name := range []string{"range", "channels"} {
			if c.IsSet(name) {
				return &usageError{msg: fmt.Sprintf("--%s goes with an ONNX file, and %q is a PyTorch checkpoint: the network that is made takes RGB in 0..1", name, path)}
			}
		}
		im, err = readCheckpoint(path, entry, importConfig{
			arch: c.String("arch"), index: index, labels: labels, inGraph: !c.Bool("no-normalize"),
			override: readInputOptions(c).override,
		})
	} else {
		im, err = e.adoptONNX(c, path, labels)
	}
	if err != nil {
		return err
	}
	defer im.close()
	if c.Bool("fold-bn") {
		if im.model, err = im.model.FoldBatchNorm(); err != nil {
			return err
		}
	}
	ctx, stop := interruptible()
	defer stop()
	status, err := saveModel(ctx, im.model, c.String("out"), c.Bool("overwrite"))
	if err != nil {
		return err
	}
	im.notes = append(im.notes, im.odd.notes()...)
	if name := c.String("key-map"); name != "" {
		if err := writeKeyMap(ctx, name, im.network); err != nil {
			return err
		}
	}
	return e.reportImport(c, im, status)
}

// networkIndex is which network --index chooses, -1 where it is not given.
func networkIndex(c *cli.Context) (int, error) {
	n := c.Int("index")
	if n < -1 {
		return 0, &usageError{msg: fmt.Sprintf("--index is %d, expected a number from 0 on", n)}
	}
	return n, nil
}

// importConfig is how a checkpoint becomes a model.
type importConfig struct {
	arch     string // auto: recognised
	index    int    // below 0: the file holds one network
	labels   []string
	inGraph  bool                   // normalisation
	override func(*onnx.Spec) error // what the user knows better
}

// imported is a model and where it is from. Its weights are read from the
// checkpoint until close.
type imported struct {
	model   *onnx.Model
	spec    onnx.Spec
	network *torch.Network // nil: from an ONNX file
	tensors []onnx.Tensor  // of the network, named as in the checkpoint
	file    *torch.File
	odd     oddWeights // among those that were written
	notes   []string
}

func (im *imported) close() {
	if im.file != nil {
		im.file.Close()
	}
}

// readCheckpoint makes a model of a checkpoint. Only its structure, and weights
// that are there twice, are read.
func readCheckpoint(path string, claim *assets.Checkpoint, c importConfig) (*imported, error) {
	sum := make(chan error, 1)
	source := &onnx.Source{File: filepath.Base(path)}
	go func() {
		var err error
		source.SHA256, err = fileSum(path)
		sum <- err
	}()
	im, err := openCheckpoint(path, c.index)
	if err != nil {
		return nil, err
	}
	err = im.recognise(claim, c)
	if e := <-sum; err == nil {
		err = e
	}
	if err == nil {
		im.spec.Source = source
		im.model, err = im.model.WithSpec(im.spec)
	}
	if err != nil {
		im.close()
		if usage := (*usageError)(nil); !errors.As(err, &usage) {
			err = fmt.Errorf("%q: %w", path, err)
		}
		return nil, err
	}
	return im, nil
}

// openCheckpoint finds the network in a checkpoint.
func openCheckpoint(path string, index int) (*imported, error) {
	f, err := torch.Open(path)
	if err != nil {
		return nil, err
	}
	n, err := f.Network(index)
	if err != nil {
		f.Close()
		err = fmt.Errorf("%q: %w", path, err)
		if errors.Is(err, torch.ErrIndex) {
			err = hinted{err, "rtx import --index chooses one"}
		}
		return nil, err
	}
	return &imported{file: f, network: n}, nil
}

// recognise makes the model of the network.
func (im *imported) recognise(claim *assets.Checkpoint, c importConfig) error {
	name, err := c.arch, error(nil)
	if name == "auto" {
		if name, err = im.detect(); err != nil {
			return hinted{err, "rtx inspect lists its tensors; rtx import --arch NAME compares them with one architecture"}
		}
	} else if !slices.Contains(arch.Names, name) {
		return &usageError{msg: fmt.Sprintf("--arch is %q", name), hint: suggest(name, arch.Names, "one of auto, "+strings.Join(arch.Names, ", "))}
	}
	im.keyed()
	im.tensors = slices.Clone(im.tensors)
	for i, t := range im.tensors {
		im.tensors[i] = im.odd.watch(t)
	}
	if im.model, err = im.build(name, c); err != nil {
		return err
	}
	if im.spec, _, err = im.model.Spec(); err != nil || claim == nil {
		return err
	}
	if claim.Norm != "" {
		im.spec.Robustness = &onnx.Robustness{Norm: claim.Norm, Eps: claim.Eps}
	}
	return claim.Check(name, classes(im.model))
}

// detect names the architecture. A normalizer may be part of the network.
func (im *imported) detect() (string, error) {
	n := im.network
	name, err := arch.Recognize(n.Tensors)
	if err == nil || len(n.Normalizer) == 0 {
		return name, err
	}
	all := append(slices.Clone(n.Normalizer), n.Tensors...)
	if name, e := arch.Recognize(all); e == nil {
		n.Tensors, n.Mean, n.Std, n.Clamp = all, nil, nil, false
		n.Dropped = slices.DeleteFunc(n.Dropped, func(d torch.Drop) bool { return d.Why == "normalizer" })
		return name, nil
	}
	return "", err
}

// keyed gives the tensors the names that they have in the checkpoint, for the
// Spec to keep, where these have one prefix.
func (im *imported) keyed() {
	all := slices.Clone(im.network.Tensors)
	for i, t := range all {
		if key := im.network.Keys[t.Name]; key != "" {
			all[i].Name = key
		}
	}
	if _, err := arch.Recognize(all); err == nil {
		im.tensors = all
		return
	}
	im.tensors = im.network.Tensors
}

// build makes the model with the normalisation that the user, the checkpoint
// or the architecture names, in this order.
func (im *imported) build(name string, c importConfig) (*onnx.Model, error) {
	n := im.network
	cfg := arch.Config{Mean: n.Mean, Std: n.Std}
	if n.Clamp {
		cfg.Clamp = []float64{0, 1}
	}
	plain, err := arch.Build(name, im.tensors, cfg)
	if err != nil {
		return nil, err
	}
	spec, _, err := plain.Spec()
	if err != nil {
		return nil, err
	}
	if k := classes(plain); c.labels != nil && len(c.labels) != k {
		return nil, &usageError{msg: fmt.Sprintf("--labels names %d classes, and the checkpoint has %d", len(c.labels), k)}
	}
	before := spec
	if c.override != nil {
		if err := c.override(&spec); err != nil {
			return nil, err
		}
		if err := spec.Check(); err != nil {
			return nil, &usageError{msg: err.Error(), hint: "the flags --input-size, --resize and --crop must agree"}
		}
		if before.Normalized && !spec.Normalized {
			return nil, &usageError{msg: "--normalize would normalise twice: " + name + " normalises its input itself, by its buffers"}
		}
	}
	switch {
	case spec.Normalized:
		im.notes = append(im.notes, "it normalises its input itself")
	case spec.Mean == nil:
		im.notes = append(im.notes, "no normalisation")
	case n.Mean == nil && slices.Equal(spec.Mean, before.Mean):
		im.notes = append(im.notes, fmt.Sprintf("the checkpoint has no mean and std: those that %s is published with, %v and %v", name, spec.Mean, spec.Std))
	}
	cfg.Mean, cfg.Std, cfg.InputSize, cfg.Labels = spec.Mean, spec.Std, spec.InputSize, c.labels
	cfg.Normalize = c.inGraph && !spec.Normalized && spec.Mean != nil
	m, err := arch.Build(name, im.tensors, cfg)
	if err != nil {
		return nil, err
	}
	made, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	made.Resize, made.Crop, made.Interpolation = spec.Resize, spec.Crop, spec.Interpolation
	if !cfg.Normalize && spec.Mean == nil {
		made.Mean, made.Std = nil, nil
	}
	return m.WithSpec(made)
}

// classes is the number of a classifier's logits, 0 where it has none.
func classes(m *onnx.Model) int {
	for _, o := range m.Outputs() {
		if o.Name == "logits" && len(o.Shape) == 2 {
			return int(o.Shape[1].Size)
		}
	}
	return 0
}

// adoptONNX gives a foreign ONNX file what rtx's models have.
func (e *env) adoptONNX(c *cli.Context, path string, labels []string) (*imported, error) {
	for _, name := range []string{"arch", "index", "key-map", "no-normalize"} {
		if c.IsSet(name) {
			return nil, &usageError{msg: fmt.Sprintf("--%s goes with a PyTorch checkpoint, and %q is an ONNX file", name, path)}
		}
	}
	m, err := e.openModel(path)
	if err != nil {
		return nil, err
	}
	spec, assumed, err := e.modelSpec(readInputOptions(c), m)
	if err != nil {
		return nil, err
	}
	im := &imported{}
	if !assumed {
		im.notes = append(im.notes, "it has a Spec, which the flags change")
	}
	if m, err = m.WithSpec(spec); err != nil {
		return nil, err
	}
	if im.model, err = m.Adopt(); err != nil {
		return nil, err
	}
	if labels != nil {
		text, err := json.Marshal(labels)
		if err != nil {
			return nil, err
		}
		im.model = im.model.WithMetadata("classes", string(text))
	}
	if im.spec, _, err = im.model.Spec(); err != nil {
		return nil, err
	}
	if labels != nil {
		im.spec.Labels = labels
	}
	if im.spec.Source == nil {
		sum, err := m.SHA256()
		if err != nil {
			return nil, err
		}
		im.spec.Source = &onnx.Source{File: filepath.Base(path), SHA256: sum}
	}
	im.model, err = im.model.WithSpec(im.spec)
	return im, err
}

// saveModel writes a model to a file that does not hold another one yet.
func saveModel(ctx context.Context, m *onnx.Model, path string, overwrite bool) (status string, err error) {
	if info, err := os.Stat(path); err == nil && !overwrite {
		if info.IsDir() {
			return "", &usageError{msg: fmt.Sprintf("--out %q is a folder, expected a file", path)}
		}
		// The metadata tell of the file that the weights are from.
		old, err := onnx.Load(path)
		if err == nil && m.SameButWeights(old) {
			return "cached", nil
		}
		return "", &usageError{msg: fmt.Sprintf("--out %q is there and not this model", path), hint: "choose another --out, or --overwrite"}
	}
	return "done", writeFile(ctx, path, m.Write)
}

// readLabels reads names of classes, one a line.
func readLabels(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{msg: "--labels: " + err.Error()}
	}
	var labels []string
	for i, l := range strings.Split(strings.TrimRight(string(data), "\r\n"), "\n") {
		l = strings.TrimSpace(l)
		if l == "" || slices.Contains(labels, l) {
			return nil, &usageError{msg: fmt.Sprintf("--labels %q: line %d is %q, expected a name that no other line has", file, i+1, l)}
		}
		labels = append(labels, l)
	}
	return labels, nil
}
