"""Front door 3: a study from nothing to verdicts and a page.

python -m randlabels.reproduce --study=quickstart --workdir=runs/quickstart [--budget=smoke]
"""

from pathlib import Path

from absl import flags

from randlabels import frontdoor

_STUDY = flags.DEFINE_string("study", None, "Name of the study.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the study.", required=True)
_BUDGET = flags.DEFINE_enum("budget", "full", ["smoke", "short", "full"], "How much to compute.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where the prepared data sets are; TFDS's default if not given."
)


def main() -> None:
    """Run the study that the flags name and print its verdicts."""
    # Imported late, so that a wrong flag is answered at once.
    from randlabels.config import nearest
    from randlabels.errors import InputError
    from randlabels.studies import STUDIES
    from randlabels.studies.runner import run_study

    if _STUDY.value not in STUDIES:
        raise InputError(f"--study {_STUDY.value!r}; {nearest(_STUDY.value, tuple(STUDIES))}")
    workdir = Path(_WORKDIR.value)
    judged = run_study(STUDIES[_STUDY.value], workdir, _BUDGET.value, _DATA_DIR.value)
    print()
    for verdict in judged:
        print(f"{verdict['outcome']:>12}  {verdict['statement']}")
    print(f"\nVerdicts: {workdir / 'verdicts.json'}\nPage:     {workdir / 'report.html'}")


if __name__ == "__main__":
    frontdoor.run(main)
