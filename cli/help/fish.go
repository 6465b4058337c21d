package help

import (
	"fmt"
	"strings"
)

// Fish is the script that completes rtx's command lines in fish: a line for each
// verb and flag.
func (root *Verb) Fish() string {
	var path []string
	var b strings.Builder
	root.Walk(func(v *Verb) {
		at := fmt.Sprintf("complete -c rtx -n %s", fishQuote("__rtx_at "+v.Path))
		if v.Path != "" {
			path = append(path, fishQuote(strings.TrimSuffix(strings.TrimSuffix(v.Path, v.Name), " ")+" "+v.Name))
		}
		for _, s := range v.Verbs {
			fmt.Fprintf(&b, "%s -a %s -d %s\n", at, s.Name, fishQuote(s.Usage))
		}
		if a := fishAction(v.takes); a != "" {
			fmt.Fprintf(&b, "%s %s\n", at, a)
		}
		for _, o := range v.Options {
			line := at
			for _, n := range o.Names {
				line += map[bool]string{true: " -s ", false: " -l "}[len(n) == 1] + n
			}
			if a := fishAction(o.completes); o.Takes && a == "" {
				line += " -r -f"
			} else if o.Takes {
				line += " -r " + a
			}
			fmt.Fprintf(&b, "%s -d %s\n", line, fishQuote(o.Usage))
		}
	})
	return fmt.Sprintf(fishTemplate, strings.Join(path, " ")) + b.String()
}

func fishAction(c values) string {
	switch {
	case len(c.words) > 0:
		return "-f -a " + fishQuote(strings.Join(c.words, " "))
	case c.files:
		return "-F"
	case c.folders:
		return "-f -a '(__fish_complete_directories)'"
	}
	return ""
}

const fishTemplate = `# fish completion of rtx, made by: rtx completion fish

# __rtx_at VERB... tells whether the command line's verb is this one.
function __rtx_at
    set -l verb
    for word in (commandline -opc)[2..-1]
        switch "$verb $word"
            case %s
                set verb (string trim -- "$verb $word")
            case '*'
                break
        end
    end
    test "$verb" = "$argv"
end

complete -c rtx -f
`

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
