package cli

import (
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// verb is a node of the command tree as scripts and the manual need it; the
// root is rtx itself.
type verb struct {
	name, path  string // path is the words after rtx: "runtime install"
	usage       string
	description string
	argument    string // "FILE", "" for none
	takes       completes
	options     []option
	verbs       []verb
}

// option is a flag.
type option struct {
	names       []string // the long one first
	usage       string
	placeholder string // of the value in usage: FILE, NAME
	label       string // the same, or all the words: FILE, avg|none
	value       string // the default, "" for none
	variable    string
	takes       bool // a value
	completes   completes
}

// completes says what may stand at a place: files, folders or some words.
type completes struct {
	files, folders bool
	words          []string
}

// vocabulary holds the words that are values of flags. A flag takes those of
// them that its description names.
var vocabulary = map[string][]string{
	"augment": {"crop", "pad", "reflect", "flip", "none"}, "bn": {"adapt", "frozen"},
	"channels": {"rgb", "bgr"}, "crop": {"center", "none"}, "device": {"auto", "cpu", "cuda"}, "engine": {"auto", "ort", "tape"},
	"format": {"npy", "npz", "safetensors", "parquet"}, "head-init": {"torch", "zero"},
	"interpolation": {"bilinear", "bicubic"}, "layer": {"features"}, "metric": {"auto", "top1", "mean-per-class"},
	"mode": {"full", "fixed"}, "names": {"checkpoint", "torchvision"},
	"normalize": {"spec", "none", "imagenet"}, "on-error": {"skip", "fail"}, "optimizer": {"sgd", "adamw"}, "pool": {"avg", "none"},
	"precision": {"fp32", "tf32", "fp16"}, "progress": {"auto", "bar", "jsonl", "none"}, "range": {"0..1", "-1..1", "0..255"},
	"recipe": {"default", "paper"}, "schedule": {"cosine", "step", "onecycle", "constant"},
	"solver": {"lbfgs", "sgd", "ridge", "knn"}, "split": {"test", "val", "train", "all"}, "to": {"onnx", "safetensors"},
}

func (o option) dashed() []string {
	var d []string
	for _, n := range o.names {
		d = append(d, strings.Repeat("-", min(2, len(n)))+n)
	}
	return d
}

func (v verb) walk(visit func(verb)) {
	visit(v)
	for _, s := range v.verbs {
		s.walk(visit)
	}
}

func commandTree(commands []*cli.Command) verb {
	root := verb{name: "rtx", usage: summary, options: []option{helpOption}}
	for _, c := range commands {
		root.verbs = append(root.verbs, verbOf(c, ""))
	}
	root.sortByGroup()
	return root
}

// summary says what rtx is.
const summary = "transfer learning with robust backbones"

var helpOption = option{names: []string{"help", "h"}, usage: "print this help"}

func verbOf(c *cli.Command, parent string) verb {
	v := verb{
		name: c.Name, path: strings.TrimPrefix(parent+" "+c.Name, " "), usage: c.Usage, description: c.Description,
		argument: c.ArgsUsage, takes: completesOf("", c.ArgsUsage, c.ArgsUsage),
	}
	for _, f := range c.Flags {
		if f != cli.HelpFlag { // which the library adds
			v.options = append(v.options, optionOf(f))
		}
	}
	v.options = append(v.options, helpOption)
	for _, s := range c.Subcommands {
		v.verbs = append(v.verbs, verbOf(s, v.path))
	}
	v.sortByGroup()
	return v
}

func optionOf(f cli.Flag) option {
	doc := f.(cli.DocGenerationFlag)
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	placeholder, after, _ := strings.Cut(rest, "`")
	o := option{names: f.Names(), usage: before + placeholder + after, takes: doc.TakesValue(), placeholder: placeholder, label: placeholder}
	if vars := doc.GetEnvVars(); len(vars) > 0 {
		o.variable = vars[0]
	}
	if !o.takes {
		return o
	}
	o.value = strings.Trim(doc.GetDefaultText(), `"`)
	o.completes = completesOf(o.names[0], placeholder, o.usage)
	switch words := o.completes.words; {
	case len(words) > 1 && len(placeholder) < 2:
		o.placeholder, o.label = "NAME", strings.Join(words, "|")
	case placeholder == "":
		o.placeholder, o.label = "N", "N"
	}
	return o
}

// completesOf reads what a place takes: files and folders from its placeholder,
// words from the description.
func completesOf(flag, placeholder, usage string) (c completes) {
	for _, p := range strings.FieldsFunc(placeholder, func(r rune) bool { return strings.ContainsRune("[]. ", r) }) {
		c.files = c.files || p == "FILE" || p == "CKPT" || p == "MODEL" || p == "IMAGE"
		c.folders = c.folders || p == "FOLDER" || p == "DIR"
	}
	if flag == "" {
		switch {
		case strings.Contains(placeholder, "|"):
			c.words = strings.Split(placeholder, "|")
		case placeholder == "NAME...":
			for _, m := range assets.Checkpoints() {
				c.words = append(c.words, m.Name)
			}
		}
		return c
	}
	if flag == "arch" {
		c.words = arch.Names
		return c
	}
	named := strings.FieldsFunc(usage, func(r rune) bool { return strings.ContainsRune(" ,;:()", r) })
	for _, w := range vocabulary[flag] {
		if slices.Contains(named, w) {
			c.words = append(c.words, w)
		}
	}
	return c
}
