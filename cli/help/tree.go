package help

import (
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"
)

// Verb is a node of the tree of verbs. The root is rtx itself.
type Verb struct {
	Name, Path  string // Path is the words after rtx: "runtime install"
	Usage       string
	Description string
	Argument    string // the placeholders of its arguments: "FILE", "" for none
	Options     []Option
	Verbs       []*Verb
	takes       values
	program     *Program
}

// Option is a flag.
type Option struct {
	Names       []string // the long one first
	Usage       string
	Placeholder string // of the value in Usage: FILE, NAME
	Default     string // "" for none
	Variable    string // of the environment
	Takes       bool   // a value
	label       string // the placeholder, or all the words: FILE, avg|none
	completes   values
}

// values says what may stand at a place of a command line: files, folders or some
// words.
type values struct {
	files, folders bool
	words          []string
}

// dashed are the names as they are typed.
func (o Option) dashed() []string {
	var d []string
	for _, n := range o.Names {
		d = append(d, strings.Repeat("-", min(2, len(n)))+n)
	}
	return d
}

// Walk visits a verb and all below it, in their order.
func (v *Verb) Walk(visit func(*Verb)) {
	visit(v)
	for _, s := range v.Verbs {
		s.Walk(visit)
	}
}

// Find returns the verb of a path, nil where there is none.
func (v *Verb) Find(path string) (found *Verb) {
	v.Walk(func(s *Verb) {
		if s.Path == path {
			found = s
		}
	})
	return found
}

// Describe builds the tree of rtx.
func Describe(commands []*cli.Command, p *Program) *Verb {
	root := &Verb{Name: "rtx", Usage: p.Summary, Options: []Option{helpOption}, program: p}
	for _, c := range commands {
		root.Verbs = append(root.Verbs, p.verb(c, ""))
	}
	p.sort(root)
	return root
}

var helpOption = Option{Names: []string{"help", "h"}, Usage: "print this help"}

// verb builds the tree of a command below a path.
func (p *Program) verb(c *cli.Command, parent string) *Verb {
	v := &Verb{
		Name: c.Name, Path: strings.TrimPrefix(parent+" "+c.Name, " "), Usage: c.Usage, Description: c.Description,
		Argument: c.ArgsUsage, takes: p.argumentValues(c.ArgsUsage), program: p,
	}
	for _, f := range c.Flags {
		if f != cli.HelpFlag { // which urfave/cli adds
			v.Options = append(v.Options, p.option(f))
		}
	}
	v.Options = append(v.Options, helpOption)
	for _, s := range c.Subcommands {
		v.Verbs = append(v.Verbs, p.verb(s, v.Path))
	}
	p.sort(v)
	return v
}

func (p *Program) option(f cli.Flag) Option {
	doc := f.(cli.DocGenerationFlag)
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	placeholder, after, _ := strings.Cut(rest, "`")
	o := Option{Names: f.Names(), Usage: before + placeholder + after, Takes: doc.TakesValue(), Placeholder: placeholder, label: placeholder}
	if vars := doc.GetEnvVars(); len(vars) > 0 {
		o.Variable = vars[len(vars)-1] // the one for most verbs, where there is one
	}
	if !o.Takes {
		return o
	}
	o.Default = strings.Trim(doc.GetDefaultText(), `"`)
	o.completes = p.flagValues(o.Names[0], placeholder, o.Usage)
	switch words := o.completes.words; {
	case len(words) > 1 && len(placeholder) < 2:
		o.Placeholder, o.label = "NAME", strings.Join(words, "|")
	case placeholder == "":
		o.Placeholder, o.label = "N", "N"
	}
	return o
}

// flagValues tells what a flag takes: files and folders by its placeholder, words
// by its description.
func (p *Program) flagValues(flag, placeholder, usage string) values {
	v := fileValues(placeholder)
	if v.words = p.Words[flag]; v.words != nil {
		return v
	}
	named := strings.FieldsFunc(usage, func(r rune) bool { return strings.ContainsRune(" ,;:()", r) })
	for _, w := range p.Mentioned[flag] {
		if slices.Contains(named, w) {
			v.words = append(v.words, w)
		}
	}
	return v
}

// argumentValues tells what the arguments of a verb may be, by their
// placeholders.
func (p *Program) argumentValues(placeholders string) values {
	v := fileValues(placeholders)
	if v.words = p.Words[placeholders]; v.words == nil && strings.Contains(placeholders, "|") {
		v.words = strings.Split(placeholders, "|")
	}
	return v
}

func fileValues(placeholders string) (v values) {
	for _, p := range strings.FieldsFunc(placeholders, func(r rune) bool { return strings.ContainsRune("[]. ", r) }) {
		v.files = v.files || p == "FILE" || p == "CKPT" || p == "MODEL" || p == "IMAGE"
		v.folders = v.folders || p == "FOLDER" || p == "DIR"
	}
	return v
}
