"""Proposition 1's symmetry on the whole path: rotated inputs, rotated start, training, analysis."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from randlabels.analysis.records import alignment_path, load_alignment
from randlabels.analysis.run_analysis import analyze
from randlabels.training import loop

ROTATION = 5
DIAGONAL = (0.3, 0.6, 1.0, 1.5, 2.1, 2.8)
INITIAL = (1.5, 0.4, 1.0, 0.6, 0.3, 0.8)  # deviations of the weights: not isotropic


@pytest.fixture
def analysed(tiny_config, tmp_path, monkeypatch):
    """A function (name, rotation of the inputs, matrix on the weights) -> the analysis of a run."""
    prepare = loop.prepare

    def run(name, rotation_seed, turn):
        config = tiny_config(
            {
                "data.name": "gaussian",
                "data.image_size": 0,
                "data.diagonal": DIAGONAL,
                "data.upstream_size": 64,
                "data.rotation_seed": rotation_seed,
                "model.name": "mlp",
                "model.filters": 48,
                "model.widths": (12,),
                "optimizer.learning_rate": 0.1,
                "train.epochs": 5,
                "train.checkpoint_epochs": (0, 5),
            }
        )

        def with_start(config):
            setup = prepare(config)
            layer = setup.state["params"]["dense1"]
            layer["kernel"] = (turn @ layer["kernel"]).astype(np.float32)
            return setup

        monkeypatch.setattr(loop, "prepare", with_start)
        loop.train(config, tmp_path / name)
        analyze(tmp_path / name, random_bases=3)
        assert alignment_path(tmp_path / name).exists()
        return load_alignment(tmp_path / name)

    return run


def test_eigenvectors_rotate_with_the_inputs_and_the_start_and_f_stays(analysed):
    turn, start = ortho_group.rvs(6, random_state=ROTATION), np.diag(INITIAL)
    plain = analysed("plain", -1, start)
    rotated = analysed("rotated", ROTATION, turn @ start)
    control = analysed("control", ROTATION, start)

    bases = [found.data["dense1"].eigenvectors for found in (plain, rotated)]
    np.testing.assert_allclose(abs(((turn @ bases[0]) * bases[1]).sum(0)), 1, atol=1e-5)
    assert abs(turn - np.eye(6)).max() > 0.3
    moved = [r.tau for r in plain.records if r.network == 0]
    assert abs(moved[1] / moved[0] - 1).max() > 0.2  # training changed f
    for ours, theirs, others in zip(*(f.records for f in (plain, rotated, control)), strict=True):
        np.testing.assert_allclose(theirs.tau, ours.tau, rtol=2e-5)
        assert theirs.misalignment_data == pytest.approx(ours.misalignment_data, rel=1e-4)
        # Weights that stay where they were while the inputs turn have another f.
        assert abs(others.tau / ours.tau - 1).max() > 0.2
        if ours.network is None:
            vectors = [found.filter_eigenvectors for found in (ours, theirs)]
            np.testing.assert_allclose(
                np.abs(np.sum((turn @ vectors[0]) * vectors[1], axis=0)), 1, atol=1e-5
            )
