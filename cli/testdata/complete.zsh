# zsh -f complete.zsh FOLDER LINE: what zsh offers for the command line, with
# the completions in FOLDER, one word a line. Tab is pressed in a terminal of
# its own, as completion works in no other place.
zmodload zsh/zpty
folder=$1 line=$2 offers=$(mktemp)
zpty -b terminal zsh -f -i
zpty -w terminal "
PS1= fpath=($folder \$fpath)
autoload -U compinit && compinit -u -D
offer() {
    compadd() {
        local -a found
        builtin compadd -O found \"\$@\"
        (( \$#found )) && print -l -- \$found >> $offers
        builtin compadd \"\$@\"
    }
    _main_complete
    print '<end>' >> $offers
}
zle -C offer complete-word offer
bindkey '^I' offer
print '<ready>' >> $offers"
for mark in '<ready>' '<end>'; do
    [[ $mark == '<end>' ]] && zpty -w -n terminal "$line"$'\t'
    for ((i = 0; i < 500; i++)); do
        grep -qx "$mark" $offers && break
        zpty -r -t terminal >/dev/null
        sleep 0.02
    done
done
zpty -d terminal
cat $offers
rm -f $offers
