/**
 * Completions for bash.
 *
 * @module
 */

import { shellQuote } from "../shell_word.ts";
import { argumentsOf, choicesOf, type CompletionNode, fileArgumentsOf, flagsOf } from "./tree.ts";

/**
 * A script for bash 4 or later.
 *
 * It goes by the line and not by `COMP_WORDS`, where `:443` is two words.
 */
export function bashScript(programs: readonly string[], nodes: readonly CompletionNode[]): string {
  const paths = nodes.map(({ path }) => path).filter((path) => path.includes(" "));
  const words = (names: readonly string[]) => shellQuote(names.join(" "));
  return `# bash completion for ${programs.join(" and ")}

_mc_proxy() {
  local line=\${COMP_LINE:0:COMP_POINT} cur='' at word option='' candidates=''
  local -i count=0
  local -a words
  read -a words <<< "$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=\${words[\${#words[@]}-1]}
    unset "words[\${#words[@]}-1]"
  fi
  at=\${words[0]##*/}
  case $at in ${programs.join("|")}) ;; *) at=${programs[0]} ;; esac

  for word in "\${words[@]:1}"; do
    if [[ $option ]]; then option=''; continue; fi
    case $word in
      ${flagsOf(nodes, (value) => value !== "none").join("|")}) option=$word ;;
      -*) ;;
      *)
        case "$at $word" in
          ${paths.map(shellQuote).join("|")}) at+=" $word" ;;
          *) count+=1 ;;
        esac ;;
    esac
  done
  if [[ ! $option && $cur == --*=* ]]; then
    option=\${cur%%=*}
    cur=\${cur#*=}
  fi

  case $option in
    ${flagsOf(nodes, (value) => value === "file").join("|")})
      compopt -o default # readline completes the names of files
      return ;;
${choicesOf(nodes).map(([flag, choices]) => `    ${flag}) candidates=${words(choices)} ;;`).join("\n")}
    '')
      if [[ $cur == -* ]]; then
        case $at in
${
    nodes.filter(({ options }) => options.length > 0).map(({ path, options }) =>
      `          ${shellQuote(path)}) candidates=${words(options.flatMap(({ flags }) => flags))} ;;`
    ).join("\n")
  }
        esac
      else
        case "$at $count" in
          ${fileArgumentsOf(nodes).map(([path, i]) => shellQuote(`${path} ${i}`)).join("|")})
            compopt -o default
            return ;;
${
    nodes.filter(({ commands }) => commands.length > 0).map(({ path, commands }) =>
      `          ${shellQuote(`${path} 0`)}) candidates=${words(commands.map(({ name }) => name))} ;;`
    ).join("\n")
  }
${
    argumentsOf(nodes).map(([path, i, choices]) =>
      `          ${shellQuote(`${path} ${i}`)}) candidates=${words(choices)} ;;`
    ).join("\n")
  }
        esac
      fi ;;
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$cur"))
}

complete -F _mc_proxy ${programs.join(" ")}
`;
}
