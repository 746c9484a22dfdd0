"""What the figures of Gaussian inputs draw, read back from the artists."""

import numpy as np

from randlabels.figures import style
from randlabels.figures.gaussian_maps import DistancePanel, MapPanel, plot, plot_distances

EPOCHS = np.arange(5)


def panel(*rates):
    """Distances that fall with the rate, of two networks."""
    lines = {rate: np.full((2, 5), 1 - float(rate)) for rate in rates}
    stops = {rate: (np.array([3.0, 3.0]), of[:, 3]) for rate, of in lines.items()}
    return DistancePanel(EPOCHS, lines, stops, rates[0], (rates[-1], 4))


def test_a_rate_has_one_colour_in_all_panels_and_in_the_legend():
    figure = plot_distances({"wide": panel("0.1", "0.2"), "narrow": panel("0.2", "0.4")}, 2)
    found = {}
    for ax in figure.axes:
        for line in ax.lines:
            if line.get_label().startswith("rate"):
                rate = 1 - line.get_ydata()[0]
                assert line.get_label() == f"rate {rate:g}"
                found.setdefault(line.get_label(), set()).add(line.get_color())
    assert found == {f"rate {r}": {c} for r, c in zip((0.1, 0.2, 0.4), style.SERIES, strict=False)}
    keys = figure.legends[0]
    shown = dict(zip((t.get_text() for t in keys.texts), keys.legend_handles, strict=True))
    assert {label: {line.get_color()} for label, line in shown.items()} == found


def test_both_readings_of_a_setting_have_the_same_axes():
    maps = {
        title: MapPanel(EPOCHS, {"fitted": scale * np.ones((2, 5))}, {1.0: 0.5})
        for title, scale in (("deviations", 1), ("variances", 3))
    }
    first, second = plot(maps, 1).axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[1] > 3
