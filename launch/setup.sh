# shellcheck shell=bash
# Sourced by the other scripts: makes .venv in the repository root and installs the package there.
# Usage: setup "" or setup "test"; PYTHON names the interpreter (3.11 or newer), and
# RANDLABELS_ACCELERATOR (cpu, cuda or tpu) what jax is installed for, if not what is found.

accelerator() {  # prints cpu, cuda or tpu; the argument is what to take for / (by default that)
  local root="${1:-}"
  if [ -n "${RANDLABELS_ACCELERATOR:-}" ]; then
    echo "$RANDLABELS_ACCELERATOR"
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo cuda
  elif [ -e "$root/dev/accel0" ]; then
    echo tpu
  # Newer TPUs come by vfio, as does any device that is passed to a virtual machine: whose is it?
  elif [ -e "$root/dev/vfio/0" ] && grep -qs 0x1ae0 "$root"/sys/bus/pci/devices/*/vendor; then
    echo tpu
  else
    echo cpu
  fi
}

new_enough() {  # whether an interpreter is Python 3.11 or newer
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

can_install() {  # whether packages can be installed for the interpreter of a virtual environment
  command -v uv >/dev/null || "$1" -m pip --version >/dev/null 2>&1
}

make_venv() {  # with PYTHON, the first new enough Python on the path, or one that uv fetches
  local python without_pip="" candidates=(python3 python3.13 python3.12 python3.11)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for python in "${candidates[@]}"; do
    new_enough "$python" || continue
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then  # Debian has them apart
      "$python" -m venv .venv
      return
    fi
    without_pip="${without_pip:-$python}"
  done
  if [ -z "${PYTHON:-}" ] && command -v uv >/dev/null; then
    uv venv --quiet --seed --python 3.12 .venv
    return
  fi
  if [ -n "$without_pip" ]; then
    echo "$without_pip cannot make virtual environments; install its venv package" \
      "(on Debian and Ubuntu: apt install python3-venv) and run $0 again" >&2
  else
    echo "randlabels needs Python 3.11 or newer; name one with PYTHON=/path/to/python3 $0," \
      "or install uv, which fetches one" >&2
  fi
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
  # One that was left half-made has an interpreter and no pip.
  { new_enough .venv/bin/python && can_install .venv/bin/python; } || make_venv || exit 1
  echo "Installing for $device into .venv (about 1.3 GB for a CPU the first time) ..." >&2
  local package="."
  [ -z "$extras" ] || package=".[$extras]"
  if command -v uv >/dev/null; then
    uv pip install --quiet --python .venv/bin/python --editable "$package"
  else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$package"
  fi
}
