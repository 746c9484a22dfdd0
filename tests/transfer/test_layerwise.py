"""Bottom-up initialisation, on this package's models and on a user's own linen model."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from randlabels.eigen import descending_eigh, eigenvalue_map, filter_covariance, misalignment
from randlabels.models.residual import WideResNet
from randlabels.models.simple_cnn import SimpleCNN
from randlabels.transfer import aligned_init, layerwise, parse_curve
from randlabels.transfer.layerwise import input_moments

pytestmark = pytest.mark.usefixtures("quick_programs")

RNG = np.random.default_rng(0)
KEY = jax.random.key(5)


class UserModel(nn.Module):
    """Strides, dilation, a dense layer, a batch norm: as users build them."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 2), strides=(2, 1), padding="SAME", name="stem")(x))
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.relu(nn.Conv(300, (2, 2), kernel_dilation=2, padding="VALID", name="second")(x))
        return nn.Dense(4, name="out")(x.mean((1, 2)))


@pytest.fixture(scope="module")
def images():
    """Smooth images of 8x8x3: neighbouring pixels and channels covary."""
    noise = RNG.normal(size=(150, 10, 10, 3)) @ np.array([[1, 0.6, 0], [0, 1, 0.3], [0, 0, 0.4]])
    mean = sum(noise[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3))
    return (mean / 3 + 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def user(images):
    variables = UserModel().init(jax.random.key(0), images[:1])
    return jax.tree.map(np.asarray, variables)


def initialise(user, images, f, layers=("stem",), key=KEY, **settings):
    """aligned_init of the user's model."""
    others = {"batch_stats": user["batch_stats"]}
    model, params = UserModel(), user["params"]
    return aligned_init(model, params, images, f, layers, key, collections=others, **settings)


def patches(x, rows, columns, stride, dilation=1):
    """Patches (row, column, channel) by explicit loops over positions; x is padded already."""
    found = []
    for i in range(0, x.shape[1] - (rows - 1) * dilation, stride[0]):
        for j in range(0, x.shape[2] - (columns - 1) * dilation, stride[1]):
            block = x[:, i : i + rows * dilation : dilation, j : j + columns * dilation : dilation]
            found.append(block.reshape(len(x), -1))
    return np.concatenate(found).astype(np.float64)


def test_moments_of_a_users_first_layer(user, images):
    """SAME with stride (2, 1) and a 3x2 kernel pads rows (0, 1) and columns (0, 1)."""
    found = input_moments(UserModel(), user, images, "stem")
    x = patches(np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0))), 3, 2, (2, 1))
    np.testing.assert_allclose(found.covariance, np.cov(x.T, bias=True), atol=1e-6)
    np.testing.assert_allclose(found.mean, x.mean(0), atol=1e-6)
    assert found.count == len(x) == 150 * 4 * 8


def test_moments_of_a_users_deeper_layer(user, images):
    """Dilation 2; the activations come from the model with all but the last layers removed."""
    _, state = UserModel().apply(
        user, images, capture_intermediates=True, mutable=["intermediates"]
    )
    inputs = np.asarray(state["intermediates"]["BatchNorm_0"]["__call__"][0])
    x = patches(inputs, 2, 2, (1, 1), dilation=2)
    found = input_moments(UserModel(), user, images, "second")
    np.testing.assert_allclose(found.covariance, np.cov(x.T, bias=True), atol=1e-5)


@pytest.mark.parametrize("centered", [True, False])
def test_filters_have_the_map_that_was_asked_for(user, images, centered):
    """In the eigenbasis of the deeper layer's inputs tau follows f; other layers stay."""
    f = parse_curve("power:1")
    collections = {"batch_stats": user["batch_stats"]}
    layers = ("stem", "second")
    ours = initialise(user, images, f, layers, centered=centered)
    moments = input_moments(UserModel(), collections | {"params": ours}, images, "second")
    matrix = moments.covariance if centered else moments.second_moment
    values, vectors = descending_eigh(matrix)
    sigma_w = filter_covariance(ours["second"]["kernel"])
    tau = eigenvalue_map(vectors, sigma_w)
    ratio = tau / f(np.sqrt(values))
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.2)  # 300 filters: 1 / sqrt(600) each
    assert misalignment(vectors, sigma_w) < 2.5  # floor of 300 filters in 32 dimensions: 1.9
    start = initialise(user, images, f)
    at_start = input_moments(
        UserModel(), collections | {"params": user["params"]}, images, "second"
    ).covariance
    if centered:  # the eigenvectors are those under the new first layer, not under the fresh one
        assert misalignment(descending_eigh(at_start)[1], sigma_w) > 5
        np.testing.assert_array_equal(ours["stem"]["kernel"], start["stem"]["kernel"])
    np.testing.assert_array_equal(ours["out"]["kernel"], user["params"]["out"]["kernel"])
    assert np.abs(ours["stem"]["kernel"] - user["params"]["stem"]["kernel"]).max() > 0.1


def test_what_is_given_too_much_or_too_little_is_said(user, images):
    f, key = parse_curve("power:1"), jax.random.key(0)
    with pytest.raises(ValueError, match=r"as collections=\{\"batch_stats\": model.init"):
        aligned_init(UserModel(), user["params"], images, f, ("stem", "second"), key)
    with pytest.raises(ValueError, match="give parameters alone"):
        aligned_init(UserModel(), user, images, f, ("stem",), key)


def outputs(params, user, images, name):
    """Outputs of a layer, without its activation."""
    _, state = UserModel().apply(
        {**user, "params": params}, images, capture_intermediates=True, mutable=["intermediates"]
    )
    return np.asarray(state["intermediates"][name]["__call__"][0], np.float64)


def test_outputs_get_the_variance_that_fresh_weights_give(user, images):
    f = parse_curve("power:1")  # energy on the leading eigenvectors: outputs would explode
    params = user["params"]
    fresh = np.mean(outputs(params, user, images, "stem") ** 2)
    ours = initialise(user, images, f)
    assert np.mean(outputs(ours, user, images, "stem") ** 2) == pytest.approx(fresh, rel=1e-4)
    by_norm = initialise(user, images, f, match="weight_norm")
    norms = [np.linalg.norm(p["stem"]["kernel"]) for p in (by_norm, params)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert np.mean(outputs(by_norm, user, images, "stem") ** 2) > 2 * fresh


def test_centring_biases_make_outputs_of_mean_zero(user, images):
    f = parse_curve("power:0")
    ours = initialise(user, images, f, biases="centring")
    np.testing.assert_allclose(outputs(ours, user, images, "stem").mean((0, 1, 2)), 0, atol=1e-5)
    plain = initialise(user, images, f)
    assert np.abs(outputs(plain, user, images, "stem").mean((0, 1, 2))).max() > 0.05
    assert not plain["stem"]["bias"].any()


def test_dense_layers_and_this_packages_models(images):
    model = SimpleCNN(3, 10, 3, (40,), 1.0)
    params = model.init(jax.random.key(1), images[:1])["params"]
    f = parse_curve("whitening:0.01")
    ours = aligned_init(model, params, images, f, ("conv1", "head"), KEY)
    moments = input_moments(model, {"params": ours}, images, "head")
    _, state = model.apply({"params": ours}, images, mutable=["activations"])
    hidden = np.asarray(state["activations"]["dense1_out"], np.float64)
    np.testing.assert_allclose(moments.second_moment, hidden.T @ hidden / 150, atol=1e-5)
    again = aligned_init(model, params, images, f, ("conv1", "head"), KEY)
    np.testing.assert_array_equal(ours["head"]["kernel"], again["head"]["kernel"])
    other = aligned_init(model, params, images, f, ("conv1", "head"), jax.random.key(6))
    assert np.abs(ours["head"]["kernel"] - other["head"]["kernel"]).max() > 0.1


@pytest.mark.parametrize("path", ["conv1", "group2_block1/conv1", "group2_block1/shortcut", "head"])
def test_what_layers_sow_is_what_an_identity_convolution_finds(images, path):
    """Padded, strided and dense layers of this package's models."""
    model = WideResNet(3, 1.4, depth=10, width=0.25, filters=4)
    variables = model.init(jax.random.key(1), images[:1])
    found = input_moments(model, variables, images, path)
    patches_of = layerwise._compile_foreign_patches(model, path)
    x = np.asarray(patches_of(variables, images), np.float64)
    assert found.count == len(x)
    scale = np.abs(found.second_moment).max()
    np.testing.assert_allclose(found.second_moment, x.T @ x / len(x), atol=1e-6 * scale)


class Grouped(nn.Module):
    """A grouped convolution, whose filters see a part of the channels."""

    @nn.compact
    def __call__(self, x):
        return nn.Conv(6, (3, 3), feature_group_count=3, name="grouped")(x)


def test_what_cannot_be_initialised_is_one_sentence(user, images):
    f = parse_curve("power:0")
    grouped = Grouped().init(jax.random.key(0), images[:1])["params"]
    with pytest.raises(ValueError, match="grouped is a grouped convolution"):
        aligned_init(Grouped(), grouped, images, f, ("grouped",), KEY)
    cases = [
        ({"layers": ("conv9",)}, "'conv9' is not a layer; they are out, second, stem"),
        ({"match": "norm"}, "match 'norm' must be one of"),
        ({"f": lambda sigma: sigma[:3]}, "f must give one finite number"),
        ({"f": lambda sigma: -sigma}, "f must give one finite number"),
        ({"f": lambda sigma: 0 * sigma}, "filters drawn for stem are zero"),
        ({"images": np.zeros_like(images)}, "inputs of a layer do not vary"),
    ]
    for changes, message in cases:
        with pytest.raises(ValueError, match=message):
            initialise(user, **{"images": images, "f": f} | changes)
