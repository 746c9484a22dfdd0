"""Figures of gains: what is drawn is what was given, in every panel."""

import numpy as np

from randlabels.figures import by_layers, gain_bars, map_panels, phase_maps, style, training_curves


def test_bars_show_mean_interval_and_every_seed():
    rows = {"a": (np.array([0.1, 0.3]), (0.05, 0.4)), "b": (np.array([-0.2, 0.0]), (-0.3, 0.1))}
    figure = gain_bars.plot(
        {"real": rows, "random": {k: (-v, (0.0, 0.0)) for k, (v, _) in rows.items()}}
    )
    first, second = figure.axes
    lines = [line for line in first.get_lines() if len(line.get_xdata()) != 2 or line.get_lw() > 2]
    drawn = sorted(float(line.get_xdata()[0]) for line in first.get_lines() if line.get_ms() == 6
                   and line.get_marker() == "o")  # fmt: skip
    assert drawn == [-0.1, 0.2]
    intervals = [line.get_xdata() for line in first.get_lines() if line.get_lw() == 2.5]
    assert [list(i) for i in intervals] == [[0.05, 0.4], [-0.3, 0.1]]
    assert [t.get_text() for t in first.get_yticklabels()] == ["a", "b"]
    assert len(lines) > 2
    assert second.get_title() == "random"


def test_layers_are_lines_with_bands_over_seeds():
    gains = {"f": np.array([[0.0, 0.2], [0.1, 0.5]]), "g": np.array([[0.1, 0.1], [0.2, 0.2]])}
    figure = by_layers.plot({"one": gains, "two": gains}, {"one": (1, 4), "two": (2, 3)})
    first, second = figure.axes
    line = next(line for line in first.get_lines() if line.get_label() == "f")
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.3])
    assert list(line.get_xdata()) == [1, 4]
    assert list(second.get_xticks()) == [2, 3]
    band = first.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.0, 0.5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["f", "g"]


def test_a_way_has_one_colour_in_all_panels():
    gains = np.array([[0.0, 0.2], [0.1, 0.5]])
    panels = {"one": {"f": gains, "g": gains}, "two": {"g": gains, "h": gains}}
    figure = by_layers.plot(panels, dict.fromkeys(panels, (1, 2)))
    colours = [
        {line.get_label(): line.get_color() for line in ax.get_lines()} for ax in figure.axes
    ]
    assert colours[0]["g"] == colours[1]["g"] != colours[1]["h"]
    legend = figure.legends[0]
    keys = [text.get_text() for text in legend.get_texts()]
    drawn = dict(zip(keys, [line.get_color() for line in legend.get_lines()], strict=True))
    assert drawn == {"f": colours[0]["f"], "g": colours[1]["g"], "h": colours[1]["h"]}


def test_maps_pool_networks_by_variance():
    values = np.array([4.0, 1.0, 0.1])
    start, end = np.ones((2, 3)), np.array([[1.0, 3.0, 1.0], [1.0, 4.0, 7.0]])
    panels = {f"setting {i}": (values, start, (i + 1) * end) for i in range(5)}
    figure = map_panels.plot(panels)
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in shown] == [f"setting {i}" for i in range(5)]
    np.testing.assert_allclose(shown[0].get_lines()[2].get_ydata(), [1, np.sqrt(12.5), 5])
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in shown}) == 1
    assert shown[0].get_ylim()[0] == 0
    assert figure.get_supxlabel() == style.EIGENVALUE


def test_phase_maps_share_one_symmetric_scale():
    panels = {
        (row, column): np.array([[0.1, -0.2], [0.0, 0.3]]) * (1 + (row == "b"))
        for row in ("a", "b")
        for column in ("x", "y", "z")
    }
    figure = phase_maps.plot(panels, ("rate", ["1", "2"]), ("length", ["3", "4"]), "gain")
    images = [ax.images[0] for ax in figure.axes if ax.images][:6]
    assert {image.get_clim() for image in images} == {(-0.6, 0.6)}
    np.testing.assert_allclose(images[3].get_array(), panels["b", "x"])
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "+0.10",
        "-0.20",
        "+0.00",
        "+0.30",
    ]


def test_training_curves_have_one_legend_for_what_any_panel_shows():
    steps, values = np.array([0, 10]), np.array([[0.1, 0.5], [0.1, 0.7]])
    panels = {
        "real labels": {"scratch": (steps, values)},
        "a title that is far too long for a panel of its width, and is broken": {
            "pretrained": (steps, values)
        },
    }
    figure = training_curves.plot(panels)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["scratch", "pre-trained"]
    assert "\n" in figure.axes[1].get_title()
    assert figure.axes[0].get_title() == "real labels"


def test_level_is_drawn_with_where_arms_reach_it_and_their_speed_ups():
    steps, values = np.array([0, 10, 20]), np.array([[0.1, 0.5, 0.9], [0.1, 0.7, 0.9]])
    curves = dict.fromkeys(("scratch", "pretrained", "covariance"), (steps, values))
    level = training_curves.Level(
        0.6,
        {
            "scratch": np.array([8.0, 18.0]),
            "pretrained": np.array([4.0, 9.0]),
            "covariance": np.array([5.0, np.inf]),
        },
        {"pretrained": (2.0, (1.5, 2.5)), "covariance": (None, None)},
    )
    ax = training_curves.plot({"real labels": curves}, levels={"real labels": level}).axes[0]
    dots = {line.get_color(): line.get_xydata() for line in ax.lines if line.get_marker() == "o"}
    assert set(dots) == {style.arm_colour("scratch"), style.arm_colour("pretrained")}
    np.testing.assert_allclose(dots[style.arm_colour("scratch")], [[12, 0.6]])
    np.testing.assert_allclose(dots[style.arm_colour("pretrained")], [[6, 0.6]])
    assert [0.6, 0.6] in [list(line.get_ydata()) for line in ax.lines]
    words = {text.get_text(): text.get_color() for text in ax.texts}
    assert words == {
        "scratch's steps to 60% over those of": style.GREY,
        "pre-trained: 2.00 [1.50, 2.50]": style.arm_colour("pretrained"),
        "drawn from covariance: not known": style.arm_colour("covariance"),
    }


def test_without_levels_none_is_drawn():
    steps, values = np.array([0, 10]), np.array([[0.1, 0.5]])
    ax = training_curves.plot({"real": {"scratch": (steps, values)}}).axes[0]
    assert (len(ax.lines), len(ax.texts)) == (1, 0)


def test_bars_have_the_same_axis_in_all_panels():
    rows = {"near": (np.array([20.0, 40.0]), (10.0, 50.0))}
    farther = {"near": (np.array([90.0, 91.0]), (80.0, 99.0))}
    figure = gain_bars.plot({"one": rows, "two": farther}, "nats")
    first, second = figure.axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_xlim()[0] <= 10
    assert first.get_xlim()[1] >= 99
    assert figure.get_supxlabel() == "nats"
