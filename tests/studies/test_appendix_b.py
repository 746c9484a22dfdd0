"""appendix_b: its gains on planted curves."""

from pathlib import Path

import numpy as np
import pytest
from planted import SEED_FACTORS, planted_rates

from randlabels.studies.declare import Results
from randlabels.studies.families.whole_networks import ARMS, TASKS
from randlabels.studies.paper import appendix_b
from randlabels.studies.paper.appendix_b import MODELS, STUDY

RATES = (0.003, 0.01, 0.03)
STARTS = {arm: {"arm": arm} for arm in ARMS}
BEST = dict(zip(ARMS, RATES, strict=True))  # pretrained has the common one


@pytest.fixture
def planted(monkeypatch):
    """Readings in which pretrained is ahead by 4 to 7%, and pretrained_unscaled by 1% more."""
    gains = {f"{m}_{t}": 0.04 + 0.01 * k for k, (m, t) in enumerate(cases())}
    for stage in gains:
        monkeypatch.setitem(appendix_b.BEST_RATES, stage, BEST)
    runs = {
        stage: planted_rates(
            STARTS, BEST, RATES, {"scratch": 0, "pretrained": g, "pretrained_unscaled": g + 0.01}
        )
        for stage, g in gains.items()
    }
    return gains, STUDY.read(Results(Path("x"), runs, {}))


def cases():
    return [(m, t) for m in MODELS for t in TASKS]


def test_each_arm_is_compared_at_its_best_rate_and_at_the_common_one(planted):
    gains, reading = planted
    found = {claim.name: claim.of(reading) for claim in STUDY.claims}
    assert len(found) == 16
    for stage, gain in gains.items():
        for arm, ahead in {"pretrained": gain, "pretrained_unscaled": gain + 0.01}.items():
            np.testing.assert_allclose(found[f"{stage}_{arm}"], ahead * SEED_FACTORS)
            # At the common rate scratch lags by .05, and so does the arm that is best elsewhere.
            behind = 0.05 if arm == "pretrained_unscaled" else 0
            common = found[f"{stage}_{arm}_common"]
            np.testing.assert_allclose(common, (ahead - behind + 0.05) * SEED_FACTORS)


def test_its_tables_have_a_row_for_each_case_arm_and_rate(planted):
    gains, reading = planted
    tables = STUDY.tables(reading)
    cells = [row["gain each at its best rate"].split(" ")[0] for row in tables["gains"]]
    ahead = [gain + more for gain in gains.values() for more in (0, 0.01)]
    assert cells == [f"{gain * SEED_FACTORS.mean():+.3f}" for gain in ahead]
    assert len(tables["rates"]) == len(gains) * len(ARMS) * len(RATES)
