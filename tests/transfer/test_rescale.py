"""Rescaling to the norms of a reference network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.models import build
from randlabels.models.naming import get_layer, layer_paths
from randlabels.transfer import rescale_to_reference


def networks(tiny_config, activation):
    """A model, its "trained" parameters with large biases, a fresh reference, and inputs."""
    model = build(
        tiny_config({"model.widths": (9, 7), "model.activation": activation, "model.filters": 8})
    )
    x = np.random.default_rng(0).standard_normal((40, 6, 6, 3)).astype(np.float32)
    reference = model.init(jax.random.key(0), x[:1])["params"]
    rng = np.random.default_rng(1)
    trained = jax.tree.map(
        lambda p: np.asarray(2 * p + rng.standard_normal(p.shape) * 0.3, np.float32), reference
    )
    return model, trained, reference, x


def test_a_relu_network_changes_by_one_constant(tiny_config):
    model, trained, reference, x = networks(tiny_config, "relu")
    before = jax.tree.map(np.copy, trained)
    scaled = rescale_to_reference(trained, reference)
    logits = np.asarray(model.apply({"params": trained}, x), np.float64)
    rescaled = np.asarray(model.apply({"params": scaled}, x), np.float64)
    np.testing.assert_array_equal(rescaled.argmax(axis=1), logits.argmax(axis=1))
    assert len(set(logits.argmax(axis=1))) > 1
    factor = np.sum(logits * rescaled) / np.sum(logits**2)
    assert factor < 0.5
    np.testing.assert_allclose(rescaled, factor * logits, atol=1e-5 * np.abs(rescaled).max())
    jax.tree.map(np.testing.assert_array_equal, trained, before)  # not in place
    # The factor is the product of the kernels' factors.
    norms = [
        np.linalg.norm(get_layer(p, path)["kernel"])
        for p in (reference, trained)
        for path in layer_paths(p)
    ]
    assert factor == pytest.approx(np.prod(norms[:4]) / np.prod(norms[4:]), rel=1e-5)


def test_other_networks_do_change(tiny_config):
    """The check above can fail: tanh is not homogeneous."""
    model, trained, reference, x = networks(tiny_config, "tanh")
    logits = np.asarray(model.apply({"params": trained}, x))
    rescaled = np.asarray(model.apply({"params": rescale_to_reference(trained, reference)}, x))
    factor = np.sum(logits * rescaled) / np.sum(logits**2)
    assert np.abs(rescaled - factor * logits).max() > 0.05 * np.abs(rescaled).max()


def test_norms_are_the_references_and_directions_stay(tiny_config):
    _, trained, reference, _ = networks(tiny_config, "relu")
    scaled = rescale_to_reference(trained, reference)
    product = 1.0
    for path in layer_paths(trained):
        ours, theirs, wanted = (get_layer(p, path) for p in (scaled, trained, reference))
        norm = np.linalg.norm(ours["kernel"])
        assert norm == pytest.approx(np.linalg.norm(wanted["kernel"]), rel=1e-6)
        ratio = norm / np.linalg.norm(theirs["kernel"])
        assert ratio < 0.9
        np.testing.assert_allclose(ours["kernel"], ratio * theirs["kernel"], rtol=1e-5)
        product *= ratio
        np.testing.assert_allclose(ours["bias"], product * theirs["bias"], rtol=1e-5)
        assert ours["kernel"].dtype == ours["bias"].dtype == np.float32


def test_layers_without_biases_are_rescaled_too():
    layers = {name: {"kernel": np.full((2, 2), 3.0, np.float32)} for name in ("conv1", "head")}
    reference = jax.tree.map(np.ones_like, layers)
    jax.tree.map(np.testing.assert_allclose, rescale_to_reference(layers, reference), reference)


def test_what_cannot_be_rescaled_is_refused():
    def network(*names, value=1.0):
        return {name: {"kernel": np.full((2, 2), value)} for name in names}

    with pytest.raises(ValueError, match="'conv1', 'dense1'.* cannot be rescaled to .*'head'"):
        rescale_to_reference(network("conv1", "dense1"), network("conv1", "head"))
    for value in (0.0, np.nan):
        with pytest.raises(ValueError, match="kernel of conv1 has norm"):
            rescale_to_reference(network("conv1", value=value), network("conv1"))
    assert jnp.isfinite(rescale_to_reference(network("a"), network("a"))["a"]["kernel"]).all()


def test_a_kernel_that_begins_at_zero_is_no_measure():
    zero = {"conv1": {"kernel": np.zeros((2, 3))}}
    with pytest.raises(ValueError, match="conv1 is zero at initialisation, so one that is trained"):
        rescale_to_reference({"conv1": {"kernel": np.ones((2, 3))}}, zero)
