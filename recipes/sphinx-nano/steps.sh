# steps.sh - sourced by make.sh and make-1k.sh, whose words "SPHINX OUT [THREADS]" it takes: what they are made of. Where RANKS is set, so many processes
# share each step.
# shellcheck shell=sh disable=SC2034 # result is for who calls
sphinx=${1:?usage: $(basename "$0") SPHINX OUT [THREADS]}
out=${2:?usage: $(basename "$0") SPHINX OUT [THREADS]}
threads=${3:-0}
ranks=${RANKS:-1}
here=$(dirname "$0")
mkdir -p "$out"

# drawn NAME OPTIONS...: a data set
drawn() {
    name=$1
    shift
    [ -d "$out/$name" ] || "$sphinx" synth "$out/$name" "$@"
}

# newest RUN: its last checkpoint
newest() {
    find "$out/$1/" -mindepth 1 -maxdepth 1 -name 'epoch*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-
}

# trained NAME RECIPE BASE DATA [OPTIONS...]: a run, or what is left of it; its newest checkpoint is then $result
trained() {
    run=$1
    recipe=$here/$2.yaml
    base=$3
    data=$out/$4/meta.yaml
    shift 4
    batch=$(sed -n 's/^batch_size: //p' "$recipe")
    [ $((batch % ranks)) = 0 ] || { echo "$(basename "$0"): RANKS=$ranks does not divide the $batch conversations of a step of $recipe" >&2; exit 2; }
    set -- train "$recipe" --set "model=$base" --set "data_config=$data" -o "$out/$run" -t "$threads" "$@"
    [ ! -e "$out/$run/log.jsonl" ] || set -- "$@" --resume "$out/$run"
    if [ "$ranks" = 1 ]; then
        "$sphinx" "$@"
    else
        mpirun -n "$ranks" "$sphinx" "$@" --set "batch_size=$((batch / ranks))"
    fi
    result=$(newest "$run")
}

# joined NAME "DRAWN ANNOTATIONS TYPE RATIO TURNS"...: several of them as one
joined() {
    folder=$out/$1
    shift
    mkdir -p "$folder"
    echo "META:" >"$folder/meta.yaml"
    for part in "$@"; do
        # shellcheck disable=SC2086 # five words
        set -- $part
        printf "  - {path: '../%s/annotations/%s.json', type: %s, root: '../%s/images/', ratio: %s, turns: %s}\n" "$1" "$2" "$3" "$1" "$4" "$5"
    done >>"$folder/meta.yaml"
}
