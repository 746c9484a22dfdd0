#!/usr/bin/env bash
# Sets everything up and passes the checks and tests. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
setup "test"
.venv/bin/ruff check
.venv/bin/ruff format --check
.venv/bin/mypy
exec .venv/bin/python -m pytest "$@"
