#!/usr/bin/env bash
# One run on several nodes of Kubernetes, one process a node that has all of the node's GPUs:
#
#     launch/jobset.sh --name=vgg16 --image=registry.example.org/randlabels --nodes=4 --gpus=8 \
#         --claim=runs -- --config=vgg16:full --workdir=runs/vgg16
#
# The image is that of the Dockerfile (ACCELERATOR=cuda); the claim is a volume that all nodes see,
# which lies under runs/. --gpus=0 takes none. --dry_run prints what would be applied.
set -euo pipefail
cd "$(dirname "$0")/.."

name="" image="" nodes="" gpus=0 claim="" dry_run=""
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case "$1" in
    --name=*) name="${1#*=}" ;;
    --image=*) image="${1#*=}" ;;
    --nodes=*) nodes="${1#*=}" ;;
    --gpus=*) gpus="${1#*=}" ;;
    --claim=*) claim="${1#*=}" ;;
    --dry_run) dry_run=1 ;;
    *) echo "$0: unknown argument $1" >&2 && exit 1 ;;
  esac
  shift
done
[ $# -eq 0 ] || shift
if [ -z "$name" ] || [ -z "$image" ] || [ -z "$nodes" ] || [ -z "$claim" ] || [ $# -eq 0 ]; then
  echo "usage: $0 --name=NAME --image=IMAGE --nodes=N --claim=CLAIM [...] -- --config=..." >&2
  exit 1
fi

python=.venv/bin/python
[ -x "$python" ] || python=python3
rendered=$(
  "$python" - "$name" "$image" "$nodes" "$gpus" "$claim" "$@" <<'PYTHON'
import json
import pathlib
import string
import sys

name, image, nodes, gpus, claim, *arguments = sys.argv[1:]
where = f"{name}-host-0-0.{name}:8476,{int(nodes)},$(INDEX)"
distributed = [f"--distributed={where}"] if int(nodes) > 1 else []
# JSON is YAML, whatever is in the arguments.
values = {
    "name": json.dumps(name),
    "image": json.dumps(image),
    "nodes": int(nodes),
    "claim": json.dumps(claim),
    "arguments": json.dumps(["train", *arguments, *distributed]),
    "limits": json.dumps({"nvidia.com/gpu": int(gpus)} if int(gpus) else {}),
}
print(string.Template(pathlib.Path("launch/jobset.yaml").read_text()).safe_substitute(values))
PYTHON
)
if [ -n "$dry_run" ]; then
  echo "$rendered"
else
  kubectl apply -f - <<<"$rendered"
fi
