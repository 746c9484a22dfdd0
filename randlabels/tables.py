"""Numbers of runs and analyses as tables: data frames in long form, and what notebooks show.

pandas is optional: without it, `frame()` says how to install it.
"""

import dataclasses
import html
from typing import TYPE_CHECKING, Any

import numpy as np

from randlabels.errors import InputError
from randlabels.runs import Run
from randlabels.states import summary

if TYPE_CHECKING:
    from randlabels.analysis.records import Alignment, AlignmentRecord

# Of a record of alignment: numbers, and means of samples.
_NUMBERS = ("misalignment_data", "misalignment_shrunk", "p_value", "kernel_norm", "num_filters")
_MEANS = ("misalignment_random", "misalignment_shrunk_random", "floor")


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InputError("frame() needs pandas; install it by `pip install pandas`.") from error
    return pandas


def run_frame(run: Run) -> Any:
    """The metrics of a run: one row for each evaluated epoch, network and metric.

    Columns: epoch, step, the columns of the network table (network, arm, seed, ...), metric, value.

    Raises:
        InputError: if pandas is not installed.
    """
    pandas = _pandas()
    rows = []
    for record in run.metrics:
        of_networks = {
            name: values
            for name, values in record.items()
            if np.ndim(values) == 1 and len(values) == len(run.networks)
        }
        for i, network in enumerate(run.networks):
            place = {"epoch": record["epoch"], "step": record["step"]}
            place |= {k: v for k, v in dataclasses.asdict(network).items() if np.ndim(v) == 0}
            rows += [
                place | {"metric": name, "value": _number(values[i])}
                for name, values in of_networks.items()
            ]
    return pandas.DataFrame(rows)


def _number(value: Any) -> float:
    """JSON has null for what is not finite."""
    return float("nan") if value is None else float(value)


def alignment_frame(alignment: "Alignment") -> Any:
    """The records of an analysis: one row for each layer, checkpoint, set of filters and quantity.

    Columns: layer, step, epoch, the columns that networks of a group share, networks (how many are
    pooled), network (missing where they are pooled), quantity, value. Quantities that are not
    there, such as the misalignment of too few filters, are left out; of samples there is the mean.

    Raises:
        InputError: if pandas is not installed.
    """
    return _pandas().DataFrame([row for record in alignment.records for row in _rows(record)])


def _rows(record: "AlignmentRecord") -> list[dict[str, Any]]:
    place = {"layer": record.layer, "step": record.step, "epoch": record.epoch}
    place |= {k: v for k, v in record.group.items() if np.ndim(v) == 0}
    place |= {"networks": len(record.networks), "network": record.network}
    found = {name: getattr(record, name) for name in _NUMBERS}
    for name in _MEANS:
        samples = getattr(record, name)
        found[f"{name}_mean"] = None if samples is None else float(np.mean(samples))
    return [
        place | {"quantity": name, "value": float(value)}
        for name, value in found.items()
        if value is not None and np.isfinite(value)
    ]


def run_html(run: Run) -> str:
    """A small table: where, what, how many networks, how far, and how well they do."""
    config, last = run.config, run.metrics[-1] if run.metrics else {}
    rows = {
        "workdir": run.workdir,
        "state": f"{run.status.get('state')} ({summary(run.networks)})",
        "model": config["model"]["name"],
        "data": f"{config['data']['name']}, {config['labels']['kind']} labels",
        "epoch": f"{last.get('epoch', 0)} of {config['train']['epochs']}",
        "checkpoints of steps": ", ".join(map(str, run.steps)),
    }
    for name in ("train_accuracy", "test_accuracy"):
        if name in last:
            values = [_number(v) for v in last[name]]
            if np.isfinite(values).any():
                rows[name.replace("_", " ")] = f"{np.nanmean(values):.3f} on average"
    cells = "".join(
        f"<tr><th scope='row' style='text-align:left'>{html.escape(str(name))}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"
