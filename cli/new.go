package cli

import (
	"fmt"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

func newCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "make a network with untrained weights",
		Description: "The weights are drawn as the network's PyTorch definition draws them: torchvision's, or\n" +
			"that of the project that published the network. One seed gives one file.\n" +
			"NAME is one of " + strings.Join(arch.Names, ", ") + ".",
		Flags: []cli.Flag{
			text("out", "", "the ONNX `FILE` to write", "o"),
			text("arch", "", "the `NAME` of the architecture"),
			number("classes", 0, "the number `N` of classes (default: that of --labels)"),
			text("labels", "", "`FILE` of the classes' names in their order, one a line; their number is that of classes"),
			text("input-size", "", "size `N` or HxW that the model gets (default: the architecture's, 224 or 32)"),
			number("seed", 0, "the seed of the weights"),
			useFlag(),
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "replace another model in OUT"),
		},
		Action: func(c *cli.Context) error { return e.newModel(c) },
	}
}

// nearArch is a hint at the architecture that was probably meant: one that ends
// with the name, as cifar_resnet20 does with resnet20, or the nearest.
func nearArch(name string) string {
	for _, known := range arch.Names {
		if strings.HasSuffix(known, "_"+name) {
			return "did you mean " + known
		}
	}
	return suggest(name, arch.Names, "one of "+strings.Join(arch.Names, ", "))
}

func (e *env) newModel(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	const usage = "rtx new --arch NAME --classes N -o MODEL.onnx"
	for _, name := range []string{"arch", "out"} {
		if c.String(name) == "" {
			return &usageError{msg: "--" + name + " is missing", hint: usage + "; rtx new --help lists the names"}
		}
	}
	name, seed := c.String("arch"), c.Int("seed")
	if !slices.Contains(arch.Names, name) {
		return &usageError{msg: fmt.Sprintf("--arch is %q", name), hint: nearArch(name)}
	}
	if seed < 0 {
		return &usageError{msg: fmt.Sprintf("--seed is %d, expected a number from 0 on", seed)}
	}
	cfg, n, err := newConfig(c, usage)
	if err != nil {
		return err
	}
	m, err := arch.Untrained(name, n, uint64(seed), cfg)
	if err != nil {
		return &usageError{msg: err.Error()} // the flags alone decide
	}
	ctx, stop := interruptible()
	defer stop()
	out := target{"out", c.String("out"), c.Bool("overwrite"), []string{c.String("labels")}}
	use, err := newScript("use", c.String("use"), m, out)
	if err != nil {
		return err
	}
	status, err := saveModel(ctx, m, out)
	if err == nil {
		err = use.write(ctx)
	}
	if err != nil {
		return err
	}
	info := m.Inspect()
	if e.json {
		e.print(e.result("rtx.new/1", status, out.name, append(object{
			{"arch", name}, {"classes", n}, {"seed", seed}, {"parameters", info.Parameters}, {"spec", info.Spec},
		}, use.fields()...)))
		return nil
	}
	e.note("%s, %d classes, %d parameters, for images of %dx%d", name, n, info.Parameters, info.Spec.InputSize[0], info.Spec.InputSize[1])
	if status == "cached" {
		e.note("nothing to do: it is there")
	}
	use.tell(e)
	fmt.Fprintln(e.stdout, out.name)
	return nil
}

// newConfig reads the size of images and the number of classes, which --classes,
// --labels or both give.
func newConfig(c *cli.Context, usage string) (cfg arch.Config, n int, err error) {
	var size onnx.Spec
	if err := readInputOptions(c).override(&size); err != nil {
		return cfg, 0, err
	}
	cfg.InputSize, cfg.Normalize = size.InputSize, true // as rtx import does
	if cfg.Labels, err = readLabels(c.String("labels")); err != nil {
		return cfg, 0, err
	}
	n = c.Int("classes")
	switch {
	case !c.IsSet("classes") && cfg.Labels == nil:
		return cfg, 0, &usageError{msg: "--classes is missing", hint: usage + ", or --labels FILE"}
	case !c.IsSet("classes"):
		n = len(cfg.Labels)
	case n < 1:
		return cfg, 0, &usageError{msg: fmt.Sprintf("--classes is %d, expected a number from 1 on", n)}
	case cfg.Labels != nil && n != len(cfg.Labels):
		return cfg, 0, &usageError{msg: fmt.Sprintf("--labels names %d classes, and --classes is %d", len(cfg.Labels), n), hint: "--labels alone gives the number"}
	}
	return cfg, n, nil
}
