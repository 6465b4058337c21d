package cli

import (
	"fmt"
	"io"
	"strings"

	cli "github.com/urfave/cli/v2"
)

func manCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page",
		Action: func(c *cli.Context) error {
			_, err := io.WriteString(e.stdout, manPage(commandTree(commands(e))))
			return err
		},
	}
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

// manPage is in the language of man(7).
func manPage(root verb) string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	fmt.Fprintf(&b, ".TH RTX 1 %s \"rtx %s\" \"User Commands\"\n", builtOn(), roff(buildVersion()))
	section("NAME")
	b.WriteString("rtx \\- " + roff(summary) + "\n")
	section("SYNOPSIS")
	b.WriteString(".B rtx\n.I VERB\n[\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]\n")
	section("DESCRIPTION")
	b.WriteString(roff("rtx turns folders of images and pretrained networks into features, and measures and uses classifiers. The result goes to standard output, everything else to standard error. "+
		"With --json, the one line on standard output is a JSON object, and standard error stays empty. "+
		"A flag may also be set by a variable of the environment, or in a file that --config names; a flag wins over the environment, that over the file.") + "\n")
	section("VERBS")
	root.walk(func(v verb) {
		if v.path != "" && (len(v.verbs) == 0 || v.argument != "") {
			manVerb(&b, v)
		}
	})
	section("ENVIRONMENT")
	fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", "RTX_FLAG", roff("Sets --flag of each verb that has it: RTX_MODEL sets --model, RTX_BATCH_SIZE --batch-size."))
	fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", "NO_COLOR", roff("Progress is shown as lines, not as a bar."))
	section("EXIT STATUS")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c[0]), roff(c[1]))
	}
	section("EXAMPLES")
	for i, x := range guides[root.path].examples {
		manExample(&b, x, i > 0)
	}
	return b.String()
}

// manVerb is the subsection of a verb.
func manVerb(b *strings.Builder, v verb) {
	fmt.Fprintf(b, ".SS rtx %s\n%s.\n", roff(v.path), roff(capital(v.usage)))
	fmt.Fprintf(b, ".PP\n.nf\n%s\n.fi\n", roff(strings.Join(v.synopsis(), "\n")))
	for _, p := range paragraphs(v.description) {
		fmt.Fprintf(b, ".PP\n%s\n", roff(p))
	}
	for _, x := range guides[v.path].examples {
		manExample(b, x, true)
	}
	for _, g := range v.optionGroups() {
		fmt.Fprintf(b, ".PP\n.B %s\n", roff(g.title))
		for _, o := range g.options {
			fmt.Fprintf(b, ".TP\n%s\n%s\n", manOption(o), roff(capital(o.about()))+".")
		}
	}
}

// manExample begins a paragraph, except right below the heading of a section,
// which has begun one.
func manExample(b *strings.Builder, x example, begin bool) {
	if begin {
		b.WriteString(".PP\n")
	}
	fmt.Fprintf(b, "%s:\n.PP\n.nf\n.RS\n%s\n.RE\n.fi\n", roff(x.does), roff(x.line))
}

func manOption(o option) string {
	var names []string
	for _, n := range o.dashed() {
		names = append(names, "\\fB"+roff(n)+"\\fR")
	}
	line := strings.Join(names, ", ")
	if o.takes {
		line += " \\fI" + roff(o.label) + "\\fR"
	}
	return line
}

func capital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ToUpper(first) == first || strings.ContainsAny(first, "0123456789") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// roff escapes text for man(7): backslashes, hyphens that are typed as they
// stand, and lines that would be requests.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
