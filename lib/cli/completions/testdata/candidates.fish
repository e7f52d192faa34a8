# Prints what fish offers at the end of each line of standard input: fish candidates.fish SCRIPT < LINES
source $argv[1]
while read -l line
    echo (complete -C "$line" | string replace -r '\t.*' '')
end
