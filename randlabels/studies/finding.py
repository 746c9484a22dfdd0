"""What a study found, once its stages have run: the page and the record are made of it."""

import dataclasses
from typing import Generic, TypeVar

from randlabels.studies.declare import Results, Row, Study
from randlabels.studies.verdicts import Verdict

Reading = TypeVar("Reading")


@dataclasses.dataclass(frozen=True)
class Finding(Generic[Reading]):
    """A study, its results and its conclusions.

    Attributes:
        study: what was run.
        budget: at which.
        seeds: "testing" or "tuning".
        results: of its stages.
        verdicts: on its claims.
        tables: {name: rows}.
        captions: {file name in figures/: caption}.
        seconds: that the call took, training included where it was not done before.
    """

    study: Study[Reading]
    budget: str
    seeds: str
    results: Results
    verdicts: list[Verdict]
    tables: dict[str, list[Row]]
    captions: dict[str, str]
    seconds: float

    @property
    def command(self) -> str:
        """The command line that makes it again, with folders as the documents call them."""
        read = {run.config["data"]["data_dir"] for run in self.results.runs.values()} - {""}
        return (
            f"python -m randlabels.reproduce --study={self.study.name} --budget={self.budget} "
            f"--workdir=runs/{self.study.name}" + (" --data_dir=datasets" if read else "")
        )
