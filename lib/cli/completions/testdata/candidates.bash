# Prints what bash would offer at the end of each line of standard input: bash candidates.bash SCRIPT < LINES
source "$1"
compopt() { [[ $* == '-o default' ]] && COMPREPLY=('FILES'); } # a builtin that works during a real completion only
while IFS= read -r COMP_LINE; do
  COMP_POINT=${#COMP_LINE}
  COMPREPLY=()
  _mc_proxy
  echo "${COMPREPLY[*]}"
done
