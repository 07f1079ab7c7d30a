#!/bin/sh
# Regenerates everything under tests/data/ (and the image corpus, and the bundled model) that Python wrote.
# Uses .venv/ at the repository's root, made here if absent; PYTHON=... names another interpreter that
# already has requirements.txt installed.
set -eu
cd "$(dirname "$0")/../.."

if [ -z "${PYTHON:-}" ]; then
    if [ ! -x .venv/bin/python ]; then
        python3 -m venv .venv
        .venv/bin/pip install --quiet --requirement tools/reference/requirements.txt
    fi
    PYTHON=.venv/bin/python
fi

# What one file's tests compare with.
"$PYTHON" tools/reference/tokenizer.py
"$PYTHON" tools/reference/images.py
"$PYTHON" tools/reference/store.py
"$PYTHON" tools/reference/quant.py ${GGML:+--ggml "$GGML"}
"$PYTHON" tools/reference/eval_metrics.py

# What the whole model's tests compare with.
"$PYTHON" tools/reference/scene.py tests/data/images/scene.png
"$PYTHON" tools/reference/tiny.py tests/data/tiny tests/data/tokenizer.model
"$PYTHON" tools/reference/goldens.py tests/data/tiny tests/data/images/scene.png tests/data/golden
"$PYTHON" tools/reference/train.py tests/data/tiny tests/data/train
"$PYTHON" tools/reference/gguf_files.py tests/data/tiny tests/data/tokenizer.model tests/data/gguf

# What SAM's tests compare with.
"$PYTHON" tools/reference/sam.py tests/data/sam tests/data/images/scene.png
