package cli

import (
	"fmt"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
)

// peers maps flags of other tools to ours, which the hint to an unknown flag names.
var peers = map[string]string{
	"data-dir": "data", "data-path": "data", "dataset": "data", "output-dir": "out", "output": "out", "save-dir": "out",
	"img-size": "input-size", "imgsz": "input-size", "image-size": "input-size", "lr0": "lr", "weights": "model",
	"checkpoint": "model", "batch": "batch-size", "num-workers": "workers", "crop-pct": "resize", "arch": "model",
	"bs": "batch-size", "learning-rate": "lr", "opt": "optimizer", "wd": "weight-decay", "sched": "schedule", "num-classes": "classes",
}

// meantVerbs are hints to verbs that other tools have.
var meantVerbs = map[string]string{
	"train": "rtx finetune trains a network on images, rtx probe a classifier on features", "fit": "rtx finetune trains a network on images",
	"test": "rtx eval measures a classifier on labelled images", "val": "rtx eval measures a classifier on labelled images",
	"serve":        "rtx serves nothing; the models it writes run in any onnxruntime, and rtx export --use FILE writes the Python for it",
	"detect train": detectTrainUsage + " trains a detector", "detect fit": detectTrainUsage + " trains a detector",
	"detect val":     "rtx eval -m MODEL -d DATA measures a detector; rtx detect check looks at the data alone",
	"detect eval":    "rtx eval -m MODEL -d DATA measures a detector; rtx detect check looks at the data alone",
	"detect predict": "rtx predict -m MODEL IMAGE... runs a detector, with --draw for pictures",
	"detect export":  "rtx export MODEL -o OUT writes a detector for deployment",
	"detect import":  "rtx import CKPT -o MODEL.onnx reads a detector of torchvision or Detectron2",
	"list":           "rtx models lists the models that have a name", "download": "rtx models get NAME fetches a checkpoint",
	"convert":   "rtx import makes ONNX of checkpoints, rtx export other files of models",
	"plot tsne": "rtx plot scatter draws the two principal components; features.npy is for t-SNE and UMAP elsewhere",
	"plot umap": "rtx plot scatter draws the two principal components; features.npy is for t-SNE and UMAP elsewhere",
	"plot pca":  "rtx plot scatter draws the two principal components",
}

// meantFlags are hints to flags that other tools have, where there is none of ours
// that does the same.
var meantFlags = map[string]string{
	"freeze": "--mode fixed trains the head alone, --mode last-K the last K stages", "freeze-layers": "--mode fixed trains the head alone, --mode last-K the last K stages",
	"linear-probe": "--mode fixed trains the head alone; rtx probe does it on features", "pretrained": "--model names the weights; rtx new makes untrained ones",
}

// meantOfDetectors are hints to flags that other tools have where they train detectors, or
// rtx where it trains classifiers.
var meantOfDetectors = map[string]string{
	"freeze": "--train-stages K trains the last K stages of the backbone, 0 the heads alone", "mode": "--train-stages K trains the last K stages of the backbone, 0 the heads alone",
	"trainable-backbone-layers": "here it is called --train-stages", "head": "--model names a backbone, which gets new heads, or a detector, whose heads are kept",
	"input-size": "--size N scales images to fit into NxN pixels", "img-size": "--size N scales images to fit into NxN pixels", "imgsz": "--size N scales images to fit into NxN pixels",
	"augment": "training images are mirrored, unless --no-flip is given", "pretrained": "--model names the weights; rtx new makes untrained ones",
}

// arrange puts the flags of a verb before its positional arguments, so that users
// may write them in any order, and refuses flags and verbs that do not exist.
func arrange(app *cli.App, args []string) ([]string, error) {
	if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") {
		args = append([]string{"version"}, args[1:]...)
	}
	if len(args) > 1 && args[0] == "help" { // rtx help VERB
		args = append(slices.Clone(args[1:]), "--help")
	}
	if len(args) == 0 || isHelp(args[0]) {
		return args, nil
	}
	c, path, rest := findCommand(app.Commands, args)
	if c == nil {
		hint := meantVerbs[strings.Join(args[:len(path)+1], " ")]
		if hint == "" {
			hint = suggest(args[len(path)], verbs(app.Commands, path), "rtx --help lists the verbs")
		}
		return nil, &usageError{msg: fmt.Sprintf("unknown verb %q", args[len(path)]), hint: hint}
	}
	var flags, words []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		if a == "--" {
			words = append(words, rest[i+1:]...)
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" || isNumber(a) {
			words = append(words, a)
			continue
		}
		name, _, has := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if isHelp(a) {
			return append(path, a), nil
		}
		f := findFlag(c.Flags, name)
		if f == nil {
			return nil, unknownFlag(c, a, name)
		}
		flags = append(flags, a)
		if _, bool := f.(*cli.BoolFlag); !bool && !has {
			if i++; i == len(rest) {
				return nil, &usageError{msg: fmt.Sprintf("flag %s needs a value", a)}
			}
			flags[len(flags)-1] = a + "=" + rest[i]
		}
	}
	if len(words) > 0 && c.ArgsUsage == "" {
		return nil, &usageError{
			msg:  fmt.Sprintf("%s takes no argument %q", c.Name, words[0]),
			hint: leftOverHint(c, flags, words[0]),
		}
	}
	return slices.Concat(path, flags, []string{"--"}, words), nil
}

// findCommand returns the command that the first arguments name, these arguments,
// and the rest; nil where the next argument should have been a verb.
func findCommand(commands []*cli.Command, args []string) (found *cli.Command, path, rest []string) {
	for i, a := range args {
		at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(a) })
		if at < 0 {
			if found != nil && len(found.Subcommands) > 0 && found.ArgsUsage == "" && !strings.HasPrefix(a, "-") {
				return nil, path, nil
			}
			return found, path, args[i:]
		}
		found = commands[at]
		path, commands = append(path, a), found.Subcommands
	}
	return found, path, nil
}

func verbs(commands []*cli.Command, path []string) []string {
	if len(path) > 0 {
		for _, c := range commands {
			if c.HasName(path[0]) {
				commands = c.Subcommands
			}
		}
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return names
}

func isHelp(a string) bool { return a == "--help" || a == "-h" || a == "-help" || a == "help" }

// isNumber tells a negative number, or a range such as -1..1, from a flag.
func isNumber(a string) bool { return len(a) > 1 && (a[1] >= '0' && a[1] <= '9' || a[1] == '.') }

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func unknownFlag(c *cli.Command, as, name string) error {
	e := &usageError{msg: fmt.Sprintf("unknown flag %s of %s", as, c.Name)}
	if c.ArgsUsage == "DATA" && (name == "d" || peers[name] == "data" || name == "data") {
		e.hint = "the data are named without a flag: " + c.Name + " DATA"
		return e
	}
	if ours, ok := peers[name]; ok && findFlag(c.Flags, ours) != nil {
		e.hint = "here it is called --" + ours
		return e
	}
	if hint := meantFlags[name]; hint != "" && findFlag(c.Flags, "mode") != nil {
		e.hint = hint
		return e
	}
	if hint := meantOfDetectors[name]; hint != "" && findFlag(c.Flags, "train-stages") != nil {
		e.hint = hint
		return e
	}
	var names []string
	for _, f := range c.Flags {
		names = append(names, f.Names()[0])
	}
	e.hint = suggest(name, names, fmt.Sprintf("rtx %s --help lists the flags", c.Name))
	if slices.Contains(names, strings.TrimPrefix(e.hint, "did you mean ")) {
		e.hint = "did you mean --" + strings.TrimPrefix(e.hint, "did you mean ")
	}
	return e
}

// leftOverHint says what a left-over word was probably meant for.
func leftOverHint(c *cli.Command, flags []string, word string) string {
	if featurize.IsTarName(word) {
		return "several archives are named in quotes, as -d 'train-{000..127}.tar' or -d '{a,b}.tar', or by their folder"
	}
	return "was it meant for " + meant(c, flags) + "?"
}

// meant is the flag that a left-over word was probably meant for: the first of the
// usually required ones that is missing.
func meant(c *cli.Command, flags []string) string {
	for _, name := range []string{"model", "data", "out"} {
		f := findFlag(c.Flags, name)
		if f == nil {
			continue
		}
		if !slices.ContainsFunc(flags, func(a string) bool {
			n, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
			return slices.Contains(f.Names(), n)
		}) {
			return "--" + name
		}
	}
	return "another command"
}

// suggest is a hint that names the word nearest to the given one, or is otherwise
// where none is near.
func suggest(word string, among []string, otherwise string) string {
	best, at := "", len(word)/2+1
	for _, w := range among {
		if d := distance(word, w); d < at {
			best, at = w, d
		}
	}
	if best == "" {
		return otherwise
	}
	return "did you mean " + best
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
