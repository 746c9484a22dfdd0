"""Misalignment of what was learned over training: every basis from its own checkpoints."""

import numpy as np

from randlabels.analysis.controlled import ControlledAlignment
from randlabels.figures import controls_over_training, style


def checkpoint(data, **controls):
    """One group; a control called `turned` is a symmetry."""
    one = np.array([data])
    return ControlledAlignment(
        data=one,
        controls={name: np.array([value]) for name, value in controls.items()},
        symmetries=("turned",),
        random=data * np.array([[40.0, 50.0, 60.0]]),
        null=data * np.linspace(0.5, 0.7, 41)[None],
        exact_p=one,
        network_null=np.full((1, 41), np.nan),
        network_p=one,
        f=np.ones((1, 4)),
        reasons=(None,),
    )


def plotted():
    found = {
        1.0: checkpoint(np.nan, dct=np.nan, other=np.nan, turned=np.nan),
        2.0: checkpoint(2.0, dct=5.0, other=4.0, turned=2.1),
        8.0: checkpoint(3.0, dct=6.0, other=9.0, turned=3.1),
    }
    return found, controls_over_training.plot({"random labels": found})


def test_data_controls_and_nulls_are_those_of_each_checkpoint():
    found, figure = plotted()
    (ax,) = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines == {
        controls_over_training.DATA: [[2, 2], [8, 3]],
        controls_over_training.NEAREST: [[2, 5], [8, 6]],
        controls_over_training.OTHERS: [[2, 4], [8, 9]],  # and no line of the symmetry
    }
    bands = {of.get_label(): of.get_paths()[0].vertices for of in ax.collections}
    assert set(bands) == {controls_over_training.EXACT, controls_over_training.RANDOM}
    assert {tuple(at) for at in bands[controls_over_training.RANDOM]} == {
        (2, 80), (2, 120), (8, 120), (8, 180),
    }  # fmt: skip
    exact = bands[controls_over_training.EXACT]
    at_end = exact[exact[:, 0] == 8, 1]
    limits = np.quantile(found[8.0].null[0], [0.025, 0.975])
    np.testing.assert_allclose([at_end.min(), at_end.max()], limits)


def test_nearest_control_is_named_and_dashed():
    _, figure = plotted()
    (ax,) = figure.axes
    assert ax.get_title() == "random labels\nnearest control: dct"
    nearest = next(of for of in ax.lines if of.get_label() == controls_over_training.NEAREST)
    assert (nearest.get_linestyle(), nearest.get_color()) == ("--", style.ORANGE)
    assert ax.get_yscale() == "log"
    assert "nats" in ax.get_ylabel()
    assert "w_t - w_0" in ax.get_ylabel()
