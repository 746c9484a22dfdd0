"""Pooling and batch norm with the channels first, as on a CPU, against flax and the other form."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.models.batch_norm import BatchNorm
from randlabels.models.layers import max_pool

pytestmark = pytest.mark.usefixtures("quick_programs")


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    """The form of each backend, carried out on this one."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 7, 5, 3)])
def test_max_pool_is_flaxs_with_its_gradient(backend, shape):
    x = images(*shape)
    weights = images(2, shape[1] // 2, shape[2] // 2, 3)

    def weighted(pool, x):
        y = pool(x)
        return jnp.sum(y * weights), y

    def both(pool):
        return jax.grad(functools.partial(weighted, pool), has_aux=True)(x)

    for ours, theirs in zip(
        both(max_pool), both(lambda x: nn.max_pool(x, (2, 2), (2, 2))), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def norms(dtype=jnp.float32, axis_name=None):
    """Batch norm of this package and flax's."""
    ours = BatchNorm(use_running_average=False, momentum=0.9, axis_name=axis_name, dtype=dtype)
    theirs = nn.BatchNorm(use_running_average=False, momentum=0.9, axis_name=axis_name, dtype=dtype)
    return ours, theirs


def variables():
    rng = np.random.default_rng(1)
    vectors = rng.uniform(0.5, 2.0, (4, 5)).astype(np.float32)
    scale, bias, mean, var = vectors
    return {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": mean, "var": var},
    }


def loss_and_more(norm, x, variables):
    """A weighted sum of the outputs, the outputs, and the new running statistics."""
    y, new = norm.apply(variables, x, mutable=["batch_stats"])
    weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    return jnp.sum(weights * y.astype(jnp.float32)), (y, new)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_batch_norm_is_flaxs_with_its_gradients(backend, dtype):
    x = 3 + 2 * images(6, 4, 5, 5).astype(dtype)

    def results(norm):
        gradient = jax.grad(functools.partial(loss_and_more, norm), (0, 1), has_aux=True)
        (of_x, of_variables), (y, new) = gradient(x, variables())
        assert y.dtype == dtype
        return of_x, of_variables["params"], y, new

    ours, theirs = map(results, norms(dtype))
    rounding = 2e-5 if dtype == jnp.float32 else 0.05
    for mine, flaxs in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(
            np.asarray(mine, np.float32),
            np.asarray(flaxs, np.float32),
            rtol=rounding,
            atol=rounding,
        )


def test_batch_norm_in_evaluation_uses_the_running_statistics(backend):
    x = images(3, 2, 2, 5)
    ours = BatchNorm(use_running_average=True, momentum=0.9).apply(variables(), x)
    theirs = nn.BatchNorm(use_running_average=True).apply(variables(), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_batch_norm_of_parts_of_a_batch_is_that_of_the_whole(backend):
    x = images(8, 4, 3, 5)

    def gradient(norm):
        return jax.value_and_grad(functools.partial(loss_and_more, norm), has_aux=True)

    (_, (whole, new)), _ = gradient(norms()[0])(x, variables())
    parts = jax.vmap(
        lambda x: gradient(norms(axis_name="parts")[0])(x, variables())[0][1],
        axis_name="parts",
    )(x.reshape(2, 4, 4, 3, 5))
    np.testing.assert_allclose(parts[0].reshape(x.shape), whole, rtol=1e-5, atol=1e-5)
    for part, of_whole in zip(jax.tree.leaves(parts[1]), jax.tree.leaves(new), strict=True):
        np.testing.assert_allclose(part[0], of_whole, rtol=1e-5)
        np.testing.assert_array_equal(part[0], part[1])


def test_fresh_batch_norms_are_the_same():
    x = images(2, 3, 3, 5)
    ours, theirs = (norm.init(jax.random.key(0), x) for norm in norms())
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
