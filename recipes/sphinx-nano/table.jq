# table.jq - the scores of `sphinx eval --json` as a table: of detection AP50, of poses PCK, of everything else the metric's own figure.
def round1: . * 10 | round / 10;
def figure($name): [.figures[] | select(.name == $name)][0] // .figures[0];
def shown:
    if .metric == "detection" then figure("AP50") elif .metric == "pose" then figure("PCK") else .figures[0] end;

"| task | questions or pictures | measured | score |", "|---|---|---|---|",
(.benchmarks[] | shown as $f | "| \(.title | ltrimstr("Synth ")) | \($f.n // .n // "") | \(if $f.name == "accuracy" then .metric else $f.name end) | \($f.value | round1) |")
