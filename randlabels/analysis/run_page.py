"""What `analyze` tells people: a short table, and a page of it with the figures."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from randlabels.analysis.records import Alignment, AlignmentRecord
from randlabels.pages import picture, render
from randlabels.runs import Run
from randlabels.states import summary

# Column -> what it says of pooled networks at one checkpoint.
_COLUMNS = ("layer", "group", "epoch", "filters", "d", "M, data", "M, random", "floor", "p", "norm")


def table(alignment: Alignment) -> list[dict[str, str]]:
    """One row for each layer and group, at its first and at its last checkpoint, as texts.

    M is the misalignment of all networks pooled: to the data's eigenvectors, to random bases on
    average; the floor is the mean of as many isotropic filters, p that of a random basis as near.
    A dash stands where Sigma_w is singular.
    """
    rows = []
    for layer in alignment.data:
        pooled = [record for record in alignment.of_layer(layer) if record.network is None]
        for group in _groups(pooled):
            ends = sorted((r for r in pooled if r.group == group), key=lambda r: r.step)
            rows += [_row(record, group) for record in dict.fromkeys((ends[0], ends[-1]))]
    return rows


def _groups(records: list[AlignmentRecord]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for record in records:
        if record.group not in found:
            found.append(record.group)
    return found


def _row(record: AlignmentRecord, group: Mapping[str, Any]) -> dict[str, str]:
    def mean(samples: Any) -> float | None:
        return None if samples is None else float(samples.mean())

    values = (
        record.layer,
        str(group.get("arm", "")),
        f"{record.epoch:g}",
        str(record.num_filters),
        str(record.dim),
        *(
            "-" if value is None else f"{value:.3g}"
            for value in (
                record.misalignment_data,
                mean(record.misalignment_random),
                mean(record.floor),
                record.p_value,
                record.kernel_norm,
            )
        ),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def as_text(rows: list[dict[str, str]]) -> str:
    """The rows as lines for a terminal."""
    if not rows:
        return ""
    widths = {c: max(len(c), *(len(row[c]) for row in rows)) for c in rows[0]}
    lines = [{c: c for c in rows[0]}, *rows]
    return "\n".join(
        "  ".join(f"{row[c]:<{width}}" for c, width in widths.items()).rstrip() for row in lines
    )


def left_out(alignment: Alignment) -> str:
    """Which checkpoints could not be read."""
    steps = sorted({one.step for one in alignment.skipped if one.step is not None})
    if not steps:
        return ""
    which = f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
    return f"; without the damaged checkpoint{'s' if len(steps) > 1 else ''} of {which}"


def truncations(alignment: Alignment) -> list[str]:
    """A sentence for each layer that was analysed along some of its eigenvectors only."""
    said = []
    for layer, data in alignment.data.items():
        dim = math.prod(data.kernel_shape[:-1])
        last = [record for record in alignment.of_layer(layer) if record.network is None][-1]
        if last.dim < dim:
            said.append(
                f"{layer} is analysed along the leading {last.dim:,} of {dim:,} eigenvectors of "
                f"its inputs, which hold {last.input_share:.3%} of their variance and "
                f"{last.filter_share:.3%} of the filters' squared norm at the last checkpoint; "
                "of what lies outside nothing is said."
            )
    return said


def page(
    run: Run, alignment: Alignment, figures: Mapping[str, tuple[Path, str]], command: str
) -> str:
    """The page of an analysis as text.

    Args:
        run: that was analysed.
        alignment: what was found.
        figures: {name: (file, caption)}, in figures/ of the workdir.
        command: that makes it again.
    """
    config = run.config
    return render(
        "run.html",
        title=f"Eigen-analysis of {run.workdir.name}",
        model=config["model"]["name"],
        data=config["data"]["name"],
        labels=f"{config['labels']['kind']} labels, {config['labels']['num_classes']} classes",
        networks=summary(run.networks),
        rows=table(alignment),
        skipped=alignment.skipped,
        truncations=truncations(alignment),
        figures=[
            {"file": file.name, "source": picture(file), "caption": caption}
            for file, caption in figures.values()
        ],
        command=command,
    )
