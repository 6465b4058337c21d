package cli

import (
	"fmt"
	"io"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/cli/help"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// program is what help texts, the manual and completions need besides the
// commands.
func program() *help.Program {
	p := &help.Program{
		Summary: "transfer learning with robust backbones", Flags: flagGroups, Verbs: verbGroups, Guides: guides, Mentioned: vocabulary,
		Words: map[string][]string{"arch": arch.Names},
		Epilogue: "rtx VERB --help tells more about a verb, rtx man prints the manual. import, export, inspect, models, new, merge, plot and probe " +
			"need no onnxruntime; it makes probe faster.",
	}
	for _, m := range assets.Checkpoints() {
		p.Words["NAME..."] = append(p.Words["NAME..."], m.Name)
	}
	return p
}

// vocabulary holds words that are values of flags. A flag takes those of them that
// its description mentions.
var vocabulary = map[string][]string{
	"augment": {"crop", "pad", "reflect", "flip", "none"}, "bn": {"adapt", "frozen", "fixed", "adapt-small"},
	"channels": {"rgb", "bgr"}, "crop": {"center", "none"}, "device": {"auto", "cpu", "cuda"}, "engine": {"auto", "ort", "tape"},
	"empty": {"drop", "keep"}, "kind": {"auto", "fasterrcnn", "maskrcnn", "retinanet"}, "masks": {"auto", "on", "off"},
	"format": {"npy", "npz", "safetensors", "parquet"}, "head-init": {"torch", "zero"},
	"interpolation": {"bilinear", "bicubic"}, "layer": {"features"}, "metric": {"top1", "mean-per-class", "bbox", "segm"},
	"mode": {"full", "fixed"}, "names": {"checkpoint", "torchvision"},
	"normalize": {"spec", "none", "imagenet"}, "on-error": {"skip", "fail"}, "optimizer": {"sgd", "adamw"}, "pool": {"avg", "none"},
	"precision": {"fp32", "tf32", "fp16"}, "progress": {"auto", "bar", "jsonl", "none"}, "range": {"0..1", "-1..1", "0..255"},
	"recipe": {"default", "paper", "quick", "torchvision", "detectron2-1x", "detectron2-3x"}, "schedule": {"cosine", "step", "onecycle", "constant"},
	"solver": {"lbfgs", "sgd", "ridge", "knn"}, "split": {"test", "val", "train", "all"}, "to": {"onnx", "safetensors"},
}

// exitCodes are those of verdict.
var exitCodes = [][2]string{
	{"0", "done, or nothing to do"},
	{"1", "anything that is not listed here"},
	{"2", "flags; the output holds something of another configuration"},
	{"65", "no usable images; a file that is not what it should be; a model without image input"},
	{"69", "onnxruntime, the device or a model is missing or too old; a host is not there"},
	{"75", "disk full, out of memory, output in use, a host that is busy: it may work the next time"},
	{"130, 143", "ended by SIGINT, SIGTERM, with everything computed saved"},
}

func init() { cli.HelpPrinter = printHelp }

// printHelp is called by the library with the *cli.App or the *cli.Command that
// help was asked for.
func printHelp(w io.Writer, _ string, asked any) {
	root := help.Describe(commands(&env{}), program())
	if c, ok := asked.(*cli.Command); ok {
		root = root.Find(strings.TrimPrefix(c.HelpName, "rtx "))
	}
	io.WriteString(w, root.Text())
}

func manCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page",
		Action: func(c *cli.Context) error {
			edition := help.Edition{Version: buildVersion(), Date: builtOn(), ExitStatus: exitCodes}
			_, err := io.WriteString(e.stdout, help.Describe(commands(e), program()).Man(edition))
			return err
		},
	}
}

// shells are those that rtx completion knows.
var shells = map[string]func(*help.Verb) string{"bash": (*help.Verb).Bash, "zsh": (*help.Verb).Zsh, "fish": (*help.Verb).Fish}

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes rtx's command lines in a shell", ArgsUsage: "bash|zsh|fish",
		Description: "The script is complete in itself: it does not run rtx.",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return &usageError{msg: fmt.Sprintf("completion takes one shell, found %d", c.NArg()), hint: "rtx completion bash, zsh or fish"}
			}
			script, ok := shells[c.Args().First()]
			if !ok {
				known := []string{"bash", "zsh", "fish"}
				return &usageError{msg: fmt.Sprintf("unknown shell %q, expected bash, zsh or fish", c.Args().First()), hint: suggest(c.Args().First(), known, "rtx completion bash")}
			}
			_, err := io.WriteString(e.stdout, script(help.Describe(commands(e), program())))
			return err
		},
	}
}
