"""Studies that take over all layers but the head, rescaled to their initial norms or not."""

from collections.abc import Mapping

from randlabels.configs.base import SAME, Columns
from randlabels.studies.declare import Results, Tables
from randlabels.studies.families import FINE_TUNING
from randlabels.studies.readouts.rates import AtRates, gain_cells, rate_rows, read_rates

COPIED = ("pretrained", "pretrained_unscaled")
ARMS = ("scratch", *COPIED)
HOW = {"pretrained": "rescaled", "pretrained_unscaled": "as they are"}  # layers are taken over
TASKS = {"real": "real labels", "random": "10 random labels"}
BANDS = "Lines are means over seeds, bands go from the lowest to the highest seed."

ALL_ARMS = {**FINE_TUNING, "init.arms": ARMS}
TEN_CLASSES: Columns = {"labels.num_classes": (10, 10, SAME)}  # dead leaves, in smoke, have 5

Cases = Mapping[str, AtRates]  # {stage: arms at all rates}


def read_cases(results: Results, best: Mapping[str, Mapping[str, float]]) -> Cases:
    """The curves of all arms and rates of some stages.

    Args:
        results: of the study.
        best: {stage: {arm: its best rate}}.
    """
    starts = {arm: {"arm": arm} for arm in ARMS}
    return {stage: read_rates(results.runs[stage], starts, best[stage]) for stage in best}


def rows_of_cases(
    cases: Cases, where: Mapping[str, Mapping[str, str]], levels: Mapping[str, float]
) -> Tables:
    """Gains of both arms at both choices of rates; and a row for each case, arm and rate.

    Args:
        cases: by stage.
        where: {stage: the first cells of its rows}.
        levels: {stage: train accuracy whose time of arrival is listed}.
    """
    gains = [
        {**where[stage], "arm": arm, **gain_cells(of, arm)}
        for stage, of in cases.items()
        for arm in COPIED
    ]
    rates = [
        {**where[stage], **row}
        for stage, of in cases.items()
        for row in rate_rows(of, levels[stage])
    ]
    return {"gains": gains, "rates": rates}
