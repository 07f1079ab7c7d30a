#!/bin/sh
# run.sh BUILD [TEST ...] - the demo page in a real browser: headless Chromium, driven by Selenium, against BUILD/sphinx serve with the
# bundled model. TEST is a file, class or test: test_regions, test_regions.Pointing.test_hover. Needs, of Debian:
#
#     apt-get install -y python3-selenium chromium chromium-driver
set -eu
: "${1:?usage: tests/web/run.sh BUILD [TEST ...]}"
here=$(dirname "$0")
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import selenium' 2>/dev/null; then
        exec "$python" -B "$here/run.py" "$@" # -B: no .pyc files in the tree
    fi
done
echo "run.sh: no Python with Selenium here; apt-get install -y python3-selenium chromium chromium-driver" >&2
exit 2
