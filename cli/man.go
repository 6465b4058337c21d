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
		Description: "To read it: rtx man | man -l -\n" +
			"To install it: rtx man > /usr/local/share/man/man1/rtx.1",
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
	b.WriteString("rtx \\- transfer learning with robust backbones\n")
	section("SYNOPSIS")
	b.WriteString(".B rtx\n.I VERB\n[\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]\n")
	section("DESCRIPTION")
	b.WriteString(roff("rtx turns folders of images and pretrained networks into features, and measures and uses classifiers. The result goes to standard output, everything else to standard error. "+
		"With --json, the one line on standard output is a JSON object, and standard error stays empty. "+
		"A flag may also be set by a variable of the environment, or in a file that --config names; a flag wins over the environment, that over the file.") + "\n")
	section("VERBS")
	root.walk(func(v verb) {
		if v.path == "" || len(v.verbs) > 0 && v.argument == "" {
			return
		}
		fmt.Fprintf(&b, ".SS rtx %s %s\n%s.\n", roff(v.path), roff(v.argument), roff(capital(v.usage)))
		if v.description != "" {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(v.description))
		}
		for _, o := range v.options {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", manOption(o), manUsage(o))
		}
	})
	section("EXIT STATUS")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c[0]), roff(c[1]))
	}
	section("EXAMPLES")
	for i, x := range [][2]string{
		{"Features of a folder of class folders:", "rtx featurize -m model.onnx -d images -o features"},
		{"Of a tar archive that is being made:", "tar -c images | rtx featurize -m model.onnx -d - -o features"},
		{"By four machines, and joined:", "rtx featurize -m model.onnx -d images -o features --shard 0/4\nrtx merge features -o features"},
		{"How good a classifier is, and what it says of two images:", "rtx eval -m classifier.onnx -d images\nrtx predict -m classifier.onnx a.jpg b.jpg"},
	} {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		fmt.Fprintf(&b, "%s\n.PP\n.nf\n.RS\n%s\n.RE\n.fi\n", roff(x[0]), roff(x[1]))
	}
	return b.String()
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

func manUsage(o option) string {
	text := roff(capital(o.usage)) + "."
	if o.takes && o.value != "" {
		text += " Default: " + roff(o.value) + "."
	}
	if o.variable != "" {
		text += " Variable: " + roff(o.variable) + "."
	}
	return text
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
