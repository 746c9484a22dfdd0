"""What an analysis consists of, and of which checkpoints it was made: analysis/manifest.json.

It is written last, so that an analysis without it, or that does not fit it, is not whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from randlabels import records, runs

NAME = "analysis/manifest.json"


def write_manifest(workdir: Path, arguments: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Say that an analysis is whole.

    Args:
        workdir: of the run.
        arguments: of the analysis.
        files: that it wrote, below the workdir.
    """
    record = {
        "arguments": arguments,
        "checkpoints": _checkpoints(workdir),
        "files": {str(path.relative_to(workdir)): records.file_digest(path) for path in files},
    }
    records.write_json(workdir / NAME, record)


def is_whole(workdir: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether an analysis with these arguments, of all checkpoints as they are, is complete."""
    try:
        manifest = _read(workdir)
        check_file(workdir, *manifest["files"])
    except (OSError, ValueError):
        return False
    asked = records.plain(dict(arguments))
    return manifest["arguments"] == asked and manifest["checkpoints"] == _checkpoints(workdir)


def check_file(workdir: Path, *names: str) -> None:
    """Make sure that files are those that the analysis of this run wrote.

    Args:
        workdir: of the run.
        names: as below the workdir, "analysis/alignment.json".

    Raises:
        ValueError: one clause that says what is wrong.
    """
    manifest = _read(workdir)
    for name in names:
        if manifest["files"].get(name) != records.file_digest(workdir / name):
            raise ValueError(f"{name} is not what the analysis wrote")
    ours, theirs = _checkpoints(workdir), manifest["checkpoints"]
    for step, digest in ours.items():
        if theirs.get(step, digest) != digest:
            raise ValueError(f"the analysis was made of another checkpoint of step {step}")
    if theirs and not ours.keys() & theirs.keys():
        raise ValueError("the analysis was made of other checkpoints than there are")


def _read(workdir: Path) -> dict[str, Any]:
    try:
        manifest = records.read_json(workdir / NAME)
    except FileNotFoundError as error:
        raise ValueError(f"{NAME} is missing") from error
    parts = ("arguments", "checkpoints", "files")
    if not isinstance(manifest, dict) or not all(
        isinstance(manifest.get(part), dict) for part in parts
    ):
        raise ValueError(f"{NAME} is damaged")
    return manifest


def _checkpoints(workdir: Path) -> dict[str, str]:
    """{step: digest of its meta, and so of its arrays and the records at its time}."""
    return {str(step): meta["digest"] for step, meta in runs.readable_metas(workdir).items()}
