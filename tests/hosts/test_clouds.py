"""launch/ with clouds of this machine: their commands are recorded, and what they run is run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from test_hosts import free_port
from test_launch import TINY

from randlabels import runs

ROOT = Path(__file__).parents[2]
# Two workers, each with a home of its own; SLURM's variables say who is who.
GCLOUD = f"""#!{sys.executable}
import json, os, pathlib, shutil, subprocess, sys
words = sys.argv[1:]
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(words) + "\\n")
verb, flags = words[3], [w for w in words[4:] if w.startswith("--")]
where = [w for w in words[4:] if not w.startswith("--")]
cloud = pathlib.Path(os.environ["CLOUD"])
if verb == "describe":
    print(os.environ.get("STATE", ""))
homes = [cloud / str(k) for k in ((0, 1) if "--worker=all" in flags else (0,))]
if verb == "scp":
    source, target = where
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
        paths = [str(home / w.partition(":")[2]) if ":" in w else w for w in (source, target)]
        if subprocess.run(["cp", "-r", *paths]).returncode:
            sys.exit(1)
if verb == "ssh":
    command = next(f for f in flags if f.startswith("--command=")).partition("=")[2]
    started = [
        subprocess.Popen(
            ["bash", "-c", command], cwd=home,
            env=os.environ | {{"HOME": str(home), "SLURM_PROCID": str(k), "SLURM_LOCALID": "0"}},
        )
        for k, home in enumerate(homes)
    ]
    sys.exit(max(one.wait() for one in started))
"""
# In the place of a worker's Python, whose environments have what this one has, of pip and of uv.
PYTHON = f"""#!/bin/sh
case "$2" in
  pip) exit ;;
  venv)
    mkdir -p .venv/bin
    printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > .venv/bin/python
    chmod +x .venv/bin/python ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
UV = "#!/bin/sh\n"
SLURM = {
    "SLURM_JOB_ID": str(os.getpid()),
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NODELIST": "127.0.0.1",
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "2",
}


@pytest.fixture
def tpu_vm(tmp_path):
    """A function (arguments, environment) -> (done, what gcloud was asked), in a checkout."""
    tools, checkout = tmp_path / "tools", tmp_path / "checkout"
    tools.mkdir()
    for name, text in {"gcloud": GCLOUD, "uv": UV, "python3": PYTHON}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", checkout], check=True)
    for script in (ROOT / "launch").glob("*.sh"):  # as they are now
        (checkout / "launch" / script.name).write_text(script.read_text())
    record = tmp_path / "record"

    def run(*arguments, **environment):
        record.write_text("")
        given = {"PATH": f"{tools}:{os.environ['PATH']}", "RECORD": str(record)}
        given |= {"CLOUD": str(tmp_path / "cloud"), **SLURM}
        done = subprocess.run(
            ["bash", "launch/tpu_vm.sh", *arguments],
            cwd=checkout,
            env=os.environ | given | environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        calls = [json.loads(line) for line in record.read_text().splitlines()]
        return done, [call[3:] for call in calls]

    run.checkout = checkout
    return run


SLICE = ("--name=mine", "--zone=here", "--type=v5litepod-8")


def test_a_slice_is_made_and_deleted_as_asked(tpu_vm):
    done, calls = tpu_vm(*SLICE, "--spot", "--delete", "--dry_run", "--", "--workdir=runs/a b")
    assert done.returncode == 0, done.stderr
    assert not calls
    shown = [shlex.split(line) for line in done.stdout.replace("\\\n", "").splitlines()]
    assert all(line[:4] == ["gcloud", "compute", "tpus", "tpu-vm"] for line in shown)
    verbs = [line[4] for line in shown]
    assert (verbs[0], verbs[-1]) == ("create", "delete")
    assert "--spot" in shown[0]
    trains = next(line for line in shown if "randlabels.main" in " ".join(line))
    (command,) = [word for word in trains if word.startswith("--command=")]
    words = shlex.split(command.partition("&&")[2])
    assert words == [".venv/bin/python", "-m", "randlabels.main", "--distributed=auto",
                     "--workdir=runs/a b"]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [(*SLICE, "--"), ("--name=mine", "--", "--workdir=x"), (*SLICE, "--unknown"),
     (*SLICE, "--", "--workdir=/elsewhere")],
)  # fmt: skip
def test_what_lacks_is_said(tpu_vm, arguments):
    done, calls = tpu_vm(*arguments)
    assert (done.returncode, calls) == (1, [])
    assert "launch/tpu_vm.sh" in done.stderr


@pytest.mark.slow
def test_two_workers_train_and_the_workdir_comes_back(tpu_vm):
    done, calls = tpu_vm(*SLICE, "--delete", "--", *TINY, "--workdir=runs/tiny", STATE="READY")
    assert done.returncode == 0, done.stderr
    verbs = [call[0] for call in calls]
    assert verbs[0] == "describe"
    assert "create" not in verbs
    assert verbs[-1] == "delete"
    status = runs.load_run(tpu_vm.checkout / "runs" / "tiny").status
    assert (status["state"], len(status["devices"])) == ("done", 4)


@pytest.mark.slow
def test_a_run_that_fails_says_so_and_its_slice_is_deleted(tpu_vm):
    done, calls = tpu_vm(*SLICE, "--delete", "--", "--config=nothing", "--workdir=runs/x")
    assert done.returncode == 1
    assert "--config=nothing is neither" in done.stderr
    assert [call[0] for call in calls][-1] == "delete"


def jobset(*arguments):
    words = ["bash", "launch/jobset.sh", "--dry_run", *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


SET = ("--name=tiny", "--image=example.org/randlabels:1", "--nodes=2", "--gpus=4", "--claim=runs")


def test_a_jobset_holds_a_job_that_kubernetes_knows():
    odd = '--config.init.run=a "b": c'
    done = jobset(*SET, "--", odd, "--workdir=runs/x")
    assert done.returncode == 0, done.stderr
    assert "${" not in done.stdout
    rendered = yaml.safe_load(done.stdout)
    assert (rendered["apiVersion"], rendered["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (of_hosts,) = rendered["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}
    kubernetes_validate.validate(job | of_hosts["template"], "1.30", strict=True)
    (container,) = of_hosts["template"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:3] == ["train", odd, "--workdir=runs/x"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    # A pod's name is that of set, job, number of the job and of the pod; its domain the set's.
    expected = f"{rendered['metadata']['name']}-{of_hosts['name']}-0-0.tiny:8476,2,$(INDEX)"
    assert container["args"][3] == f"--distributed={expected}"


def test_a_jobset_lacks_something():
    done = jobset("--name=tiny", "--", "--config=base")
    assert done.returncode == 1
    assert done.stderr.startswith("usage: launch/jobset.sh")


def in_two(command_of):
    """Run two shell commands, of an address and an index, at the same time; whether both ended."""
    address = f"127.0.0.1:{free_port()}"
    environment = {k: v for k, v in SLURM.items() if not k.startswith("SLURM")}
    environment |= {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(**command_of(address, k, os.environ | environment), text=True)
        for k in (0, 1)
    ]
    return [process.wait(timeout=150) for process in started]


@pytest.mark.slow
def test_the_pods_of_a_jobset_train_one_population(tmp_path):
    rendered = yaml.safe_load(jobset(*SET, "--", *TINY, f"--workdir={tmp_path / 'run'}").stdout)
    (of_hosts,) = rendered["spec"]["replicatedJobs"]
    (container,) = of_hosts["template"]["spec"]["template"]["spec"]["containers"]

    def command(address, index, environment):
        there = [
            re.sub(r"=tiny-host-0-0\.tiny:8476", f"={address}", word).replace(
                "$(INDEX)", str(index)
            )
            for word in container["args"]
        ]
        return {"args": [sys.executable, "-m", "randlabels", *there], "env": environment}

    assert in_two(command) == [0, 0]
    assert len(runs.load_run(tmp_path / "run").status["devices"]) == 4


@pytest.mark.slow
def test_the_nodes_of_a_sky_task_train_one_population(tmp_path):
    task = yaml.safe_load((ROOT / "launch" / "sky.yaml").read_text())
    assert task.keys() == {"name", "workdir", "num_nodes", "resources", "envs", "setup", "run"}
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    def command(address, index, environment):
        words = [*TINY, f"--workdir={tmp_path / 'run'}"]
        given = {
            "ARGUMENTS": shlex.join(words),
            "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1",
            "SKYPILOT_NUM_NODES": "2",
            "SKYPILOT_NODE_RANK": str(index),
        }
        script = task["run"].replace(":8476", address.removeprefix("127.0.0.1"))
        return {"args": ["bash", "-c", script], "cwd": tmp_path, "env": environment | given}

    assert in_two(command) == [0, 0]
    assert len(runs.load_run(tmp_path / "run").status["devices"]) == 4
