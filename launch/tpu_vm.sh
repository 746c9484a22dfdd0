#!/usr/bin/env bash
# One run on a Cloud TPU slice: makes the slice or takes the one there is, copies this checkout to all
# of its workers, installs for TPU, trains on all of them, and copies the workdir back:
#
#     launch/tpu_vm.sh --name=mine --zone=us-west4-a --type=v5litepod-16 --delete -- \
#         --config=vgg16:full --workdir=runs/vgg16
#
# --spot          a slice that may be pre-empted; the same command makes another one and goes on from
#                 what was copied back
# --copy_every=.. minutes between copies of the workdir (10)
# --version=...   of the runtime (tpu-ubuntu2204-base)
# --before=...    a command for each worker before training, such as
#                 '.venv/bin/python -m randlabels.data.prepare --name=cifar10'
# --delete        deletes the slice at the end, however the run ended
# --dry_run       prints the commands and runs none
#
# The exit status is that of the run.
set -euo pipefail
cd "$(dirname "$0")/.."

name="" zone="" type="" version=tpu-ubuntu2204-base before=true minutes=10 spot="" delete="" dry_run=""
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case "$1" in
    --name=*) name="${1#*=}" ;;
    --zone=*) zone="${1#*=}" ;;
    --type=*) type="${1#*=}" ;;
    --version=*) version="${1#*=}" ;;
    --before=*) before="${1#*=}" ;;
    --copy_every=*) minutes="${1#*=}" ;;
    --spot) spot=--spot ;;
    --delete) delete=1 ;;
    --dry_run) dry_run=1 ;;
    *) echo "$0: unknown argument $1" >&2 && exit 1 ;;
  esac
  shift
done
[ $# -eq 0 ] || shift
workdir=""
for argument in "$@"; do
  case "$argument" in --workdir=*) workdir="${argument#*=}" ;; esac
done
if [ -z "$name" ] || [ -z "$zone" ] || [ -z "$type" ] || [ -z "$workdir" ]; then
  echo "usage: $0 --name=NAME --zone=ZONE --type=TYPE [...] -- --config=... --workdir=..." >&2
  exit 1
fi
case "$workdir" in
  /* | *..*) echo "$0: --workdir is relative to the checkout, on the workers too" >&2 && exit 1 ;;
esac

tpu() {  # a command of gcloud's about the slice
  local verb="$1"
  shift
  local command=(gcloud compute tpus tpu-vm "$verb" "$@" "--zone=$zone")
  if [ -n "$dry_run" ]; then
    printf '%q ' "${command[@]}"
    echo
  else
    "${command[@]}"
  fi
}

everywhere() {  # a shell command in the checkout of each worker
  tpu ssh "$name" --worker=all "--command=cd randlabels && $1"
}

copy_back() {  # worker 0 has the workdir
  mkdir -p "$(dirname "$workdir")"
  tpu scp --recurse "$name:randlabels/$workdir" "$(dirname "$workdir")" --worker=0
}

copy_often() {  # until it is told to end
  local pause
  trap 'kill "$pause"; exit' TERM
  while true; do
    sleep "$((60 * minutes))" &
    pause=$!
    wait "$pause"
    copy_back || true
  done
}

there() {  # whether the slice is there and ready
  [ -z "$dry_run" ] && [ "$(tpu describe "$name" "--format=value(state)" 2>/dev/null)" = READY ]
}

# shellcheck disable=SC2329  # the trap below calls it
at_end() {
  [ -z "${copying:-}" ] || kill "$copying" 2>/dev/null || true
  [ -z "${archive:-}" ] || rm -r "$(dirname "$archive")"
  [ -z "$delete" ] || tpu delete "$name" --quiet
}

there || tpu create "$name" "--accelerator-type=$type" "--version=$version" ${spot:+"$spot"}
trap at_end EXIT

# What is committed, and nothing else: the slice runs a revision that can be named.
archive=$(mktemp -d)/randlabels.tar.gz
git archive --format=tar.gz --output="$archive" HEAD
tpu scp "$archive" "$name:randlabels.tar.gz" --worker=all
tpu ssh "$name" --worker=all \
  "--command=mkdir -p randlabels && tar -xzf randlabels.tar.gz -C randlabels"
# The runtime's own Python is older than 3.11: uv fetches one.
everywhere "python3 -m pip install --quiet --user uv && export PATH=\"\$HOME/.local/bin:\$PATH\" && . launch/setup.sh && RANDLABELS_ACCELERATOR=tpu setup ''"
everywhere "$before"
if [ -d "$workdir" ]; then
  everywhere "mkdir -p $(printf '%q' "$(dirname "$workdir")")"
  tpu scp --recurse "$workdir" "$name:randlabels/$(dirname "$workdir")" --worker=0
fi

if [ -z "$dry_run" ]; then
  copy_often >/dev/null 2>&1 &
  copying=$!
fi
code=0
everywhere "$(printf '%q ' .venv/bin/python -m randlabels.main --distributed=auto "$@")" || code=$?
# What there is of a run that failed is worth having, too.
copy_back || code=${code/#0/1}
exit "$code"
