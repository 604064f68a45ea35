/** Shells that there is a script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
/** One of {@link SHELLS}. */
export type Shell = (typeof SHELLS)[number];

/**
 * What each shell is to run once. All of them ask `drover __complete -- WORDS`, whose first line of
 * output is a mode and whose others are a candidate, a tab and what it is.
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  // Runs with the bash 3.2 of macOS, too: no mapfile, and compopt only where it is there.
  bash: `# Completion of drover for bash. Now: source <(drover completion bash)
# For ever: put that line into ~/.bashrc.
_drover_complete() {
  local mode='' line
  COMPREPLY=()
  while IFS= read -r line; do
    if [ -z "$mode" ]; then mode=$line; else COMPREPLY+=("\${line%%$'\\t'*}"); fi
  done < <("\${COMP_WORDS[0]/#\\~/$HOME}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $mode in
    :nospace) compopt -o nospace 2>/dev/null ;;
    :files) compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")) ;;
  esac
}
complete -F _drover_complete drover
`,
  zsh: `#compdef drover
# Completion of drover for zsh. Now: source <(drover completion zsh)
# For ever: drover completion zsh > a file _drover in a directory of $fpath.
_drover() {
  local -a lines values
  local line mode
  lines=("\${(@f)$("\${words[1]/#\\~/$HOME}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  mode=\${lines[1]}
  if [[ $mode == :files ]]; then
    _files
    return
  fi
  for line in "\${(@)lines[2,-1]}"; do
    values+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( \${#values} )) || return 1
  if [[ $mode == :nospace ]]; then
    _describe drover values -S ''
  else
    _describe drover values
  fi
}
if [[ \${funcstack[1]} == _drover ]]; then
  _drover "$@"
else
  (( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
  compdef _drover drover
fi
`,
  fish: `# Completion of drover for fish. Now: drover completion fish | source
# For ever: drover completion fish > ~/.config/fish/completions/drover.fish
function __drover_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l command $words[1]
    set -e words[1]
    set -l lines (eval $command __complete -- (string escape -- $words "$current") 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path "$current"
        return
    end
    set -e lines[1]
    test (count $lines) -gt 0; and printf '%s\\n' $lines
end
complete -c drover -f -a '(__drover_complete)'
`,
};
