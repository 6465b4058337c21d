package cli

import (
	"fmt"
	"io"
	"strings"

	cli "github.com/urfave/cli/v2"
)

// shells are those that rtx completion knows.
var shells = map[string]func(root verb) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes rtx's command lines in a shell", ArgsUsage: "bash|zsh|fish",
		Description: "The script is complete in itself: it does not run rtx.",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return &usageError{msg: fmt.Sprintf("completion takes one shell, found %d", c.NArg()), hint: "rtx completion bash, zsh or fish"}
			}
			script, ok := shells[c.Args().First()]
			if !ok {
				known := []string{"bash", "zsh", "fish"}
				return &usageError{msg: fmt.Sprintf("unknown shell %q, expected bash, zsh or fish", c.Args().First()), hint: suggest(c.Args().First(), known, "rtx completion bash")}
			}
			_, err := io.WriteString(e.stdout, script(commandTree(commands(e))))
			return err
		},
	}
}

// bashScript answers with the words themselves, and adds the descriptions
// where bash only lists. It holds to bash 3.2, which macOS has; there, file
// names with blanks are not quoted.
func bashScript(root verb) string {
	var path, value, flags, words []string
	root.walk(func(v verb) {
		if v.path != "" {
			parent := strings.TrimSuffix(strings.TrimSuffix(v.path, v.name), " ")
			path = append(path, quote(parent+" "+v.name))
		}
		var all []string
		for _, o := range v.options {
			var at []string
			for _, n := range o.dashed() {
				all = append(all, n, quote(o.usage))
				at = append(at, quote(v.path+":"+n))
			}
			if o.takes {
				value = append(value, fmt.Sprintf("%s) %s; return ;;", strings.Join(at, "|"), bashAction(o.completes)))
			}
		}
		flags = append(flags, fmt.Sprintf("%s) _rtx_words %s ;;", quote(v.path), strings.Join(all, " ")))
		action := bashAction(v.takes)
		for i, s := range v.verbs {
			if i == 0 {
				action = "_rtx_words"
			}
			action += " " + s.name + " " + quote(s.usage)
		}
		if action != ":" {
			words = append(words, fmt.Sprintf("%s) %s; return ;;", quote(v.path), action))
		}
	})
	indent := func(lines []string) string { return "        " + strings.Join(lines, "\n        ") }
	return strings.NewReplacer("@PATH@", strings.Join(path, "|"), "@VALUE@", indent(value), "@FLAGS@", indent(flags), "@WORDS@", indent(words)).Replace(bashTemplate)
}

func bashAction(c completes) string {
	switch {
	case len(c.words) > 0:
		return "_rtx_words " + strings.Join(c.words, " '' ") + " ''"
	case c.files:
		return "_rtx_paths -f"
	case c.folders:
		return "_rtx_paths -d"
	}
	return ":"
}

const bashTemplate = `# bash completion of rtx, made by: rtx completion bash

# _rtx_words WORD DESCRIPTION ... offers the words that begin like $cur.
_rtx_words() {
    local about=() i line
    while [ $# -gt 1 ]; do
        case "$1" in "$cur"*) COMPREPLY+=("$1"); about+=("$2") ;; esac
        shift 2
    done
    case "${COMP_TYPE:-9}" in 33|63|64) ;; *) return ;; esac # others insert
    [ ${#COMPREPLY[@]} -gt 1 ] || return 0
    for i in "${!COMPREPLY[@]}"; do
        [ -n "${about[i]}" ] || continue
        printf -v line '%-15s  %s' "${COMPREPLY[i]}" "${about[i]}"
        COMPREPLY[i]="${line:0:${COLUMNS:-80}-1}"
    done
}

# _rtx_paths -f|-d offers files or folders.
_rtx_paths() {
    local path
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$1" -- "$cur")
}

_rtx() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" verb="" i
    COMPREPLY=()
    # bash takes --flag=value for three words.
    if [ "$cur" = "=" ]; then cur=""; elif [ "$prev" = "=" ]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$verb ${COMP_WORDS[i]}" in
        @PATH@) verb="${verb:+$verb }${COMP_WORDS[i]}" ;;
        *) break ;;
        esac
    done
    case "$verb:$prev" in
@VALUE@
    esac
    case "$cur" in -*) ;; *)
        case "$verb" in
@WORDS@
        esac ;;
    esac
    case "$verb" in
@FLAGS@
    esac
}

complete -o nosort -F _rtx rtx 2>/dev/null || complete -F _rtx rtx # before bash 4.4
`

// zshScript is a function for each verb, of zsh's own _arguments.
func zshScript(root verb) string {
	var b strings.Builder
	b.WriteString("#compdef rtx\n# zsh completion of rtx, made by: rtx completion zsh\n")
	root.walk(func(v verb) {
		var specs []string
		for _, o := range v.options {
			specs = append(specs, zshOption(o))
		}
		fmt.Fprintf(&b, "\n%s() {\n", zshFunction(v.path))
		if len(v.verbs) == 0 {
			if v.argument != "" {
				place := "1"
				if strings.Contains(v.argument, "...") {
					place = "*"
				}
				specs = append(specs, quote(place+":"+zshEscape(v.argument)+":"+zshAction(v.takes)))
			}
			fmt.Fprintf(&b, "    _arguments \\\n        %s\n}\n", strings.Join(specs, " \\\n        "))
			return
		}
		var list, branches []string
		for _, s := range v.verbs {
			list = append(list, quote(s.name+":"+s.usage))
			branches = append(branches, fmt.Sprintf("%s) %s && ret=0 ;;", s.name, zshFunction(s.path)))
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

func zshOption(o option) string {
	about, value := "["+zshEscape(o.usage)+"]", ""
	if o.takes {
		value = ":" + zshEscape(o.label) + ":" + zshAction(o.completes)
	}
	var forms []string
	for _, n := range o.dashed() {
		if o.takes && strings.HasPrefix(n, "--") {
			n += "="
		}
		forms = append(forms, n)
	}
	if len(forms) == 1 {
		return quote(forms[0] + about + value)
	}
	return fmt.Sprintf("'(%s)'{%s}%s", strings.Join(o.dashed(), " "), strings.Join(forms, ","), quote(about+value))
}

func zshAction(c completes) string {
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

// fishScript has a line for each verb and flag.
func fishScript(root verb) string {
	var path []string
	var b strings.Builder
	root.walk(func(v verb) {
		at := fmt.Sprintf("complete -c rtx -n %s", fishQuote("__rtx_at "+v.path))
		if v.path != "" {
			path = append(path, fishQuote(strings.TrimSuffix(strings.TrimSuffix(v.path, v.name), " ")+" "+v.name))
		}
		for _, s := range v.verbs {
			fmt.Fprintf(&b, "%s -a %s -d %s\n", at, s.name, fishQuote(s.usage))
		}
		if a := fishAction(v.takes); a != "" {
			fmt.Fprintf(&b, "%s %s\n", at, a)
		}
		for _, o := range v.options {
			line := at
			for _, n := range o.names {
				line += map[bool]string{true: " -s ", false: " -l "}[len(n) == 1] + n
			}
			if a := fishAction(o.completes); o.takes && a == "" {
				line += " -r -f"
			} else if o.takes {
				line += " -r " + a
			}
			fmt.Fprintf(&b, "%s -d %s\n", line, fishQuote(o.usage))
		}
	})
	return fmt.Sprintf(fishTemplate, strings.Join(path, " ")) + b.String()
}

func fishAction(c completes) string {
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

// quote makes a word of sh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
