# Sourced by the other scripts: makes .venv in the repository root and installs the package there.
# Usage: setup "" or setup "[test]"; PYTHON names the interpreter (3.11 or newer).
setup() {
  local python="${PYTHON:-python3}"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "randlabels needs Python 3.11 or newer; name one with PYTHON=/path/to/python3 $0" >&2
    exit 1
  }
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  echo "Installing into .venv (about 1.3 GB the first time) ..." >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$1"
}
