package help

import (
	"fmt"
	"strings"
)

// Edition is what a manual page says of the program that printed it.
type Edition struct {
	Version, Date string      // Date as 2006-01-02
	ExitStatus    [][2]string // code and meaning
}

// Man is the manual page, in the language of man(7).
func (root *Verb) Man(e Edition) string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	fmt.Fprintf(&b, ".TH RTX 1 %s \"rtx %s\" \"User Commands\"\n", e.Date, roff(e.Version))
	section("NAME")
	b.WriteString("rtx \\- " + roff(root.Usage) + "\n")
	section("SYNOPSIS")
	b.WriteString(".B rtx\n.I VERB\n[\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]\n")
	section("DESCRIPTION")
	b.WriteString(roff("rtx turns folders of images and pretrained networks into features, and measures and uses classifiers. The result goes to standard output, everything else to standard error. "+
		"With --json, the one line on standard output is a JSON object, and standard error stays empty. "+
		"A flag may also be set by a variable of the environment, or in a file that --config names; a flag wins over the environment, that over the file.") + "\n")
	section("VERBS")
	root.Walk(func(v *Verb) {
		if v.Path != "" && (len(v.Verbs) == 0 || v.Argument != "") {
			manVerb(&b, v)
		}
	})
	section("ENVIRONMENT")
	fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", "RTX_VERB_FLAG", roff("Sets --flag of one verb, before RTX_FLAG: RTX_FEATURIZE_OUT sets --out of featurize. The output of a verb, its --config, and flags that mean something else in it than in others have this variable alone."))
	fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", "RTX_FLAG", roff("Sets --flag of all verbs in which it means the same: RTX_MODEL sets --model."))
	fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", "NO_COLOR", roff("Progress is shown as lines, not as a bar."))
	section("EXIT STATUS")
	for _, c := range e.ExitStatus {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c[0]), roff(c[1]))
	}
	section("EXAMPLES")
	for i, x := range root.guide().Examples {
		manExample(&b, x, i > 0)
	}
	return b.String()
}

// manVerb is the subsection of a verb.
func manVerb(b *strings.Builder, v *Verb) {
	fmt.Fprintf(b, ".SS rtx %s\n%s.\n", roff(v.Path), roff(capital(v.Usage)))
	fmt.Fprintf(b, ".PP\n.nf\n%s\n.fi\n", roff(strings.Join(v.synopsis(), "\n")))
	for _, p := range paragraphs(v.Description) {
		fmt.Fprintf(b, ".PP\n%s\n", roff(p))
	}
	for _, x := range v.guide().Examples {
		manExample(b, x, true)
	}
	for _, g := range v.optionGroups() {
		fmt.Fprintf(b, ".PP\n.B %s\n", roff(g.title))
		for _, o := range g.options {
			fmt.Fprintf(b, ".TP\n%s\n%s\n", manOption(o), roff(capital(o.About()))+".")
		}
	}
}

// manExample begins a paragraph, except right below the heading of a section,
// which has begun one.
func manExample(b *strings.Builder, x Example, begin bool) {
	if begin {
		b.WriteString(".PP\n")
	}
	fmt.Fprintf(b, "%s:\n.PP\n.nf\n.RS\n%s\n.RE\n.fi\n", roff(x.Does), roff(x.Line))
}

func manOption(o Option) string {
	var names []string
	for _, n := range o.dashed() {
		names = append(names, "\\fB"+roff(n)+"\\fR")
	}
	line := strings.Join(names, ", ")
	if o.Takes {
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
