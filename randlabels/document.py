"""Front door 4: documents whose numbers come from the records of studies.

python -m randlabels.document [--check] [--judge]

Makes the generated parts of README.md, docs/results.md and docs/results/*.md anew.
"""

from absl import flags

from randlabels import frontdoor

_CHECK = flags.DEFINE_bool(
    "check", False, "Change nothing; fail if a document or a verdict is out of date."
)
_JUDGE = flags.DEFINE_bool("judge", False, "Judge the recorded values again, by today's rules.")


def main() -> None:
    """Refresh or check the documents."""
    from randlabels.errors import InputError
    from randlabels.studies import documents
    from randlabels.studies.record import judge_all

    if _CHECK.value and _JUDGE.value:
        raise InputError("--check changes nothing and --judge writes records; give one of them.")
    if _JUDGE.value:
        print(f"Judged otherwise than before: {', '.join(judge_all()) or 'nothing'}")
    elif _CHECK.value and (others := judge_all(write=False)):
        raise InputError(
            f"the record of {', '.join(others)} has other verdicts than its values and today's "
            "rules give; restore it, or run `python -m randlabels.document --judge`."
        )
    stale = documents.refresh_all(write=not _CHECK.value)
    names = ", ".join(str(path.relative_to(documents.ROOT)) for path in stale)
    if _CHECK.value and stale:
        raise InputError(f"{names}: out of date; run `python -m randlabels.document`.")
    pictures = documents.changed_pictures()
    if pictures:
        raise InputError(f"{pictures[0]} is not the picture of its record; record the study again.")
    print(f"Made anew: {names or 'nothing'}")


if __name__ == "__main__":
    frontdoor.run(main)
