"""The figure of controls: a point for each group and basis, and which bases do not count."""

import numpy as np
from matplotlib.colors import to_hex

from randlabels.analysis.controlled import ControlledAlignment
from randlabels.figures import learned_controls, style


def alignment(names, symmetries=(), scale=1.0):
    """Three groups, the second of which has no misalignments."""
    rng = np.random.default_rng(0)
    missing = np.array([1, np.nan, 1])
    return ControlledAlignment(
        data=scale * missing * [2, 0, 3],
        controls={name: scale * missing * rng.uniform(5, 9, 3) for name in names},
        symmetries=symmetries,
        random=missing[:, None] * rng.uniform(40, 60, (3, 7)),
        null=missing[:, None] * rng.uniform(1, 2, (3, 41)),
        exact_p=missing,
        network_null=np.full((3, 41), np.nan),
        network_p=np.full(3, np.nan),
        f=np.ones((3, 4)),
        reasons=(None, "few", None),
    )


def drawn(ax, name):
    return next(line for line in ax.lines if line.get_label() == name)


def test_points_are_groups_in_the_row_of_their_basis():
    panels = {"one": alignment(["dct", "turned"], ("turned",)), "two": alignment(["dct", "x"])}
    figure = learned_controls.plot(panels)
    rows = [learned_controls.EXACT, learned_controls.DATA, "dct", "turned", "x"]
    rows.append(learned_controls.RANDOM)
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == rows
    heights = dict(zip(rows, first.get_yticks(), strict=True))
    for ax, (title, of) in zip(figure.axes, panels.items(), strict=True):
        assert (ax.get_title(), ax.get_xscale()) == (title, "log")
        expected = {
            learned_controls.DATA: of.data,
            learned_controls.EXACT: of.null.mean(1),
            learned_controls.RANDOM: of.random.mean(1),
            **of.controls,
        }
        for name, values in expected.items():
            line = drawn(ax, name)
            np.testing.assert_allclose(line.get_xdata(), values[[0, 2]])
            np.testing.assert_allclose(line.get_ydata() - heights[name], [0.25, -0.25])
    lines = [collection.get_segments() for collection in figure.axes[0].collections]
    np.testing.assert_allclose(
        lines[0][1][:, 0], np.quantile(panels["one"].null[2], [0.025, 0.975])
    )
    np.testing.assert_allclose(lines[1][0][:, 0], np.sort(panels["one"].random[0])[[0, -1]])


def test_symmetries_are_hollow():
    ax = learned_controls.plot({"": alignment(["dct", "turned"], ("turned",))}).axes[0]
    assert [drawn(ax, name).get_fillstyle() for name in ("dct", "turned")] == ["full", "none"]
    assert to_hex(drawn(ax, "turned").get_color()) == to_hex(style.GREY)
    assert to_hex(drawn(ax, learned_controls.DATA).get_color()) == to_hex(style.BLUE)
