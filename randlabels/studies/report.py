"""The page of a study: one self-contained HTML file with verdicts, figures and provenance."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from randlabels.runs import Run
from randlabels.studies.study import Results, Study

TEMPLATE = Path(__file__).with_name("report.html")


def render(
    study: Study,
    results: Results,
    verdicts: Sequence[Mapping[str, Any]],
    figures: Mapping[str, str],
    budget: str,
    seconds: float,
) -> str:
    """The page as text.

    Args:
        study: what was run.
        results: its runs.
        verdicts: from `verdicts.judge`.
        figures: {file name in figures/: caption}.
        budget: at which it was run.
        seconds: that this call took, training included where it was not done before.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text())
    status = next(iter(results.runs.values())).status
    return template.render(
        study=study,
        verdicts=verdicts,
        figures=[
            {"source": _data_uri(results.workdir / "figures" / name), "caption": caption}
            for name, caption in figures.items()
        ],
        # Rows with other columns begin a table of their own.
        tables=[list(rows) for _, rows in itertools.groupby(study.summary(results), key=tuple)],
        budget=budget,
        seconds=seconds,
        status=status,
        stages=[_stage(name, run) for name, run in results.runs.items()],
    )


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _stage(name: str, run: Run) -> dict[str, Any]:
    """What the page says about one run."""
    config = run.config
    return {
        "name": name,
        "data": f"{config['data'][config['train']['task'] + '_size']:,} images of "
        f"{config['data']['name']}, {config['labels']['kind']} labels, "
        f"{config['labels']['num_classes']} classes",
        "model": config["model"]["name"],
        "networks": len(run.networks),
        "diverged": len(run.networks) - len(run.healthy_networks),
        "epochs": config["train"]["epochs"],
        "steps": run.metrics[-1]["step"],
    }
