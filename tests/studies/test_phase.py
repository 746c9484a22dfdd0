"""The phase diagram: its cells and what goes with the gain, on planted runs."""

import dataclasses
import itertools

import numpy as np
import pytest

from randlabels import load_run
from randlabels.analysis.layer_inputs import open_inputs
from randlabels.analysis.outputs import logit_scale
from randlabels.studies.questions import phase
from randlabels.training import loop
from randlabels.training.check import check


def planted(classes, scale, rate_up, rate_down, epochs, arm, seed):
    """A network whose gain falls with classes and length, is higher without rescaling, and varies
    by seed; what goes with the gain is its opposite or not."""
    gain = (
        0.1 - 0.001 * classes - 0.002 * epochs + 0.05 * (arm != "pretrained") + 0.01 * seed
        + 0.1 * rate_down
    )  # fmt: skip
    return phase.TakenOver(
        classes, scale, rate_up, rate_down, epochs, arm, seed, gain, kernel_growth=2 - gain,
        inactive={"conv1": 0.25, "conv2": 2 * gain - 0.25}, logit_scale=1 + gain**2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def diagram():
    cells = itertools.product(
        phase.CLASSES, phase.SCALES, (0.003, 0.015), phase.RATES_DOWN, (10, 30, 80), phase.ARMS,
        (0, 1, 2),
    )  # fmt: skip
    return phase.Diagram(tuple(planted(*cell) for cell in cells))


def test_phase_claims_are_by_upstream_seed(diagram):
    found = {claim.name: claim.of(diagram) for claim in phase.STUDY.claims}
    assert len(found) == 7
    mean = 0.1 - 0.001 * 27.5 - 0.002 * 40 + 0.1 * np.mean(phase.RATES_DOWN)
    np.testing.assert_allclose(found["helps"], mean + 0.01 * np.arange(3))
    np.testing.assert_allclose(found["rescaling"], -0.05)
    np.testing.assert_allclose(found["few_classes"], 0.045)
    np.testing.assert_allclose(found["short"], 0.14)
    np.testing.assert_allclose(found["kernel_growth"], 1)  # falls as the gain rises
    np.testing.assert_allclose(found["inactive_share"], -1)
    assert (np.abs(found["logit_scale"]) < 0.95).all()


def test_phase_leaves_out_networks_that_diverged_or_died(diagram):
    """Two networks of seed 0, rescaled: what is known of the others counts."""
    kept = [n for n in diagram.networks if n.seed == 0 and n.arm == "pretrained"]
    lost = [dataclasses.replace(n, gain=np.nan) for n in kept[:2]]
    others = [n for n in diagram.networks if n not in kept[:2]]
    found = {claim.name: claim.of(phase.Diagram((*lost, *others))) for claim in phase.STUDY.claims}
    assert found["helps"][0] == pytest.approx(np.mean([n.gain for n in kept[2:]]))
    np.testing.assert_allclose(found["kernel_growth"], 1)
    gains = {0: {"gain": np.nan}}  # of all networks of seed 0
    rest = tuple(dataclasses.replace(n, **gains.get(n.seed, {})) for n in diagram.networks)
    for claim in phase.STUDY.claims:
        assert np.isnan(claim.of(phase.Diagram(rest))).tolist() == [True, False, False]


def test_phase_table_has_a_row_for_each_cell(diagram):
    rows = phase.STUDY.tables(diagram)["cells"]
    assert len(rows) == 2 * 2 * 2 * 2 * 3
    first = rows[0]
    assert first["active, conv1"] == "0.75"
    wanted = 0.1 - 0.005 - 0.02 + 0.01 + 0.1 * 0.003
    assert float(first["gain, rescaled"]) == pytest.approx(wanted, abs=6e-4)
    assert float(first["gain, not rescaled"]) == pytest.approx(wanted + 0.05, abs=6e-4)


def test_phase_maps_show_every_cell(diagram):
    figure, _ = phase.STUDY.figures(diagram)["phase"]
    axes = [ax for ax in figure.axes if ax.images and ax.get_xlim()[1] == 2.5]
    assert len(axes) == 2 * 2 * 2 * 2
    shown = axes[0].images[0].get_array()
    assert shown[0, 2] == pytest.approx(0.1 - 0.005 - 0.16 + 0.01 + 0.1 * 0.003)


def test_kernel_growth_and_logit_scale_of_a_run(tiny_config, tmp_path):
    loop.train(check(tiny_config({"optimizer.learning_rate": 0.1})), tmp_path)
    run = load_run(tmp_path)
    start, end = (run.params(step) for step in (run.steps[0], run.steps[-1]))
    ratios = [
        [np.linalg.norm(end[path]["kernel"][k]) / np.linalg.norm(start[path]["kernel"][k])
         for path in ("conv1", "dense1")]
        for k in range(2)
    ]  # fmt: skip
    found = phase.kernel_growth(run, run.steps[-1])
    np.testing.assert_allclose(found, np.sqrt(np.prod(ratios, axis=1)), rtol=1e-6)
    assert (np.abs(found - 1) > 1e-4).all()
    np.testing.assert_allclose(phase.kernel_growth(run, run.steps[0]), 1)
    inputs = open_inputs(run)
    images = np.concatenate(list(inputs.batches()))  # 50, fewer than are asked for
    for k in range(2):
        own = {"params": {path: {n: v[k] for n, v in layer.items()} for path, layer in end.items()}}
        logits = np.asarray(inputs.model.apply(own, images), np.float64)
        scale = logit_scale(run, run.steps[-1])[k]
        assert scale == pytest.approx(np.sqrt(np.mean(logits**2)), rel=1e-5)
