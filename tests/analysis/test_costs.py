"""The announced cost of an analysis: what it counts."""

import pytest

from randlabels.analysis import costs, layers


def test_cost_counts_patches_bases_and_random_bases(monkeypatch):
    monkeypatch.setattr(costs, "_multiplication_rate", lambda dim: 1.0)
    layer = layers.Layer("conv2", (10, 10, 50), (3, 3, 50, 20), padding="SAME")

    def cost(num_images=10, num_bases=6, group_sizes=(3,), num_steps=2, random_bases=100):
        return costs.expected_seconds(
            layer, num_images, num_bases, group_sizes, num_steps, random_bases
        )

    assert cost(num_images=20) - cost() == pytest.approx(6 * 10 * 100 * 450**2)
    assert cost(num_bases=12) - cost() == pytest.approx(6 * (1000 * 450**2 + 15 * 450**3))
    # One set of pooled and three of single filters, too few for any but the shrunk estimate.
    assert cost(random_bases=200) - cost() == pytest.approx(
        2 * 100 * (2 * 15 + 3 * (1 + 3)) * 450**3
    )


def test_cost_counts_eigenspaces_of_small_layers(monkeypatch):
    monkeypatch.setattr(costs, "_multiplication_rate", lambda dim: 1.0)

    def cost(side, filters, random_bases):
        layer = layers.Layer("conv1", (9, 9, 3), (side, side, 3, filters))
        return costs.expected_seconds(layer, 10, 1, (1,), 2, random_bases) / layer.dim**3

    # At 2 steps for 2 sets, of the group and of its network: plain and shrunk; then eigenspaces.
    compared, eigenspaces = 2 * 2 * 2 * (15 + 3), 2 * 2 * (15 + 15)
    assert cost(7, 150, 1) - cost(7, 150, 0) == pytest.approx(compared + eigenspaces)
    assert cost(8, 200, 1) - cost(8, 200, 0) == pytest.approx(compared)


def test_the_rate_is_that_of_the_fastest_product_by_the_clock(monkeypatch):
    took = [0.75, 0.5, 2.0, 1.0, 0.625]
    times = iter([time for i, end in enumerate(took) for time in (10.0 * i, 10.0 * i + end)])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(times))
    assert costs._multiplication_rate(27) == 1024 * 27**2 / 0.5
