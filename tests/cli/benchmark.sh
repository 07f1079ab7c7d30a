# shellcheck shell=sh
# benchmark.sh - a small benchmark for the tests of eval: sourced after lib.sh.
#
#     make_benchmark DIR QUESTIONS TOKENS    DIR/mine.json with its entry, DIR/annotations/mine.json, DIR/images/0.ppm ... 4.ppm
#     answers FILE                           a log's answers in an order of their own, without what differs from run to run

make_benchmark() {
    mkdir -p "$1/annotations" "$1/images"
    for i in 0 1 2 3 4; do
        awk -v i=$i 'BEGIN {
            w = 32 + 8 * i
            printf "P3\n%d 32\n255\n", w
            for (p = 0; p < w * 32 * 3; p++) print (p * (7 + i) + int(p / 96) * 13) % 256
        }' >"$1/images/$i.ppm"
    done
    awk -v n="$2" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "%s{\"image_path\": \"data/images/%d.ppm\", \"question\": \"What is thing %d?\", \"question_id\": %d, " \
                "\"dataset_name\": \"mine\", \"gt_answers\": \"%s\"}", i ? ",\n" : "[", i % 5, i, i, i % 3 ? "yes" : "no"
        print "]"
    }' >"$1/annotations/mine.json"
    cat >"$1/mine.json" <<EOF
{"mine": {"title": "A benchmark of mine", "reader": "unified", "files": {"annotation": "annotations/mine.json"},
  "prompt": "{}\\nAnswer the question using a single word or phrase.", "max_tokens": $3, "metric": "exact",
  "published": {"SPHINX": 50.0}}}
EOF
}

answers() {
    sed -e 's/"seconds_[a-z]*":[^,}]*,*//g' -e 's/"cached_tokens":[0-9]*,*//' "$1" | sort
}
