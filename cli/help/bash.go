package help

import (
	"fmt"
	"strings"
)

// Bash is the script that completes rtx's command lines in bash. It answers with
// the words themselves, and adds descriptions where bash only lists them. It uses
// nothing that bash 3.2 lacks, which macOS has; there, file names with blanks are
// not quoted.
func (root *Verb) Bash() string {
	var path, value, flags, words []string
	root.Walk(func(v *Verb) {
		if v.Path != "" {
			parent := strings.TrimSuffix(strings.TrimSuffix(v.Path, v.Name), " ")
			path = append(path, quote(parent+" "+v.Name))
		}
		var all []string
		for _, o := range v.Options {
			var at []string
			for _, n := range o.dashed() {
				all = append(all, n, quote(o.Usage))
				at = append(at, quote(v.Path+":"+n))
			}
			if o.Takes {
				value = append(value, fmt.Sprintf("%s) %s; return ;;", strings.Join(at, "|"), bashAction(o.completes)))
			}
		}
		flags = append(flags, fmt.Sprintf("%s) _rtx_words %s ;;", quote(v.Path), strings.Join(all, " ")))
		action := bashAction(v.takes)
		for i, s := range v.Verbs {
			if i == 0 {
				action = "_rtx_words"
			}
			action += " " + s.Name + " " + quote(s.Usage)
		}
		if action != ":" {
			words = append(words, fmt.Sprintf("%s) %s; return ;;", quote(v.Path), action))
		}
	})
	indent := func(lines []string) string { return "        " + strings.Join(lines, "\n        ") }
	return strings.NewReplacer("@PATH@", strings.Join(path, "|"), "@VALUE@", indent(value), "@FLAGS@", indent(flags), "@WORDS@", indent(words)).Replace(bashTemplate)
}

func bashAction(c values) string {
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

// quote makes a word of sh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
