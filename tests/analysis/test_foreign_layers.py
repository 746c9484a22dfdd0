"""Layers of flax itself in a model of the user's own: found, analysed, or named with the reason."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from examples.own_network import Small
from randlabels.analysis.find_layers import survey
from randlabels.analysis.layers import LayerInputs
from randlabels.errors import InputError
from randlabels.transfer.layerwise import _compile_foreign_patches

IMAGES = np.random.default_rng(0).normal(size=(40, 12, 12, 3)).astype(np.float32)


def variables_of(model, images=IMAGES):
    return model.init(jax.random.key(0), images[:1])


def test_layers_of_flax_are_found_in_the_order_of_the_data():
    layers = survey(Small(5), (12, 12, 3)).layers
    assert [layer.path for layer in layers] == ["conv1", "conv2", "dense1", "head"]
    first, second, third, _ = layers
    assert (first.kernel_shape, first.stride, first.padding) == ((3, 3, 3, 32), 1, "SAME")
    assert (second.kernel_shape, second.stride, second.padding) == ((3, 3, 32, 16), 2, "VALID")
    assert third.kernel_shape == (5 * 5 * 16, 16)


@pytest.mark.parametrize("path", ["conv1", "conv2", "dense1", "head"])
def test_what_they_receive_is_what_an_identity_kernel_returns(path):
    """An independent way to the patches: the layer itself with the identity as its kernel."""
    model = Small(5)
    variables = variables_of(model)
    found = LayerInputs(model, IMAGES).moments(variables, path)
    patches = np.asarray(_compile_foreign_patches(model, path)(variables, IMAGES), np.float64)
    assert found.count == len(patches)
    np.testing.assert_allclose(found.mean, patches.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        found.covariance, np.cov(patches.T, bias=True), atol=1e-6 * np.abs(patches).max() ** 2
    )


class Odd(nn.Module):
    """A first layer that is known, and one that is given."""

    second: nn.Module

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), name="conv1")(x)
        return nn.Dense(3, name="head")(self.second(x).reshape(x.shape[0], -1))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv(4, (3, 3), feature_group_count=2), "it is of 2 groups of channels"),
        (nn.Conv(4, (3, 3), kernel_dilation=2), "it is dilated"),
        (nn.Conv(4, (3, 5)), "its kernel of 3 x 5 is not square"),
        (nn.Conv(4, (3, 3), strides=(1, 2)), "its strides differ"),
        (nn.Conv(4, (3, 3), padding="CIRCULAR"), "its padding 'CIRCULAR' is neither VALID nor"),
        (nn.Conv(4, (3, 3), padding=2), "is neither VALID nor SAME"),
        (nn.Conv(4, (3,)), "it is no convolution of images"),
        (nn.Conv(4, 3), "it is no convolution of images"),
        (nn.ConvTranspose(4, (3, 3)), "it is a ConvTranspose"),
        (nn.Dense(4), r"its inputs are \(12, 12, 4\), not one axis of features"),
        (nn.DenseGeneral(4, axis=(-1,)), "it is a DenseGeneral"),
    ],
)
def test_layers_that_cannot_be_analysed_are_named_with_the_reason(layer, reason):
    found = survey(Odd(layer), (12, 12, 3))
    assert [one.path for one in found.layers] == ["conv1", "head"]
    assert list(found.reasons) == ["second"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reasons["second"])


@pytest.mark.parametrize(
    ("padding", "strides", "name"),
    [(1, 1, "SAME"), (((1, 1), (1, 1)), 1, "SAME"), (0, 2, "VALID"), ("SAME", 2, "SAME")],
)
def test_paddings_in_numbers_are_recognised(padding, strides, name):
    layer = nn.Conv(4, (3, 3), padding=padding, strides=strides)
    found = survey(Odd(layer), (12, 12, 3))
    (second,) = [one for one in found.layers if one.path == "second"]
    assert second.padding == name
    model = Odd(layer)
    variables = variables_of(model)
    ours = LayerInputs(model, IMAGES).moments(variables, "second")
    patches = np.asarray(_compile_foreign_patches(model, "second")(variables, IMAGES), np.float64)
    assert ours.count == len(patches)
    np.testing.assert_allclose(ours.mean, patches.mean(0), atol=1e-6)


class Twice(nn.Module):
    """One layer, applied twice."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(8, name="first")(x.reshape(x.shape[0], -1))
        same = nn.Dense(8, name="same")
        return nn.Dense(3, name="head")(same(same(x)))


def test_a_layer_that_is_applied_twice_is_named():
    found = survey(Twice(), (12, 12, 3))
    assert found.reasons == {"same": "it is applied more than once"}


class Flipped(nn.Conv):
    """A convolution that does something to its inputs first."""

    @nn.compact
    def __call__(self, x):
        return super().__call__(x[:, ::-1])


def test_a_layer_that_does_something_else_is_named():
    found = survey(Odd(Flipped(4, (3, 3))), (12, 12, 3))
    assert found.reasons == {"second": "it is a Flipped"}


def test_lifted_layers_are_named():
    found = survey(Odd(nn.jit(nn.Conv)(4, (3, 3))), (12, 12, 3))
    assert found.reasons == {"second": "it is lifted, as by nn.jit or nn.scan"}


class Checkpointed(nn.Module):
    """A layer of which JAX computes the forward pass again for gradients."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), name="conv1")(x)
        x = nn.remat(nn.Conv)(4, (3, 3), name="conv2")(x)
        return nn.Dense(3, name="head")(x.reshape(x.shape[0], -1))


def test_a_checkpointed_layer_is_refused():
    model = Checkpointed()
    variables = variables_of(model)
    with pytest.raises(InputError, match="conv2 is lifted, as by nn.remat"):
        LayerInputs(model, IMAGES).moments(variables, "conv2")


class Side(nn.Module):
    """Four dense layers side by side, by vmap."""

    @nn.compact
    def __call__(self, x, train=False):
        lifted = nn.vmap(
            nn.Dense,
            in_axes=1,
            out_axes=1,
            variable_axes={"params": 0},
            split_rngs={"params": True},
        )
        x = lifted(6, name="side")(x.reshape(x.shape[0], 4, -1))
        return nn.Dense(3, name="head")(x.reshape(x.shape[0], -1))


def test_layers_side_by_side_are_named():
    assert survey(Side(), (12, 12, 3)).reasons == {"side": "its kernel is not of shape (108, 6)"}


def test_inputs_may_be_given_by_name():
    class Named(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Conv(4, (3, 3), name="conv1")(inputs=x)
            return nn.Dense(3, name="head")(inputs=x.reshape(x.shape[0], -1))

    layers = LayerInputs(Named(), IMAGES).layers
    assert [layer.path for layer in layers] == ["conv1", "head"]
    assert LayerInputs(Named(), IMAGES).of_data.count == 40 * 144


class Later(nn.Module):
    """A layer that is applied once more where weights are not just being made."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(8, name="first")(x.reshape(x.shape[0], -1))
        same = nn.Dense(8, name="same")
        x = same(x)
        if not self.is_initializing():
            x = same(nn.relu(x))
        return nn.Dense(3, name="head")(x)


def test_a_layer_that_is_applied_twice_after_its_start_is_named():
    assert survey(Later(), (12, 12, 3)).reasons == {"same": "it is applied more than once"}


class Merged(nn.Module):
    """A first layer that sees parts of images as examples."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(6, name="parts")(x.reshape(-1, 48)).reshape(x.shape[0], -1)
        return nn.Dense(3, name="head")(x)


class Nothing(nn.Module):
    """Only a transposed convolution."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.ConvTranspose(3, (3, 3), name="up")(x).mean((1, 2))


def test_no_layer_at_all_is_an_error_with_the_reasons():
    with pytest.raises(InputError, match="no layer of the model can be analysed, since up: it is"):
        _ = LayerInputs(Nothing(), IMAGES).layers


class Shifted(nn.Module):
    """A first layer that does not receive the images as they are."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3, name="head")(x.reshape(x.shape[0], -1) + 1)


@pytest.mark.parametrize("model", [Shifted(), Merged()])
def test_a_first_layer_behind_something_else_is_refused(model):
    with pytest.raises(InputError, match="does not receive the images as they are"):
        _ = LayerInputs(model, IMAGES).layers
