package help

import (
	"fmt"
	"strings"
)

// Width is the longest line of a help text.
const Width = 80

// Text is what --help prints of a verb.
func (v *Verb) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\n", strings.TrimSpace("rtx "+v.Path), v.Usage)
	fmt.Fprintf(&b, "Usage: %s\n", strings.Join(v.synopsis(), "\n       "))
	for _, p := range paragraphs(v.Description) {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap(p, Width), "\n"))
	}
	if examples := v.guide().Examples; examples != nil {
		b.WriteString("\nExamples\n")
		for _, x := range examples {
			fmt.Fprintf(&b, "  # %s\n  %s\n", x.Does, strings.ReplaceAll(shellWrap(x.Line, Width-2), "\n", "\n  "))
		}
	}
	for _, g := range v.verbGroups() {
		helpList(&b, g.title, g.rows(), columnOf(g.rows()))
	}
	var flags [][2]string
	for _, g := range v.optionGroups() {
		flags = append(flags, g.rows()...)
	}
	for _, g := range v.optionGroups() {
		helpList(&b, g.title, g.rows(), columnOf(flags))
	}
	for _, p := range v.epilogue() {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap(p, Width), "\n"))
	}
	return b.String()
}

// epilogue is what a help text ends with.
func (v *Verb) epilogue() (text []string) {
	if v.Path == "" {
		return paragraphs(v.program.Epilogue)
	}
	var variable, config string
	for _, o := range v.Options {
		if variable == "" && o.Variable != "" && o.Takes {
			variable = fmt.Sprintf("Each flag can also be set by an environment variable, such as %s for --%s", o.Variable, o.Names[0])
		}
		if o.Names[0] == "config" {
			config = ", or in the file of --config. A flag wins over the environment, the environment over the file"
		}
	}
	if variable != "" {
		text = append(text, variable+config+".")
	}
	return text
}

// columnOf is where the second column of rows begins. A first column that
// reaches further has a line of its own.
func columnOf(rows [][2]string) (column int) {
	const furthest = 28
	for _, r := range rows {
		if n := 2 + len(r[0]) + 2; n <= furthest {
			column = max(column, n)
		}
	}
	return column
}

// helpList writes a heading and rows of two columns.
func helpList(b *strings.Builder, title string, rows [][2]string, column int) {
	fmt.Fprintf(b, "\n%s\n", title)
	for _, r := range rows {
		lines := wrap(r[1], Width-column)
		left := "  " + r[0]
		if len(left)+2 > column {
			fmt.Fprintln(b, left)
			left = ""
		}
		for _, line := range lines {
			fmt.Fprintf(b, "%-*s%s\n", column, left, line)
			left = ""
		}
	}
}

func (g verbGroup) rows() (rows [][2]string) {
	for _, v := range g.verbs {
		rows = append(rows, [2]string{v.Name, v.Usage})
	}
	return rows
}

// rows are the flags as their names and what they do.
func (g optionGroup) rows() (rows [][2]string) {
	for _, o := range g.options {
		left := "    " // the place of a short name
		for _, n := range o.Names[1:] {
			left = "-" + n + ", "
		}
		left += "--" + o.Names[0]
		if o.Takes {
			left += " " + o.Placeholder
		}
		rows = append(rows, [2]string{left, o.About()})
	}
	return rows
}

// About is what a flag does, and its default.
func (o Option) About() string {
	if o.Default == "" || strings.Contains(o.Usage, "(default") {
		return o.Usage
	}
	// "0: one a core" says what the default means.
	for _, before := range []string{"; ", ", "} {
		if head, tail, ok := strings.Cut(o.Usage, before+o.Default+": "); ok {
			end := strings.IndexAny(tail+",", ",;")
			return head + before + o.Default + ": " + tail[:end] + " (default)" + tail[end:]
		}
	}
	return o.Usage + " (default: " + o.Default + ")"
}

// paragraphs are the parts of a text between empty lines, each as one line.
func paragraphs(text string) (found []string) {
	for _, p := range strings.Split(text, "\n\n") {
		if p != "" {
			found = append(found, strings.Join(strings.Fields(p), " "))
		}
	}
	return found
}

// wrap breaks a text between words, into lines of at most so many characters
// where words allow it.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// shellWrap breaks command lines that are too long in front of flags.
func shellWrap(command string, width int) string {
	var lines []string
	for _, line := range strings.Split(command, "\n") {
		for len(line) > width {
			at := strings.LastIndex(line[:width-1], " -")
			if at < 0 {
				break
			}
			lines = append(lines, line[:at]+` \`)
			line = "   " + line[at:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (v *Verb) guide() Guide { return v.program.Guides[v.Path] }

// synopsis is the lines that show how a verb is called.
func (v *Verb) synopsis() []string { return strings.Split(v.guide().Synopsis, "\n") }
