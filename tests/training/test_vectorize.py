"""Which way of running several networks on a device `auto` chooses, and what it compiles to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.models import build, facts_of
from randlabels.training import step
from randlabels.training.devices import choose_layout
from randlabels.training.step import choose_vectorize, over_networks


@pytest.mark.parametrize(
    ("backend", "model", "devices", "networks", "mode", "expected"),
    [
        ("gpu", "simple_cnn", 1, 6, "networks", "vmap"),
        ("gpu", "mlp", 2, 6, "networks", "vmap"),
        ("gpu", "resnet18", 1, 6, "networks", "vmap"),
        ("gpu", "vgg16", 1, 6, "networks", "map"),
        ("gpu", "vgg16", 6, 6, "networks", "map"),
        ("gpu", "simple_cnn", 6, 6, "networks", "map"),  # one network on each device
        ("gpu", "simple_cnn", 1, 1, "networks", "map"),
        ("gpu", "simple_cnn", 4, 1, "batch", "map"),
        ("gpu", "simple_cnn", 4, 3, "batch", "vmap"),  # every device holds all three
        ("tpu", "simple_cnn", 1, 6, "networks", "vmap"),
        ("cpu", "simple_cnn", 1, 6, "networks", "map"),
    ],
)
def test_auto(tiny_config, monkeypatch, backend, model, devices, networks, mode, expected):
    layout = choose_layout(mode, networks, 16, tuple(jax.local_devices()[:devices]))
    monkeypatch.setattr(step.jax, "default_backend", lambda: backend)
    in_turn = facts_of(build(tiny_config({"model.name": model}))).in_turn
    assert choose_vectorize("auto", in_turn, layout) == expected


@pytest.mark.parametrize("asked", ["vmap", "map"])
def test_what_is_asked_for_is_done(monkeypatch, asked):
    layout = choose_layout("networks", 1, 16, tuple(jax.local_devices()[:1]))
    monkeypatch.setattr(step.jax, "default_backend", lambda: "gpu")
    assert choose_vectorize(asked, True, layout) == asked


def count_loops(networks):
    """While loops in a compiled population of this many networks, each a scan over steps."""

    def scan_steps(shared, one):
        return jax.lax.scan(lambda x, _: (jnp.tanh(x @ shared), None), one, None, length=5)[0]

    def population(shared, each):
        return over_networks(scan_steps, "map", layout)(shared, each)

    layout = choose_layout("networks", networks, 16, tuple(jax.local_devices()[:1]))
    arguments = jnp.ones((4, 4)), jnp.ones((networks, 7, 4))
    return jax.jit(population).lower(*arguments).compile().as_text().count(" while(")


def test_map_over_one_network_compiles_to_no_loop_over_networks():
    assert count_loops(1) == 1  # over steps
    assert count_loops(2) == 2  # over steps, over networks


def test_what_fills_up_a_device_is_not_computed():
    layout = choose_layout("networks", 7, 16, tuple(jax.local_devices()[:4]))
    squares = over_networks(lambda shared, one: shared + one**2, "map", layout)
    found = layout.pmap(squares)(layout.replicate(np.float32(3)), layout.spread(np.arange(7.0)))
    np.testing.assert_array_equal(found, [[3, 4], [7, 12], [19, 28], [39, 0]])
    np.testing.assert_array_equal(layout.gather(found), 3 + np.arange(7) ** 2)
