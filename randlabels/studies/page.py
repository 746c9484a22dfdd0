"""The page of a study: one self-contained HTML file with verdicts, figures and provenance."""

from typing import Any

from randlabels.pages import picture
from randlabels.pages import render as render_page
from randlabels.runs import Run
from randlabels.states import counts
from randlabels.studies.finding import Finding
from randlabels.studies.resolve import stand_ins


def render(finding: Finding[Any]) -> str:
    """The page as text."""
    results = finding.results
    return render_page(
        "study.html",
        study=finding.study,
        judged=[v for v in finding.verdicts if v.outcome != "estimate"],
        estimates=[v for v in finding.verdicts if v.outcome == "estimate"],
        figures=[
            {
                "name": name,
                "source": picture(results.workdir / "figures" / name),
                "caption": caption,
            }
            for name, caption in finding.captions.items()
        ],
        tables=[rows for rows in finding.tables.values() if rows],
        budget=finding.budget,
        stand_ins=stand_ins(finding.study, finding.budget),
        seconds=finding.seconds,
        status=next(iter(results.runs.values())).status,
        lost=sum(row.lost for row in results.networks),
        total=len(results.networks),
        command=finding.command,
        stages=[_stage(name, run) for name, run in results.runs.items()],
    )


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
        "states": counts(run.networks),
        "epochs": config["train"]["epochs"],
        "steps": run.metrics[-1]["step"],
    }
