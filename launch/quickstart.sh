#!/usr/bin/env bash
# Sets everything up and runs the quickstart study: about a minute and a half on 2 CPU cores after the set-up.
# Further arguments go to the study, such as --budget=smoke or --workdir=DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
setup ""
exec .venv/bin/python -m randlabels.reproduce --study=quickstart --workdir=runs/quickstart "$@"
