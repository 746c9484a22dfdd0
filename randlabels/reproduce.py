"""Front door 3: a study from nothing to verdicts and a page.

python -m randlabels.reproduce --study=quickstart --workdir=runs/quickstart [--budget=smoke]
python -m randlabels.reproduce --study=fig5 --budget=short --print_config    (runs nothing)

With --record the numbers and pictures go to docs/results, and the documents are made anew.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from randlabels import frontdoor

_STUDY = flags.DEFINE_string("study", None, "Name of the study.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the study.")
_BUDGET = flags.DEFINE_enum("budget", "full", ["smoke", "short", "full"], "How much to compute.")
_SEEDS = flags.DEFINE_enum(
    "seeds", "testing", ["testing", "tuning"], "Of verdicts, or those to choose settings on."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where the prepared data sets are; TFDS's default if not given."
)
_PRINT_CONFIG = flags.DEFINE_bool(
    "print_config", False, "Print the recipe of every stage and run nothing."
)
_RECORD = flags.DEFINE_bool(
    "record", False, "Write numbers and pictures to docs/results and make the documents anew."
)
_NOTE = flags.DEFINE_string(
    "note", "", "For --record: what the numbers do not show, such as which copy of the data."
)


frontdoor.define_distributed()


@flags.multi_flags_validator(["workdir", "print_config"], "give --workdir, or --print_config.")
def _has_workdir(values: Mapping[str, Any]) -> bool:
    return bool(values["workdir"] or values["print_config"])


def main() -> None:
    """Run the study that the flags name and print its verdicts."""
    # Imported late, so that a wrong flag is answered at once.
    from randlabels.states import summary
    from randlabels.studies import find_study
    from randlabels.studies.documents import refresh_all
    from randlabels.studies.recipe_text import recipe_text
    from randlabels.studies.record import check_recordable, write_record
    from randlabels.studies.run import run_study

    study = find_study(_STUDY.value)
    if _PRINT_CONFIG.value:
        print(recipe_text(study, _BUDGET.value))
        return
    if _RECORD.value:
        check_recordable(_STUDY.value, _BUDGET.value, _NOTE.value, seeds=_SEEDS.value)
    workdir = Path(_WORKDIR.value)
    finding = run_study(study, workdir, _BUDGET.value, _DATA_DIR.value, _SEEDS.value)
    if finding is None:  # the first of several processes has it
        return
    if _RECORD.value:
        print(f"Record:   {write_record(finding, _NOTE.value)}")
        refresh_all()
    print()
    for verdict in finding.verdicts:
        if verdict.outcome != "estimate":
            print(f"{verdict.outcome:>12}  {verdict.statement} ({verdict.reason})")
    print(f"\nTrained:  {summary(finding.results.networks)}")
    print(f"Verdicts: {workdir / 'verdicts.json'}\nPage:     {workdir / 'report.html'}")


if __name__ == "__main__":
    frontdoor.run(main)
