"""The eigen-analysis of a run from its checkpoints to numbers and figures in its workdir."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging

from randlabels import records
from randlabels.disk import remove_temporaries
from randlabels.errors import InputError
from randlabels.runs import Run, load_run
from randlabels.states import refuse_if_all_lost

if TYPE_CHECKING:
    from randlabels.analysis.records import Alignment

INPUTS = ("checkpoint", "initialisation")
MAX_BASES = 10**5


def analyze(
    workdir: str | Path | Run,
    layers: Sequence[str] = (),
    inputs: str = "checkpoint",
    random_bases: int = 200,
    minutes: float = math.inf,
    leading: int = 0,
) -> "Alignment":
    """Analyse all checkpoints of a run, write alignment.json and the figures, return the former.

    Args:
        workdir: of the run, or the run.
        layers: paths of layers; () is the first layer, the paper's, and ("all",) is every layer.
        inputs: whose covariance is Sigma_x of a deeper layer: its inputs at the same "checkpoint",
            or at "initialisation".
        random_bases: how many, for each misalignment.
        minutes: a layer that would take longer is an error, and skipped if all are asked for.
        leading: eigenvectors of the inputs along which large layers are analysed; 0 is all.

    Raises:
        InputError: if there is no run, no checkpoint or no such layer (nothing is written then), or
            the workdir is in use or cannot be written to.
        AllLostError: if all networks diverged or died; nothing is written then.
    """
    # Imported late, so that a wrong flag is answered at once.
    from randlabels import hosts
    from randlabels.analysis.alignment_of_run import alignment_of_run

    if inputs not in INPUTS:
        raise InputError(f"inputs is {inputs!r}; it may be {' or '.join(INPUTS)}.")
    if not 1 <= random_bases <= MAX_BASES:
        raise InputError(f"random_bases is {random_bases}; give from 1 to {MAX_BASES}.")
    if not minutes >= 0:
        raise InputError(f"minutes is {minutes!r}; give a number of at least 0.")
    if leading < 0 or leading == 1:
        raise InputError(f"leading is {leading}; give 0 for all eigenvectors, or at least 2.")
    if isinstance(layers, str):
        raise InputError(f"layers is {layers!r}; give a sequence of names, such as ({layers!r},).")
    workdir = workdir.workdir if isinstance(workdir, Run) else Path(workdir)
    hosts.from_first(lambda: None if workdir.exists() else load_run(workdir))  # would be made
    arguments = _arguments(layers, inputs, random_bases, leading)
    with hosts.first_owns(workdir):
        run = hosts.from_first(lambda: _checked(workdir))
        asked = run, layers, inputs, random_bases, 60 * minutes, leading
        if hosts.largest(not _sees(run))[0]:  # what process 0 alone can read
            found = hosts.from_first(lambda: alignment_of_run(*asked))
        else:
            found = alignment_of_run(*asked, together=hosts.several())
        return hosts.from_first(lambda: _written(run, found, arguments))


def _checked(workdir: Path) -> Run:
    """A run that can be analysed."""
    from randlabels.analysis.records import alignment_path

    run = load_run(workdir)
    refuse_if_all_lost(workdir, run.networks)
    folder = alignment_path(workdir).parent
    if folder.is_symlink():  # two runs would write into one folder
        raise InputError(f"{folder} is a link; remove it.")
    return run


def _sees(run: Run) -> bool:
    """Whether this process can read what process 0 has opened."""
    try:
        return load_run(run.workdir).steps == run.steps
    except InputError:
        return False


def _written(run: Run, alignment: "Alignment", arguments: dict[str, Any]) -> "Alignment":
    """Write alignment.json, the figures and the page; returns the alignment as it is read again."""
    from randlabels.analysis.manifest import write_manifest
    from randlabels.analysis.records import Alignment, alignment_path
    from randlabels.analysis.run_page import page

    workdir, path = run.workdir, alignment_path(run.workdir)
    _warn(run)  # where the numbers are said
    path.parent.mkdir(exist_ok=True)
    records.write_json(path, alignment.to_json())
    alignment = Alignment.from_json(records.read_json(path))  # as whoever reads it would
    _warn_of_missing(alignment)
    figures = _draw(alignment, workdir / "figures")
    command = _command(workdir, arguments)
    records.replace_text(page_path(workdir), page(run, alignment, figures, command))
    files = [path, page_path(workdir), *(file for file, _ in figures.values())]
    write_manifest(workdir, arguments, files)
    return alignment


def is_analysed(
    workdir: Path,
    layers: Sequence[str] = (),
    inputs: str = "checkpoint",
    random_bases: int = 200,
    leading: int = 0,
) -> bool:
    """Whether all that `analyze` would write is there and whole."""
    from randlabels.analysis.manifest import is_whole

    return is_whole(workdir, _arguments(layers, inputs, random_bases, leading))


def _arguments(
    layers: Sequence[str], inputs: str, random_bases: int, leading: int
) -> dict[str, Any]:
    asked = {"layers": list(layers), "inputs": inputs, "random_bases": random_bases}
    # Without it if all eigenvectors are looked at, so that earlier analyses stay whole.
    return asked | ({"leading": leading} if leading else {})


def _warn(run: Run) -> None:
    """Say which networks are left out, and which are not although they learned nothing."""
    lost = [row.network for row in run.networks if row.lost]
    untrained = [row.network for row in run.networks if row.state == "untrained"]
    if lost:
        logging.warning("Networks %s diverged or died, and are left out.", lost)
    if untrained:
        logging.warning(
            "Networks %s ended at chance; they are analysed all the same. Train longer, or with "
            "another learning rate or fewer examples, if they should have learned something.",
            untrained,
        )


def _warn_of_missing(alignment: "Alignment") -> None:
    """Say of which layers all networks together have no misalignment, and why."""
    pooled = (record for record in alignment.records if record.network is None)
    for layer, reason in dict.fromkeys((one.layer, one.reason) for one in pooled if one.reason):
        logging.warning("There is no misalignment of %s: %s", layer, reason)


def page_path(workdir: str | Path) -> Path:
    """Where the page of an analysis is."""
    return Path(workdir) / "analysis" / "page.html"


def _command(workdir: Path, arguments: Mapping[str, Any]) -> str:
    """The command line that makes an analysis again."""
    usual = _arguments((), INPUTS[0], 200, 0)
    words = [f"--workdir={shlex.quote(str(workdir))}"]
    for name, value in arguments.items():
        if value != usual.get(name):
            words.append(f"--{name}={','.join(value) if isinstance(value, list) else value}")
    return f"python -m randlabels.analyze {' '.join(words)}"


def _draw(alignment: "Alignment", folder: Path) -> dict[str, tuple[Path, str]]:
    """Draw the figures; returns {name: (file, caption)}."""
    from randlabels.figures import style
    from randlabels.figures.alignment_figures import alignment_figures

    folder.mkdir(exist_ok=True)
    remove_temporaries(folder)
    files = {}
    for layer in alignment.data:
        for name, (figure, caption) in alignment_figures(alignment, layer).items():
            files[name] = folder / f"{name}.png", caption
            style.save(figure, folder / f"{name}.png")
    return files
