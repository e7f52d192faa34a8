# Prints what zsh offers at the end of each line of standard input: zsh -f candidates.zsh SCRIPT < LINES
#
# A second zsh, on a terminal of its own, is asked as a user would: by the line and a press of the tab key.
zmodload zsh/zpty
zpty asked "TERM=dumb zsh -f -i"
zpty -w asked "PS1= PROMPT_EOL_MARK= SCRIPT=${(q)1}"
zpty -w asked '
autoload -Uz compinit && compinit -D -u
source $SCRIPT
_files() { print -rl -- "" "<FILES>"; return 1 }
compadd() {
  local -a hits
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- "" "<"$^hits">"
  return 0
}
complete() { zle complete-word; print -r -- "<E""ND>"; zle kill-buffer }
zle -N complete
bindkey "^I" complete
print -r -- "<RE""ADY>"'
zpty -r asked answer '*<READY>*'
while IFS= read -r line; do
  zpty -n -w asked "$line"$'\t'
  zpty -r asked answer '*<END>*'
  answer=${answer//$'\r'/}
  found=(${(M)${(f)answer}:#\<*\>})
  print -r -- ${${found:#\<END\>}//[<>]}
done
zpty -d asked
