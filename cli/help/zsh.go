package help

import (
	"fmt"
	"strings"
)

// Zsh is the script that completes rtx's command lines in zsh: a function for each
// verb, by zsh's own _arguments.
func (root *Verb) Zsh() string {
	var b strings.Builder
	b.WriteString("#compdef rtx\n# zsh completion of rtx, made by: rtx completion zsh\n")
	root.Walk(func(v *Verb) {
		var specs []string
		for _, o := range v.Options {
			specs = append(specs, zshOption(o))
		}
		fmt.Fprintf(&b, "\n%s() {\n", zshFunction(v.Path))
		if len(v.Verbs) == 0 {
			if v.Argument != "" {
				place := "1"
				if strings.Contains(v.Argument, "...") {
					place = "*"
				}
				specs = append(specs, quote(place+":"+zshEscape(v.Argument)+":"+zshAction(v.takes)))
			}
			fmt.Fprintf(&b, "    _arguments \\\n        %s\n}\n", strings.Join(specs, " \\\n        "))
			return
		}
		var list, branches []string
		for _, s := range v.Verbs {
			list = append(list, quote(s.Name+":"+s.Usage))
			branches = append(branches, fmt.Sprintf("%s) %s && ret=0 ;;", s.Name, zshFunction(s.Path)))
		}
		specs = append(specs, "'1: :->verb'", "'*:: :->rest'")
		fmt.Fprintf(&b, "    local curcontext=\"$curcontext\" state line ret=1\n    typeset -A opt_args\n    local -a verbs\n    verbs=(\n        %s\n    )\n",
			strings.Join(list, "\n        "))
		fmt.Fprintf(&b, "    _arguments -C \\\n        %s && ret=0\n", strings.Join(specs, " \\\n        "))
		fmt.Fprintf(&b, "    case $state in\n    verb) _describe -t commands verb verbs && ret=0 ;;\n    rest)\n        case $words[1] in\n        %s\n        esac ;;\n    esac\n    return ret\n}\n",
			strings.Join(branches, "\n        "))
	})
	// Flags are listed by group, not by the alphabet.
	b.WriteString("\nzstyle ':completion:*:*:rtx:*:options' sort false\n")
	// As a file of $fpath the text is the body of _rtx at its first call.
	b.WriteString("\nif [[ $funcstack[1] == _rtx ]]; then\n    _rtx \"$@\"\nelse\n    compdef _rtx rtx\nfi\n")
	return b.String()
}

func zshFunction(path string) string {
	return strings.TrimSuffix("_rtx_"+strings.NewReplacer(" ", "_", "-", "_").Replace(path), "_")
}

func zshOption(o Option) string {
	about, value := "["+zshEscape(o.Usage)+"]", ""
	if o.Takes {
		value = ":" + zshEscape(o.label) + ":" + zshAction(o.completes)
	}
	var forms []string
	for _, n := range o.dashed() {
		if o.Takes && strings.HasPrefix(n, "--") {
			n += "="
		}
		forms = append(forms, n)
	}
	if len(forms) == 1 {
		return quote(forms[0] + about + value)
	}
	return fmt.Sprintf("'(%s)'{%s}%s", strings.Join(o.dashed(), " "), strings.Join(forms, ","), quote(about+value))
}

func zshAction(c values) string {
	switch {
	case len(c.words) > 0:
		return "(" + strings.Join(c.words, " ") + ")"
	case c.files:
		return "_files"
	case c.folders:
		return "_files -/"
	}
	return " "
}

func zshEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}
