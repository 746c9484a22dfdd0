"""What the alignment figures draw, read back from the artists."""

import dataclasses

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from scipy import stats

from randlabels.analysis.records import Alignment, LayerData
from randlabels.figures import (
    eigenvalue_map,
    eigenvector_tiles,
    joined_maps,
    misalignment_over_training,
    misalignment_panels,
    style,
)
from randlabels.figures.alignment_figures import alignment_figures
from randlabels.figures.style import group_titles

GROUPS = [{"arm": "scratch", "learning_rate": rate} for rate in (0.1, 0.2)]


@pytest.fixture
def make_record(alignment_record):
    """A function: (epoch, network, group) -> a record."""

    def make(epoch, network, group):
        rng = np.random.default_rng([int(epoch), 9 if network is None else network])
        return alignment_record(
            step=int(epoch * 10),
            epoch=epoch,
            group=group,
            networks=(0, 1) if network is None else (network,),
            network=network,
            misalignment_data=1 + rng.random(),
            misalignment_random=4 + rng.random(30),
            floor=1 + rng.random(40),
            interval=np.array([-0.5, 1.5]) if network is None else None,
            tau=0.1 + rng.random(12),
            eigenvalues=np.geomspace(10, 0.1, 12),
            filter_eigenvalues=np.geomspace(0.2, 0.01, 12),
            filter_eigenvectors=np.eye(12)[:, [2, 0, 1]],
            nearest_rank=np.array([2, 0, 1]),
            nearest_cosine=np.array([0.9, 0.8, 0.7]),
        )

    return make


@pytest.fixture
def records(make_record):
    """Two checkpoints of two networks, not in order of time."""
    return [make_record(e, network, GROUPS[0]) for e in (4.0, 0.0) for network in (None, 0, 1)]


def of(records, epoch, network):
    return next(r for r in records if (r.epoch, r.network) == (epoch, network))


def line(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def band(ax, label):
    """(x, low, high) of a filled band."""
    found = next(c for c in ax.collections if c.get_label() == label)
    assert isinstance(found, PolyCollection)
    corners = found.get_paths()[0].vertices
    xs = np.unique(corners[:, 0])
    ys = [corners[corners[:, 0] == x, 1] for x in xs]
    return xs, [y.min() for y in ys], [y.max() for y in ys]


def test_misalignment_is_drawn_over_epochs_with_its_nulls(records):
    figure = misalignment_over_training.plot(records)
    ax, beside = figure.axes
    x, y = line(ax, misalignment_over_training.DATA).get_data()
    np.testing.assert_array_equal(x, [0, 4])
    np.testing.assert_allclose(y, [of(records, e, None).misalignment_data for e in (0, 4)])
    assert_nulls(ax, [[of(records, e, None)] for e in (0, 4)])
    _, low, high = band(ax, misalignment_over_training.INTERVAL)
    np.testing.assert_allclose(high, 1.5)
    np.testing.assert_allclose(low, ax.get_ylim()[0])  # the interval holds 0: to the bottom
    assert (ax.get_yscale(), ax.get_xlabel()) == ("log", "epochs of training")
    assert ax.get_ylabel() == "misalignment M (nats)"
    assert ax.get_ylim() == beside.get_ylim()


def test_single_networks_have_a_panel_with_nulls_of_their_own(records):
    ax, beside = misalignment_over_training.plot(records).axes
    drawn = [tuple(line.get_ydata()) for line in beside.lines]
    assert drawn == [tuple(of(records, e, k).misalignment_data for e in (0, 4)) for k in (0, 1)]
    assert len(ax.lines) == 1  # none of them over the pooled networks' nulls
    assert_nulls(beside, [[of(records, e, k) for k in (0, 1)] for e in (0, 4)])
    filters = of(records, 0, 0).num_filters
    assert beside.get_title() == f"each of 2 single networks, {filters} filters"
    assert ax.get_title().startswith("2 networks pooled")


def assert_nulls(ax, checkpoints):
    """Random bases, all, and 95% of isotropic filters, of the records of each checkpoint."""
    _, low, high = band(ax, misalignment_over_training.RANDOM)
    null = [np.concatenate([r.misalignment_random for r in found]) for found in checkpoints]
    np.testing.assert_allclose([low, high], [np.min(null, 1), np.max(null, 1)])
    _, low, high = band(ax, misalignment_over_training.FLOOR)
    floor = [np.concatenate([r.floor for r in found]) for found in checkpoints]
    np.testing.assert_allclose([low, high], np.quantile(floor, [0.025, 0.975], axis=1))


def test_misalignment_that_is_missing_is_not_drawn(records):
    nothing = {"misalignment_data": None, "misalignment_random": None, "floor": None}
    for i, record in enumerate(records):
        if record.network is not None:
            records[i] = dataclasses.replace(record, **nothing)
        elif record.epoch == 0:
            records[i] = dataclasses.replace(record, interval=None)
    (ax,) = misalignment_over_training.plot(records).axes
    assert [line.get_label() for line in ax.lines] == [misalignment_over_training.DATA]
    assert list(band(ax, misalignment_over_training.INTERVAL)[0]) == [4]


def test_each_group_has_a_panel_titled_by_what_differs(records, make_record):
    records += [make_record(e, network, GROUPS[1]) for e in (0.0, 4.0) for network in (None, 2)]
    wanted = ["learning rate 0.1", "learning rate 0.2"]
    maps = eigenvalue_map.plot(records).axes
    assert [ax.get_title() for ax in maps] == wanted
    assert maps[0].get_ylim() == maps[1].get_ylim()
    assert maps[0].get_ylim()[0] == 0
    rows = misalignment_over_training.plot(records).axes[::2]
    assert [ax.get_title().split("\n")[0] for ax in rows] == wanted


def test_of_several_arms_a_title_has_what_differs_within_each():
    scratch = {"arm": "scratch", "layers": None, "source_step": None, "learning_rate": 0.1}
    taken = {"arm": "pretrained", "layers": ["first:1"], "source_step": -1, "learning_rate": 0.1}
    assert group_titles([scratch, taken]) == ["scratch", "pre-trained"]
    assert group_titles([scratch, taken, taken | {"source_step": 5}]) == [
        "scratch",
        "pre-trained, source_step -1",
        "pre-trained, source_step 5",
    ]
    assert group_titles([taken]) == [""]


def test_eigenvalue_map_is_drawn_against_eigenvalues(records):
    ax = eigenvalue_map.plot(records).axes[0]
    assert labelled(ax) == ["at initialisation", "epoch 4"]
    for drawn, epoch in zip(ax.lines[::2], (0, 4), strict=True):
        record = of(records, epoch, None)
        np.testing.assert_array_equal(drawn.get_xdata(), record.eigenvalues)
        np.testing.assert_array_equal(drawn.get_ydata(), record.tau)
    corners = ax.collections[1].get_paths()[0].vertices
    taus = np.array([of(records, 4, network).tau for network in (0, 1)])
    for value, low, high in zip(records[0].eigenvalues, taus.min(0), taus.max(0), strict=True):
        ys = corners[corners[:, 0] == value, 1]
        np.testing.assert_allclose([ys.min(), ys.max()], [low, high])
    assert ax.get_xscale() == "log"
    assert r"\sigma^2" in ax.get_xlabel()


def test_of_many_checkpoints_six_are_drawn_with_first_and_last(make_record):
    records = [make_record(e, network, GROUPS[0]) for e in range(1, 12) for network in (None, 0)]
    ax = eigenvalue_map.plot(records).axes[0]
    assert labelled(ax) == [f"epoch {e}" for e in (1, 3, 5, 7, 9, 11)]
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), of(records, 3, None).tau)


def labelled(ax):
    """Labels of the lines that have one."""
    return [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]


def test_line_goes_through_near_tied_eigenvalues_together():
    values = np.array([4.0, 1.0, 0.95, 0.1])
    single = np.array([[1.0, 3.0, 1.0, 2.0], [1.0, 5.0, 1.0, 2.0]])
    ax = style.new_figure(3, 3).subplots()
    pooled = joined_maps.pool(single)
    joined_maps.draw(ax, values, pooled, single, style.BLUE, "map")
    through, points = ax.lines
    np.testing.assert_allclose(through.get_xdata(), [4, 0.975, 0.1])
    np.testing.assert_allclose(through.get_ydata(), [1, np.sqrt((9 + 1 + 25 + 1) / 4), 2])
    assert points.get_linestyle() == "None"
    np.testing.assert_allclose(points.get_xdata(), values)
    np.testing.assert_allclose(points.get_ydata(), pooled)
    corners = ax.collections[0].get_paths()[0].vertices
    at_tie = corners[np.isclose(corners[:, 0], 0.975), 1]
    np.testing.assert_allclose([at_tie.min(), at_tie.max()], [np.sqrt(5), np.sqrt(13)])


@pytest.fixture
def data():
    """2x2 patches of 3 channels; the i-th eigenvector is the i-th unit vector."""
    values, vectors = np.geomspace(10, 0.1, 12), np.eye(12)[:, :3]
    return LayerData("first layer inputs", (2, 2, 3, 7), 100, values, vectors)


def test_eigenvectors_are_tiles_of_the_last_checkpoint(records, data):
    figure = eigenvector_tiles.plot(data, records)
    axes = np.reshape(figure.axes[:9], (3, 3))
    for rank in range(3):
        expected = np.full((2, 2, 3), 0.5)
        expected[0, rank // 3, rank % 3] = 1  # flattened in the order row, column, channel
        np.testing.assert_array_equal(axes[0, rank].images[0].get_array(), expected)
    first = np.asarray(axes[1, 0].images[0].get_array())
    assert first[0, 0, 2] == 1
    for rank, ax in zip((2, 0, 1), axes[2], strict=True):  # the match of each, below it
        np.testing.assert_array_equal(ax.images[0].get_array(), axes[0, rank].images[0].get_array())
    below = [ax.get_xlabel() for ax in axes[2]]
    assert below == ["$v_{3}$: 0.90", "$v_{1}$: 0.80", "$v_{2}$: 0.70"]
    assert axes[1, 0].get_ylabel() == "weights\nepoch 4"
    assert axes[0, 0].get_title() == r"$\sigma^2$ = 10"


def test_all_cosines_are_a_map_with_rings_at_the_matches(records, data):
    mirrored = dataclasses.replace(data, eigenvectors=-data.eigenvectors)
    ax = eigenvector_tiles.plot(mirrored, records).axes[9]
    np.testing.assert_array_equal(ax.images[0].get_array(), np.eye(3)[[2, 0, 1]])
    assert ax.images[0].get_clim() == (0, 1)
    drawn = [(*np.ravel(line.get_data()).tolist(), line.get_marker()) for line in ax.lines]
    assert drawn == [(3, 1, "o"), (1, 2, "o"), (2, 3, "o")]
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]
    vectors = 0.5 * mirrored.eigenvectors + 0.1 * turned[:, :3]
    weak = [dataclasses.replace(record, filter_eigenvectors=vectors) for record in records]
    ax = eigenvector_tiles.plot(mirrored, weak).axes[9]
    assert {line.get_marker() for line in ax.lines} == {"x"}  # no better than chance
    chance = eigenvector_tiles.chance_cosine(12)
    assert f"matches above {chance:.2f}, which a random" in ax.get_xlabel()
    # Above 1 / sqrt(2) there is one such coordinate at most: chances add up.
    exact = np.sqrt(stats.beta.isf(0.05 / 12, 1 / 2, 11 / 2))
    assert exact > np.sqrt(1 / 2)
    assert chance == pytest.approx(exact, abs=0.01)


def test_fewer_filters_than_tiles_leave_places_empty(records, data):
    two = [
        dataclasses.replace(
            record,
            filter_eigenvectors=record.filter_eigenvectors[:, :2],
            nearest_rank=record.nearest_rank[:2],
            nearest_cosine=record.nearest_cosine[:2],
        )
        for record in records
    ]
    axes = np.reshape(eigenvector_tiles.plot(data, two).axes[:9], (3, 3))
    assert [[bool(ax.images) for ax in row] for row in axes] == [[True] * 3] + 2 * [
        [True, True, False]
    ]
    assert not axes[1, 2].axison
    assert axes[2, 1].get_xlabel() == "$v_{1}$: 0.80"


def test_match_that_is_not_kept_has_no_tile(records, data):
    few = dataclasses.replace(data, eigenvectors=data.eigenvectors[:, :2])
    *_, first, second, cosines, _ = eigenvector_tiles.plot(few, records).axes
    assert [text.get_text() for text in first.texts] == ["not kept"]
    assert not first.images
    assert second.images
    assert np.transpose(cosines.lines[0].get_data()).tolist() == [[1, 2]]


def test_tile_keeps_zero_grey_and_fills_the_range():
    image = eigenvector_tiles.tile(np.array([0, -0.5, 0.25, 0]), (2, 2, 1))
    np.testing.assert_array_equal(image[..., 0], [[0.5, 0], [0.75, 0.5]])


def test_filters_that_are_no_images_have_no_tiles(records, data):
    dense = dataclasses.replace(data, kernel_shape=(12, 7))
    with pytest.raises(ValueError, match="not images"):
        eigenvector_tiles.plot(dense, records)
    alignment = Alignment((0, 1), (), (), {"conv1": dense}, tuple(records))
    assert set(alignment_figures(alignment, "conv1")) == {
        "eigenvalue_map_conv1",
        "misalignment_conv1",
    }
    alignment = dataclasses.replace(alignment, data={"conv1": data})
    assert "eigenvectors_conv1" in alignment_figures(alignment, "conv1")


def test_saved_figure_replaces_the_old_one_as_a_whole(records, tmp_path):
    path = tmp_path / "map.png"
    path.write_text("old")
    style.save(eigenvalue_map.plot(records), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_panels_of_single_networks_say_what_lines_and_bands_are():
    data, random = np.array([2.0, 4.0]), np.array([[6.0, 8.0], [7.0, 11.0]])
    floor = np.linspace(1, 5, 41)
    panels = {kind: (np.array([0, 9]), [(data, random, floor)] * 2) for kind in ("random", "real")}
    first, second = misalignment_panels.plot(panels).axes
    for ax in (first, second):
        lines = {of.get_label(): of.get_ydata()[-1] for of in ax.lines}
        assert lines.pop("eigenvectors of the data, mean and range") == 3
        assert lines.pop("random bases, mean and range") == 8
        assert lines[misalignment_over_training.FLOOR] == np.quantile(floor, 0.975)
        ends = [of.get_paths()[0].vertices[:, 1] for of in ax.collections]
        limits = [(y.min(), y.max()) for y in ends]
        np.testing.assert_allclose(limits, [np.quantile(floor, [0.025, 0.975]), (6, 11), (2, 4)])
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylabel().startswith(style.MISALIGNMENT)
