"""The two implementations of a convolution, the initialiser, and what layers sow."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from randlabels.models.convolution import convolve, extract_patches
from randlabels.models.layers import Conv, Dense, scaled_normal

pytestmark = pytest.mark.usefixtures("quick_programs")


def conv(implementation, kernel_size, stride, padding):
    return Conv(
        features=5,
        kernel_size=kernel_size,
        init_scale=1.0,
        stride=stride,
        padding=padding,
        implementation=implementation,
    )


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_conv_implementations_agree(kernel_size, stride, padding):
    """Output and both gradients, for a population of three under vmap; 7 x 6 pixels."""
    layers = {name: conv(name, kernel_size, stride, padding) for name in ("lax", "patches")}
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 2, 7, 6, 4), np.float32)
    kernel = rng.standard_normal((3, kernel_size, kernel_size, 4, 5), np.float32) / kernel_size
    params = {"params": {"kernel": kernel, "bias": rng.standard_normal((3, 5), np.float32)}}

    def results(layer):
        def weighted(params, image):
            y = layer.apply(params, image)
            weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
            return jnp.sum(weights * y), y

        gradient = jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True)
        (_, y), (of_params, of_images) = jax.jit(jax.vmap(gradient))(params, images)
        return {"output": y, **of_params["params"], "input": of_images}

    by_lax, by_patches = results(layers["lax"]), results(layers["patches"])
    size = (7, 6) if padding == "SAME" else (8 - kernel_size, 7 - kernel_size)
    assert by_lax["output"].shape == (3, 2, -(-size[0] // stride), -(-size[1] // stride), 5)
    for name, expected in by_lax.items():
        assert np.abs(expected).max() > 0.1
        # Sums of up to 100 float32 products in another order.
        np.testing.assert_allclose(by_patches[name], expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "VALID"},
        {"kernel_dilation": (2, 1), "strides": 2},
        {"feature_group_count": 2, "padding": ((2, 0), (1, 3))},
        {"feature_group_count": 4, "padding": "CIRCULAR"},
        {"input_dilation": 2, "padding": 1},
        {"kernel_size": (3, 9), "padding": "VALID"},
        {"kernel_size": (3,), "kernel_dilation": 2},
        {"dtype": jnp.bfloat16},
    ],
    ids=str,
)
def test_layers_of_flax_compute_the_same_with_convolve(options):
    """Output and gradients, of linen and NNX; what has no patches is left to XLA."""
    x = np.random.default_rng(0).standard_normal((2, 9, 8, 4), np.float32)
    options = {"kernel_size": (3, 3)} | options
    linen = nn.Conv(8, **options)
    variables = linen.init(jax.random.key(0), x)
    weights = jnp.cos(jnp.arange(linen.apply(variables, x).size, dtype=jnp.float32))

    def of_linen(layer, params):
        return jnp.sum(weights * layer.apply(params, x).ravel().astype(jnp.float32))

    def of_nnx(layer):
        layer.kernel[...], layer.bias[...] = variables["params"].values()
        y, gradient = nnx.value_and_grad(
            lambda layer: jnp.sum(weights * layer(x).ravel().astype(jnp.float32))
        )(layer)
        return y, nnx.to_pure_dict(gradient)

    expected = jax.value_and_grad(of_linen, argnums=1)(linen, variables)
    hooked = nn.Conv(8, **options, conv_general_dilated=convolve)
    found = jax.value_and_grad(of_linen, argnums=1)(hooked, variables)
    nnx_layer = nnx.Conv(4, 8, **options, conv_general_dilated=convolve, rngs=nnx.Rngs(0))
    tolerance = 2e-2 if "dtype" in options else 1e-5
    assert abs(expected[0]) > 0.1 or not weights.size  # the kernel is larger than the images
    for y, gradient in (found, of_nnx(nnx_layer)):
        close = functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=10 * tolerance)
        close(y, expected[0])
        params = gradient.get("params", gradient)
        jax.tree.map(close, dict(params), dict(expected[1]["params"]))


def test_patches_are_flattened_by_row_column_channel():
    image = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    patches = np.asarray(extract_patches(jnp.asarray(image), (3, 3), (1, 1)))
    assert patches.shape == (2, 3, 2, 27)
    for n, i, j in itertools.product(range(2), range(3), range(2)):
        by_hand = [
            image[n, i + row, j + column, channel]
            for row in range(3)
            for column in range(3)
            for channel in range(3)
        ]
        np.testing.assert_array_equal(patches[n, i, j], by_hand)


def test_xla_convolution_is_patches_times_flattened_kernel():
    """Eigenvectors of patches and of filters live in one space only if this holds for lax too."""
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    layer = conv("lax", 3, 1, "VALID")
    params = layer.init(jax.random.key(1), x)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(x), (3, 3), axis=(1, 2))
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(2, 4, 4, 27)
    expected = rows @ np.asarray(params["params"]["kernel"]).reshape(27, 5)
    np.testing.assert_allclose(layer.apply(params, x), expected, atol=1e-5)


def test_same_padding_is_zero_and_the_bias_is_added():
    x = jnp.ones((1, 3, 3, 1))
    for implementation in ("lax", "patches"):
        layer = conv(implementation, 3, 1, "SAME")
        params = {"kernel": jnp.ones((3, 3, 1, 5)), "bias": jnp.arange(5.0)}
        y = layer.apply({"params": params}, x)
        np.testing.assert_array_equal(
            y[0, :, :, 2], np.array([[4, 6, 4], [6, 9, 6], [4, 6, 4]]) + 2
        )


@pytest.mark.parametrize("init_scale", [0.526, 1.0, 2**0.5])
def test_kernels_are_normal_with_the_variance_of_their_fan_in(init_scale):
    kernel = np.asarray(scaled_normal(init_scale)(jax.random.key(3), (3, 3, 3, 4000)), np.float64)
    assert kernel.dtype == np.float64
    z = kernel * np.sqrt(27) / init_scale
    count = z.size
    # Each bound is 5 standard errors of a standard normal sample's moment.
    assert abs(z.mean()) < 5 / count**0.5
    assert abs((z**2).mean() - 1) < 5 * (2 / count) ** 0.5
    assert abs((z**4).mean() - 3) < 5 * (96 / count) ** 0.5
    dense = np.asarray(scaled_normal(init_scale)(jax.random.key(4), (300, 400)), np.float64)
    assert abs((dense**2).mean() * 300 / init_scale**2 - 1) < 5 * (2 / dense.size) ** 0.5


def test_initial_kernels_are_float32_and_biases_zero():
    for layer, x in (
        (Dense(4, 2.0), jnp.ones((1, 3))),
        (conv("lax", 3, 1, "SAME"), jnp.ones((1, 4, 4, 2))),
    ):
        params = layer.init(jax.random.key(0), x)["params"]
        assert params["kernel"].dtype == params["bias"].dtype == jnp.float32
        assert not np.any(params["bias"])
        assert np.all(params["kernel"])


def test_bfloat16_computes_coarsely_and_stores_float32():
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
    for make in (lambda d: Conv(4, 3, 1.0, dtype=d), lambda d: Dense(4, 1.0, d)):
        fine, coarse = make(jnp.float32), make(jnp.bfloat16)
        variables = coarse.init(jax.random.key(1), x)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
        y = coarse.apply(variables, x)
        assert y.dtype == jnp.bfloat16
        error = np.abs(np.asarray(y, np.float32) - np.asarray(fine.apply(variables, x))).max()
        assert 1e-4 < error < 0.1
