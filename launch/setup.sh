# Sourced by the other scripts: makes .venv in the repository root and installs the package there.
# Usage: setup "" or setup "test"; PYTHON names the interpreter (3.11 or newer), and
# RANDLABELS_ACCELERATOR (cpu, cuda or tpu) what jax is installed for, if not what is found.

accelerator() {  # prints cpu, cuda or tpu
  if [ -n "${RANDLABELS_ACCELERATOR:-}" ]; then
    echo "$RANDLABELS_ACCELERATOR"
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo cuda
  elif [ -e /dev/accel0 ] || [ -e /dev/vfio/0 ]; then
    echo tpu
  else
    echo cpu
  fi
}

new_enough() {  # whether an interpreter is Python 3.11 or newer
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

make_venv() {  # with PYTHON, the first new enough Python on the path, or one that uv fetches
  local python
  for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if new_enough "$python"; then
      "$python" -m venv .venv
      return
    fi
  done
  if [ -z "${PYTHON:-}" ] && command -v uv >/dev/null; then
    uv venv --quiet --seed --python 3.12 .venv
    return
  fi
  echo "randlabels needs Python 3.11 or newer; name one with PYTHON=/path/to/python3 $0," \
    "or install uv, which fetches one" >&2
  return 1
}

setup() {
  local device extras
  device=$(accelerator)
  case "$device" in
    cpu) extras="$1" ;;
    cuda | tpu) extras="${1:+$1,}$device" ;;
    *)
      echo "RANDLABELS_ACCELERATOR is $device; it may be cpu, cuda or tpu" >&2
      exit 1
      ;;
  esac
  new_enough .venv/bin/python || make_venv || exit 1
  echo "Installing for $device into .venv (about 1.3 GB for a CPU the first time) ..." >&2
  local package="."
  [ -z "$extras" ] || package=".[$extras]"
  if command -v uv >/dev/null; then
    uv pip install --quiet --python .venv/bin/python --editable "$package"
  else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$package"
  fi
}
