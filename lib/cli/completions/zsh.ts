/**
 * Completions for zsh.
 *
 * @module
 */

import { shellQuote } from "../shell_word.ts";
import { argumentsOf, choicesOf, type CompletionNode, fileArgumentsOf, flagsOf } from "./tree.ts";

/** A script for zsh 5 or later: a file named `_mc_proxy` in a folder of `fpath`, or sourced behind `compinit`. */
export function zshScript(programs: readonly string[], nodes: readonly CompletionNode[]): string {
  const paths = nodes.map(({ path }) => path).filter((path) => path.includes(" "));
  // In what _describe takes, a colon divides a word from what is said of it.
  const described = (word: string, description: string) => shellQuote(`${word.replaceAll(":", "\\:")}:${description}`);
  return `#compdef ${programs.join(" ")}
# zsh completion for ${programs.join(" and ")}

_mc_proxy() {
  local at=\${words[1]:t} cur=\${words[CURRENT]} word option=''
  local -i count=0
  local -a found
  case $at in (${programs.join("|")}) ;; (*) at=${programs[0]} ;; esac

  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $option ]]; then option=''; continue; fi
    case $word in
      (${flagsOf(nodes, (value) => value !== "none").join("|")}) option=$word ;;
      (-*) ;;
      (*)
        case "$at $word" in
          (${paths.map(shellQuote).join("|")}) at+=" $word" ;;
          (*) count+=1 ;;
        esac ;;
    esac
  done
  if [[ -z $option && $cur == --*=* ]]; then
    option=\${cur%%=*}
    compset -P '*='
  fi

  case $option in
    (${flagsOf(nodes, (value) => value === "file").join("|")}) _files; return ;;
${choicesOf(nodes).map(([flag, choices]) => `    (${flag}) found=(${choices.map(shellQuote).join(" ")}) ;;`).join("\n")}
    ('')
      if [[ $cur == -* ]]; then
        case $at in
${
    nodes.filter(({ options }) => options.length > 0).map(({ path, options }) => {
      const all = options.flatMap(({ flags, description }) => flags.map((flag) => described(flag, description)));
      return `          (${shellQuote(path)}) found=(${all.join(" ")}) ;;`;
    }).join("\n")
  }
        esac
        _describe -o option found
        return
      fi
      case "$at $count" in
        (${fileArgumentsOf(nodes).map(([path, i]) => shellQuote(`${path} ${i}`)).join("|")}) _files; return ;;
${
    nodes.filter(({ commands }) => commands.length > 0).map(({ path, commands }) => {
      const all = commands.map(({ name, description }) => described(name, description));
      return `        (${shellQuote(`${path} 0`)}) found=(${all.join(" ")}) ;;`;
    }).join("\n")
  }
${
    argumentsOf(nodes).map(([path, i, choices]) =>
      `        (${shellQuote(`${path} ${i}`)}) found=(${choices.map(shellQuote).join(" ")}) ;;`
    ).join("\n")
  }
      esac ;;
  esac
  _describe value found
}

# As a file of fpath, this is the body of the function itself.
if [[ \${funcstack[1]} == _mc[-_]proxy ]]; then
  _mc_proxy "$@"
else
  compdef _mc_proxy ${programs.join(" ")}
fi
`;
}
