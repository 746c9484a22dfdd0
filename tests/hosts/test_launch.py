"""launch/slurm.sbatch with a cluster of this machine: srun starts its tasks here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from randlabels import runs

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "launch" / "slurm.sbatch"
TINY = [
    "--config=base",
    "--config.data.image_size=8",
    "--config.data.upstream_size=64",
    "--config.data.downstream_size=0",
    "--config.data.test_size=10",
    "--config.model.filters=4",
    "--config.model.widths=5,",
    "--config.train.batch_size=16",
    "--config.train.epochs=2",
    "--config.population.seeds=4",
]
# As SLURM's srun: the highest exit status of all tasks.
SRUN = f"""#!{sys.executable}
import json, os, subprocess, sys
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(["srun", *sys.argv[1:]]) + "\\n")
tasks = int(os.environ["SLURM_NTASKS"])
if "CODE" in os.environ:
    sys.exit(int(os.environ["CODE"]))
names = {{"SLURM_STEP_NODELIST": "127.0.0.1"}}
started = [
    subprocess.Popen(sys.argv[1:], env=os.environ | names
                     | {{"SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)}})
    for k in range(tasks)
]
sys.exit(max(one.wait() for one in started))
"""
SCONTROL = """#!/bin/sh
echo "[\\"scontrol\\", \\"$1\\", \\"$2\\"]" >> "$RECORD"
"""


@pytest.fixture
def sbatch(tmp_path):
    """A function (arguments, environment) -> (done, what was called), of the script as a job."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    # In the place of a checkout with its .venv.
    checkout = tmp_path / "checkout"
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    record = tmp_path / "record"

    def run(*arguments, tasks=1, **environment):
        record.write_text("")
        job = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "RECORD": str(record),
            "SLURM_SUBMIT_DIR": str(checkout),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_NTASKS": str(tasks),
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "2",
        }
        done = subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env=os.environ | job | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done, [json.loads(line) for line in record.read_text().splitlines()]

    return run


def test_scripts_have_no_faults_that_shellcheck_knows():
    scripts = [*ROOT.glob("launch/*.sh"), SCRIPT, ROOT / ".ci" / "run"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("shellcheck")), *map(str, scripts)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, []),
        ({"tasks": 4}, ["--distributed=auto"]),
        (
            {
                "SLURM_ARRAY_TASK_COUNT": "8",
                "SLURM_ARRAY_TASK_ID": "5",
                "SLURM_ARRAY_TASK_MIN": "3",
            },
            ["--shard=3/8"],
        ),
    ],
)
def test_what_a_job_runs(sbatch, environment, added):
    done, called = sbatch("--dry_run", "--config=base", "--workdir=runs/a b", **environment)
    assert done.returncode == 0
    assert called == []
    expected = ["srun", ".venv/bin/python", "-m", "randlabels.main", "--config=base"]
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {done.stdout}"], capture_output=True, text=True
    ).stdout.splitlines()
    assert shown == [*expected, "--workdir=runs/a b", *added]


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [(143, 0, True), (75, 3, True), (137, 0, True), (143, 20, False), (1, 0, False), (3, 0, False),
     (0, 0, False)],
)  # fmt: skip
def test_what_can_go_on_goes_back_into_the_queue(sbatch, code, restarts, requeued):
    job = {"CODE": str(code), "SLURM_RESTART_COUNT": str(restarts), "SLURM_JOB_ID": "4711"}
    done, called = sbatch("--config=base", "--workdir=x", **job)
    assert called[1:] == ([["scontrol", "requeue", "4711"]] if requeued else [])
    assert done.returncode == (0 if requeued else code)


def test_without_arguments_it_says_how_it_is_used(sbatch):
    done, called = sbatch()
    assert (done.returncode, called) == (1, [])
    assert done.stderr.startswith("usage: sbatch")


@pytest.mark.slow
def test_two_tasks_train_one_population(sbatch, tmp_path):
    done, _ = sbatch(*TINY, f"--workdir={tmp_path / 'run'}", tasks=2)
    assert done.returncode == 0, done.stderr
    status = runs.load_run(tmp_path / "run").status
    assert (status["state"], len(status["devices"])) == ("done", 4)


@pytest.mark.slow
def test_the_tasks_of_an_array_train_parts(sbatch, tmp_path):
    from randlabels.training.merging import merge

    for task in ("1", "2"):
        array = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        done, _ = sbatch(*TINY, f"--workdir={tmp_path / 'run'}", SLURM_ARRAY_TASK_MIN="1", **array)
        assert done.returncode == 0, done.stderr
    assert len(merge(tmp_path / "run").networks) == 4
