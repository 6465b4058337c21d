package cli

import (
	"fmt"
	"io"
	"strings"

	cli "github.com/urfave/cli/v2"
)

// helpWidth is the longest line of a help text.
const helpWidth = 80

func init() { cli.HelpPrinter = printHelp }

// printHelp is the library's hook: data is the *cli.App or the *cli.Command
// that help was asked for. The library's own templates sort flags and their
// categories by the alphabet.
func printHelp(w io.Writer, _ string, data any) {
	switch data := data.(type) {
	case *cli.App:
		io.WriteString(w, helpText(commandTree(data.Commands)))
	case *cli.Command:
		path := strings.TrimPrefix(data.HelpName, "rtx ")
		io.WriteString(w, helpText(verbOf(data, strings.TrimSuffix(strings.TrimSuffix(path, data.Name), " "))))
	}
}

// helpText is what --help prints.
func helpText(v verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\n", strings.TrimSpace("rtx "+v.path), v.usage)
	fmt.Fprintf(&b, "Usage: %s\n", strings.Join(v.synopsis(), "\n       "))
	for _, p := range paragraphs(v.description) {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap(p, helpWidth), "\n"))
	}
	if examples := guides[v.path].examples; examples != nil {
		b.WriteString("\nExamples\n")
		for _, x := range examples {
			fmt.Fprintf(&b, "  # %s\n  %s\n", x.does, strings.ReplaceAll(shellWrap(x.line, helpWidth-2), "\n", "\n  "))
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
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap(p, helpWidth), "\n"))
	}
	return b.String()
}

const withoutRuntime = "import, export, inspect, models, new, merge, plot and probe need no onnxruntime; it makes probe faster."

// epilogue is what a help text ends with.
func (v verb) epilogue() (text []string) {
	if v.path == "" {
		return []string{"rtx VERB --help tells more about a verb, rtx man prints the manual. " + withoutRuntime}
	}
	var variable, config string
	for _, o := range v.options {
		if variable == "" && o.variable != "" && o.takes {
			variable = fmt.Sprintf("Each flag can also be set by an environment variable, such as %s for --%s", o.variable, o.names[0])
		}
		if o.names[0] == "config" {
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
		lines := wrap(r[1], helpWidth-column)
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
		rows = append(rows, [2]string{v.name, v.usage})
	}
	return rows
}

// rows are the flags as their names and what they do.
func (g optionGroup) rows() (rows [][2]string) {
	for _, o := range g.options {
		left := "    " // the place of a short name
		for _, n := range o.names[1:] {
			left = "-" + n + ", "
		}
		left += "--" + o.names[0]
		if o.takes {
			left += " " + o.placeholder
		}
		rows = append(rows, [2]string{left, o.about()})
	}
	return rows
}

// about is what a flag does, and its default.
func (o option) about() string {
	if o.value == "" || strings.Contains(o.usage, "(default") {
		return o.usage
	}
	// "0: one a core" says what the default means.
	for _, before := range []string{"; ", ", "} {
		if head, tail, ok := strings.Cut(o.usage, before+o.value+": "); ok {
			end := strings.IndexAny(tail+",", ",;")
			return head + before + o.value + ": " + tail[:end] + " (default)" + tail[end:]
		}
	}
	return o.usage + " (default: " + o.value + ")"
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

// synopsis is the lines that show how a verb is called.
func (v verb) synopsis() []string { return strings.Split(guides[v.path].synopsis, "\n") }
