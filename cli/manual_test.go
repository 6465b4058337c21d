package cli

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/help"
)

// allVerbs are the nodes of the tree of verbs, rtx itself among them.
func allVerbs() (all []*help.Verb) {
	help.Describe(commands(&env{}), program()).Walk(func(v *help.Verb) { all = append(all, v) })
	return all
}

// TestGroups holds that each flag and each verb has a heading, and that the
// tables name nothing else and nothing twice.
func TestGroups(t *testing.T) {
	usedFlags, usedVerbs, p := map[string]bool{}, map[string]bool{}, program()
	for _, v := range allVerbs() {
		for _, o := range v.Options {
			at := p.PlaceFlag(v, o.Names[0])
			if at[0] == len(flagGroups) {
				t.Errorf("--%s of rtx %s is in no group of flagGroups", o.Names[0], v.Path)
				continue
			}
			usedFlags[flagGroups[at[0]].Members[at[1]]] = true
		}
		if v.Path == v.Name {
			if !slices.ContainsFunc(verbGroups, func(g help.Group) bool { return slices.Contains(g.Members, v.Name) }) {
				t.Errorf("rtx %s is in no group of verbGroups", v.Path)
			}
			usedVerbs[v.Name] = true
		}
	}
	for _, table := range []struct {
		groups []help.Group
		used   map[string]bool
	}{{flagGroups, usedFlags}, {verbGroups, usedVerbs}} {
		seen := map[string]bool{}
		for _, g := range table.groups {
			for _, m := range g.Members {
				if !table.used[m] {
					t.Errorf("%q in the group %s stands for nothing", m, g.Title)
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
		paths[v.Path] = true
		g := guides[v.Path]
		if len(g.Examples) == 0 || !strings.Contains(g.Synopsis, strings.TrimSpace("rtx "+v.Path)) {
			t.Errorf("rtx %s has no guide", v.Path)
		}
		if missing := slices.DeleteFunc(strings.Split(v.Argument, " "), func(a string) bool {
			return strings.Contains(g.Synopsis, strings.Trim(a, "[]"))
		}); len(missing) > 0 {
			t.Errorf("rtx %s: the synopsis lacks %q", v.Path, missing)
		}
		for _, x := range g.Examples {
			for _, m := range regexp.MustCompile(`rtx ([a-z][^|>)\n]*)`).FindAllStringSubmatch(x.Line, -1) {
				ran, err := parse(strings.Fields(strings.ReplaceAll(m[1], "'", "")))
				if err != nil || v.Path != "" && ran != "rtx "+v.Path && !strings.HasPrefix(ran, "rtx "+v.Path+" ") {
					t.Errorf("rtx %s: the example %q calls %q: %v", v.Path, x.Line, ran, err)
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
		printed := func(args ...string) string {
			var out, diag bytes.Buffer
			if code := Main(args, &out, &diag); code != 0 || diag.Len() > 0 {
				t.Errorf("%q: exit %d, %s", args, code, diag.String())
			}
			return out.String()
		}
		path := strings.Fields(v.Path)
		text := printed(append(slices.Clone(path), "--help")...)
		if other := printed(append([]string{"help"}, path...)...); other != text {
			t.Errorf("rtx help %s differs:\n%s", v.Path, other)
		}
		if !strings.HasPrefix(text, strings.TrimSpace("rtx "+v.Path)+" - ") || !strings.Contains(text, "\nUsage: rtx ") || !strings.Contains(text, "\nExamples\n") {
			t.Errorf("rtx %s:\n%s", v.Path, text)
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > help.Width || line != strings.TrimRight(line, " ") {
				t.Errorf("rtx %s: %q", v.Path, line)
			}
		}
		for _, o := range v.Options {
			if n := len(regexp.MustCompile(`(?m)^  (-.,|   ) --`+o.Names[0]+`( [A-Z]\S*)?(  |$)`).FindAllString(text, -1)); n != 1 {
				t.Errorf("rtx %s: --%s stands there %d times", v.Path, o.Names[0], n)
			}
			if vars := variablesOf(v.Path, o.Names[0]); o.Names[0] != "help" && o.Variable != vars[len(vars)-1] {
				t.Errorf("rtx %s: --%s is set by %s, which is not what the help says", v.Path, o.Names[0], o.Variable)
			}
			if about := o.About(); strings.Count(about, "(default") > 1 ||
				o.Takes && o.Default != "" && !strings.Contains(about, "default") {
				t.Errorf("rtx %s: --%s: %s", v.Path, o.Names[0], about)
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
