package cli

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	cli "github.com/urfave/cli/v2"
)

// allVerbs are the nodes of the command tree, rtx itself among them.
func allVerbs() (all []verb) {
	commandTree(commands(&env{})).walk(func(v verb) { all = append(all, v) })
	return all
}

// TestGroups holds that each flag and each verb has a heading, and that the
// tables name nothing else and nothing twice.
func TestGroups(t *testing.T) {
	usedFlags, usedVerbs := map[string]bool{}, map[string]bool{}
	for _, v := range allVerbs() {
		for _, o := range v.options {
			names := []string{v.name + ":" + o.names[0], o.names[0]}
			at := slices.IndexFunc(names, func(n string) bool { return placeOf(flagGroups, n)[0] < len(flagGroups) })
			if at < 0 {
				t.Errorf("--%s of rtx %s is in no group of flagGroups", o.names[0], v.path)
				continue
			}
			usedFlags[names[at]] = true
		}
		if v.path == v.name {
			if placeOf(verbGroups, v.name)[0] == len(verbGroups) {
				t.Errorf("rtx %s is in no group of verbGroups", v.path)
			}
			usedVerbs[v.name] = true
		}
	}
	for _, table := range []struct {
		groups []group
		used   map[string]bool
	}{{flagGroups, usedFlags}, {verbGroups, usedVerbs}} {
		seen := map[string]bool{}
		for _, g := range table.groups {
			for _, m := range g.members {
				if !table.used[m] {
					t.Errorf("%q in the group %s stands for nothing", m, g.title)
				}
				if seen[m] {
					t.Errorf("%q is in two groups", m)
				}
				seen[m] = true
			}
		}
	}
}

// TestGuides calls rtx with each example: verb, flags and arguments must
// exist.
func TestGuides(t *testing.T) {
	paths := map[string]bool{}
	for _, v := range allVerbs() {
		paths[v.path] = true
		g := guides[v.path]
		if len(g.examples) == 0 || !strings.Contains(g.synopsis, strings.TrimSpace("rtx "+v.path)) {
			t.Errorf("rtx %s has no guide", v.path)
		}
		if missing := slices.DeleteFunc(strings.Split(v.argument, " "), func(a string) bool {
			return strings.Contains(g.synopsis, strings.Trim(a, "[]"))
		}); len(missing) > 0 {
			t.Errorf("rtx %s: the synopsis lacks %q", v.path, missing)
		}
		for _, x := range g.examples {
			for _, m := range regexp.MustCompile(`rtx ([a-z][^|>)\n]*)`).FindAllStringSubmatch(x.line, -1) {
				ran, err := parse(strings.Fields(strings.ReplaceAll(m[1], "'", "")))
				if err != nil || v.path != "" && ran != "rtx "+v.path && !strings.HasPrefix(ran, "rtx "+v.path+" ") {
					t.Errorf("rtx %s: the example %q calls %q: %v", v.path, x.line, ran, err)
				}
			}
		}
	}
	for path := range guides {
		if !paths[path] {
			t.Errorf("there is a guide to %q, which is no verb", path)
		}
	}
}

// parse reads a command line as Main does, and tells which verb would run.
func parse(args []string) (ran string, err error) {
	var out bytes.Buffer
	app := newApp(&env{stdout: &out, stderr: &out})
	var record func([]*cli.Command)
	record = func(verbs []*cli.Command) {
		for _, c := range verbs {
			c.Action = func(c *cli.Context) error { ran = c.Command.HelpName; return nil }
			record(c.Subcommands)
		}
	}
	record(app.Commands)
	if args, err = arrange(app, args); err != nil {
		return "", err
	}
	return ran, app.Run(append([]string{"rtx"}, args...))
}

// TestHelp looks at the help of each verb as a reader does.
func TestHelp(t *testing.T) {
	for _, v := range allVerbs() {
		help := func(args ...string) string {
			var out, diag bytes.Buffer
			if code := Main(args, &out, &diag); code != 0 || diag.Len() > 0 {
				t.Errorf("%q: exit %d, %s", args, code, diag.String())
			}
			return out.String()
		}
		path := strings.Fields(v.path)
		text := help(append(slices.Clone(path), "--help")...)
		if other := help(append([]string{"help"}, path...)...); other != text {
			t.Errorf("rtx help %s differs:\n%s", v.path, other)
		}
		if !strings.HasPrefix(text, strings.TrimSpace("rtx "+v.path)+" - ") || !strings.Contains(text, "\nUsage: rtx ") || !strings.Contains(text, "\nExamples\n") {
			t.Errorf("rtx %s:\n%s", v.path, text)
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > helpWidth || line != strings.TrimRight(line, " ") {
				t.Errorf("rtx %s: %q", v.path, line)
			}
		}
		for _, o := range v.options {
			if n := len(regexp.MustCompile(`(?m)^  (-.,|   ) --`+o.names[0]+`( [A-Z]\S*)?(  |$)`).FindAllString(text, -1)); n != 1 {
				t.Errorf("rtx %s: --%s stands there %d times", v.path, o.names[0], n)
			}
			if o.names[0] != "help" && o.variable != variable(o.names[0]) {
				t.Errorf("rtx %s: --%s is set by %s, which is not what the help says", v.path, o.names[0], o.variable)
			}
			if about := o.about(); strings.Count(about, "(default") > 1 ||
				o.takes && o.value != "" && !strings.Contains(about, "default") {
				t.Errorf("rtx %s: --%s: %s", v.path, o.names[0], about)
			}
		}
	}
}

// TestHelpOrder holds that a verb's flags come by group, in the table's order.
func TestHelpOrder(t *testing.T) {
	var out bytes.Buffer
	Main([]string{"finetune", "--help"}, &out, &out)
	from := 0
	for _, want := range []string{"\nInput\n", " --model ", " --data ", "\nOutput\n", " --out ", "\nTraining\n", " --epochs ", " --batch-size ", "\nOptimizer\n", " --lr ",
		"\nAugmentation\n", "\nPreprocessing\n", " --input-size ", "\nMachine\n", " --device ", "\nGeneral\n", " --json ", " --help "} {
		at := strings.Index(out.String()[from:], want)
		if at < 0 {
			t.Fatalf("no %q after:\n%s", want, out.String()[:from])
		}
		from += at
	}
}

func TestAbout(t *testing.T) {
	for _, c := range []struct{ usage, value, want string }{
		{"threads; 0: one a core", "0", "threads; 0: one a core (default)"},
		{"stop after N; 0: the recipe's, -1: never", "0", "stop after N; 0: the recipe's (default), -1: never"},
		{"stop after N; 0: the recipe's, -1: never", "-1", "stop after N; 0: the recipe's, -1: never (default)"},
		{"stop after N; 0: never", "10", "stop after N; 0: never (default: 10)"},
		{"rate (default: the recipe's)", "1", "rate (default: the recipe's)"},
		{"rate", "", "rate"},
	} {
		if got := (option{usage: c.usage, value: c.value}).about(); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.usage, c.value, got, c.want)
		}
	}
}

func TestParagraphs(t *testing.T) {
	got := paragraphs("one\ntwo\n\nthree")
	if want := []string{"one two", "three"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
