# bash completion for sphinx. It asks the program itself (sphinx help --list), so it knows what that knows: one line a name,
#     command
#     command option value-name-or-dash [choices...]
_sphinx() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} list kind choices

    COMPREPLY=()
    program=${program/#\~/$HOME}
    list=$("$program" help --list 2>/dev/null) || return
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$command" = help ] && [[ $word != -* ]]; }; then
        mapfile -t COMPREPLY < <(compgen -W "$(awk 'NF == 1' <<<"$list") --help --version" -- "$word")
        return
    fi
    read -r kind choices < <(awk -v c="$command" -v o="$before" '$1 == c && $2 == o { $1 = $2 = ""; print }' <<<"$list")
    case $kind in
    "" | -)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(awk -v c="$command" '$1 == c && NF > 1 { print $2 }' <<<"$list")" -- "$word")
            return
        fi
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    DIR)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        ;;
    MODEL)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word"; compgen -f -X '!*.gguf' -- "$word")
        ;;
    FILE)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    *)
        [ -n "$choices" ] && mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
        ;;
    esac
}
complete -F _sphinx sphinx
