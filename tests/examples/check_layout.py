"""check_layout.py LAYOUT: examples/ask.py's structures against what the compiler makes of sphinx.h (layout.c)."""

import ctypes
import subprocess
import sys

sys.path.insert(0, "examples")
import ask

NAMES = {
    "sphinx_error": ask.Error,
    "sphinx_ask_options": ask.AskOptions,
    "sphinx_box": ask.Box,
    "sphinx_point": ask.Point,
    "sphinx_timing": ask.Timing,
    "sphinx_answer": ask.Answer,
}


def python_layout():
    lines = []
    for name, structure in NAMES.items():
        lines.append(f"{name} - 0 {ctypes.sizeof(structure)}")
        for field, _ in structure._fields_:
            place = getattr(structure, field)
            lines.append(f"{name} {field} {place.offset} {place.size}")
    return lines


def main():
    want = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines()
    different = sorted(set(want) ^ set(python_layout()))
    if different or not want:
        sys.exit("sphinx.h and examples/ask.py differ:\n" + "\n".join(different))
    print(f"{len(want)} places agree")


main()
