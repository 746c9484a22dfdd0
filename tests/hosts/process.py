"""One of several processes of the tests: runs each of the jobs it is given, and says how it ended.

python process.py ADDRESS:PORT,COUNT,INDEX JOBS.json
"""

import json
import sys
from pathlib import Path

from randlabels import hosts
from randlabels.errors import InputError
from randlabels.interrupts import Interrupted


def stop_after(epoch, index):
    """A signal comes in one process alone, while it trains this epoch."""
    import jax

    from randlabels import interrupts
    from randlabels.training import saving

    was = saving.Saver.after

    def after(self, now, state):
        if now == epoch and jax.process_index() == index:
            interrupts.requested = lambda: 143
        was(self, now, state)

    saving.Saver.after = after


def train(job):
    from randlabels.configs import base
    from randlabels.training.loop import train as train_run

    config = base.get_config()
    config.update_from_flattened_dict(
        {k: tuple(v) if isinstance(v, list) else v for k, v in job["config"].items()}
    )
    if "stop" in job:
        stop_after(*job["stop"])
    run = train_run(config, Path(job["workdir"]))
    return [row.state for row in run.networks]


def analyze(job):
    from randlabels.analysis.run_analysis import analyze as analyze_run

    found = analyze_run(job["workdir"], layers=job["analyze"], random_bases=3)
    return [len(found.records)]


def reproduce(job):
    from randlabels.studies import find_study
    from randlabels.studies.run import run_study

    finding = run_study(find_study(job["study"]), Path(job["workdir"]), "smoke")
    return [finding and len(finding.verdicts)]


def main():
    hosts.join(sys.argv[1])
    for job in json.loads(Path(sys.argv[2]).read_text()):
        try:
            do = reproduce if "study" in job else analyze if "analyze" in job else train
            print(f"{job['name']}: {do(job)}", flush=True)
        except (InputError, Interrupted) as error:
            print(f"{job['name']}: {type(error).__name__}: {error}", flush=True)
    hosts.leave()


if __name__ == "__main__":
    main()
