"""What all figures share: one palette, two spines, axes that name what they show."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from randlabels.eigen import closed_form_limit
from randlabels.figures import (
    activity_curves,
    by_kernel_size,
    by_layers,
    closed_form_maps,
    gain_bars,
    gap_curves,
    gaussian_maps,
    map_panels,
    misalignment_panels,
    overlap_by_rank,
    phase_maps,
    pooling_curves,
    style,
    training_curves,
)
from randlabels.transfer.registry import ARMS

# Okabe & Ito (2008), and one grey.
OKABE_ITO = {
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
}  # fmt: skip

EPOCHS, SEEDS = np.array([0, 1, 2]), np.array([[0.1, 0.2, 0.3], [0.2, 0.4, 0.6]])
RANDOM = np.random.default_rng(0).uniform(1, 2, (2, 9))


def closed_forms():
    values = np.geomspace(10, 0.1, 6)
    single = np.outer([1, 1.1], closed_form_limit(np.sqrt(values), 1.0))
    return {"real": {5: closed_form_maps.CheckpointMap(10, values, single)}}


def gaussian():
    return {"d": gaussian_maps.MapPanel(EPOCHS, {"fitted": SEEDS}, {1.0: 0.5})}


FIGURES = {
    "activity": lambda: activity_curves.plot({"start": {"conv1": SEEDS}}),
    "kernel size": lambda: by_kernel_size.plot({"": {3: (SEEDS[0], SEEDS[1], SEEDS[0])}}),
    "layers": lambda: by_layers.plot({"real": {"f": SEEDS.T}}, {"real": (1, 2, 3)}),
    "closed forms": lambda: closed_form_maps.plot_maps(closed_forms(), style.DEVIATION, True),
    "peaks": lambda: closed_form_maps.plot_peaks({"real": list(closed_forms()["real"].values())}),
    "gains": lambda: gain_bars.plot({"real": {"arm": (SEEDS[0], (0.1, 0.3))}}),
    "gaps": lambda: gap_curves.plot({"": (EPOCHS, {"pretrained": SEEDS.T})}, "width (ratio)"),
    "gaussian": lambda: gaussian_maps.plot(gaussian(), 1),
    "maps": lambda: map_panels.plot({"relu": (np.array([4, 1, 0.1]), SEEDS, SEEDS)}),
    "misalignment": lambda: misalignment_panels.plot(
        {"real": (EPOCHS, [(SEEDS[0], RANDOM, RANDOM[0])] * 3)}
    ),
    "overlap": lambda: overlap_by_rank.plot([1, 2, 3], {0: SEEDS, 5: SEEDS}, 27),
    "phase": lambda: phase_maps.plot(
        {("up", "down"): SEEDS - 0.3}, ("rate", ["1", "2"]), ("epochs", ["1", "2", "3"]), "gain"
    ),
    "pooling": lambda: pooling_curves.plot({"": {"SGD": (EPOCHS + 1, [RANDOM[0]] * 3)}}),
    "training": lambda: training_curves.plot({"real": {"scratch": (EPOCHS, SEEDS)}}),
}


@pytest.fixture(params=FIGURES)
def figure(request):
    return FIGURES[request.param]()


def panels(figure):
    return [ax for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>"]


def test_panels_have_two_spines(figure):
    for ax in panels(figure):
        assert {side: spine.get_visible() for side, spine in ax.spines.items()} == {
            "left": True, "bottom": True, "top": False, "right": False,
        }  # fmt: skip


def test_axes_name_what_they_show(figure):
    across = [figure.get_supxlabel(), *(ax.get_xlabel() for ax in panels(figure))]
    rows = [text for ax in panels(figure) for text in map(str, ax.get_yticklabels())]
    down = [figure.get_supylabel(), *(ax.get_ylabel() for ax in panels(figure))]
    assert any(across)
    assert any(down) or any("arm" in text for text in rows)  # rows with names of their own


def test_lines_have_colours_of_the_palette(figure):
    allowed = OKABE_ITO | {style.GREY} | {to_hex(c) for c in style.epoch_colours(2)}
    for line in figure.findobj(Line2D):
        if line.axes is not None and line.get_label() and line in line.axes.lines:
            assert to_hex(line.get_color()) in allowed


def test_palette_is_okabe_and_ito_s():
    colours = {colour.lower() for colour in style.PALETTE.values()}
    assert colours - {style.GREY} == OKABE_ITO - {"#f0e442"}
    assert {colour.lower() for colour in style.SERIES} <= OKABE_ITO


def test_arms_of_one_colour_differ_in_their_dashes():
    looks = [tuple(style.arm_line(arm).values()) for arm in ARMS]
    assert len(set(looks)) == len(ARMS)
    curves = dict.fromkeys(ARMS, (EPOCHS, SEEDS))
    figure = training_curves.plot({"": curves})
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    shown = dict(zip([t.get_text() for t in figure.legends[0].texts],
                     figure.legends[0].legend_handles, strict=True))  # fmt: skip
    for arm in ARMS:
        label, look = style.arm_label(arm), style.arm_line(arm)
        for line in (drawn[label], shown[label]):
            assert (line.get_color(), line.get_linestyle()) == (look["color"], look["linestyle"])


def test_checkpoints_go_from_dark_to_light():
    luminance = style.epoch_colours(6)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0.02).all()
