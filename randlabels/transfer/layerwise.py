"""Initialising layers bottom-up, each from the inputs it gets through those below (paper 2.5).

The eigenvectors of a deeper layer's inputs depend on the layers below it, so they are known only
once those are set. Works for any flax linen model whose layers have a `kernel` [kh, kw, cin, cout]
or [d, m]: nn.Conv and nn.Dense as well as this package's, which sow their inputs.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.nnx.bridge import ToLinen

from randlabels.analysis.layers import BATCH, LayerInputs
from randlabels.eigen import PatchStatistics, descending_eigh, input_statistics
from randlabels.models import MODELS
from randlabels.models.naming import get_layer, layer_paths
from randlabels.transfer.curves import Curve
from randlabels.transfer.initialisers import normal

MATCHES = ("output_variance", "weight_norm")
BIASES = ("zero", "centring")

# Moments of a layer's inputs, which are computed only if they are asked for.
Moments = Callable[[], PatchStatistics]
Draw = Callable[[jax.Array, tuple[int, ...], Moments], np.ndarray]


def aligned_init(
    model: nn.Module,
    params: Any,
    images: np.ndarray,
    f: Curve,
    layers: Sequence[str],
    key: jax.Array,
    *,
    match: str = "output_variance",
    centered: bool = True,
    biases: str = "zero",
    collections: Mapping[str, Any] | None = None,
) -> Any:
    """Initialise layers of one network from data alone: filters V diag(f(sigma)) z.

    V and sigma^2 are eigenvectors and eigenvalues of the covariance of the layer's input patches
    under the layers already set, z is standard normal. Section 2.5 of the paper.

    Args:
        model: any linen model, called as model.apply(variables, images).
        params: its fresh parameters, which also give the scale; not changed.
        images: standardised, as the model gets them, float32 [n, ...].
        f: sigma [d], descending, to tau [d]; only its shape matters. See `curves.parse_curve`.
        layers: paths such as "conv1" or "block1/conv2"; they are set in this order, so name them
            in the order in which data flow.
        key: JAX PRNG key.
        match: "output_variance": the layer's outputs get the variance, over inputs and filters,
            that the fresh kernel gives on the same inputs; "weight_norm": its Frobenius norm.
        centered: V and sigma of the covariance; False: of the second moment.
        biases: "zero", or "centring": -w . mean of the inputs.
        collections: what else the model needs, such as {"batch_stats": ...}.

    Returns:
        New parameters, float32; layers that are not named are the same.

    Raises:
        ValueError: if a layer does not exist or is grouped, f gives bad values, or its inputs have
            no variance.
    """
    if isinstance(params.get("params"), Mapping):
        raise ValueError('give parameters alone, as model.init(key, images[:1])["params"].')
    draw = functools.partial(draw_aligned, f=f, centered=centered)
    for number, path in enumerate(layers):
        variables = {**(collections or {}), "params": params}
        moments = functools.cache(functools.partial(input_moments, model, variables, images, path))
        layer_key = jax.random.fold_in(key, number)
        try:
            params = initialise_layer(params, path, layer_key, draw, moments, match, biases)
        except flax.errors.ScopeCollectionNotFound as error:
            raise ValueError(
                "the model reads more than its parameters, as batch norms do; give that, too, as "
                'collections={"batch_stats": model.init(key, images[:1])["batch_stats"]}.'
            ) from error
    return params


def initialise_layer(
    params: Any, path: str, key: jax.Array, draw: Draw, moments: Moments, match: str, biases: str
) -> Any:
    """New parameters in which one layer's kernel comes from `draw`, scaled as `match` says.

    `draw(key, shape, moments)` gives a kernel of any scale; `moments` are those of the layer's
    inputs and are computed only where they are needed. `match` and `biases` as in `aligned_init`.

    Raises:
        ValueError: if there is no such layer, or the draw is useless.
    """
    if match not in MATCHES or biases not in BIASES:
        raise ValueError(f"match {match!r} must be one of {MATCHES}, biases {biases!r} of {BIASES}")
    if path not in layer_paths(params):
        raise ValueError(f"{path!r} is not a layer; they are {', '.join(layer_paths(params))}.")
    params = jax.tree.map(np.array, params)
    layer = get_layer(params, path)
    kernel = draw(key, layer["kernel"].shape, moments)
    if not np.isfinite(kernel).all() or not np.any(kernel):
        raise ValueError(f"The filters drawn for {path} are zero, infinite or NaN; change f.")
    kernel = kernel * _scale(kernel, layer["kernel"], moments, match, biases)
    layer["kernel"] = kernel.astype(np.float32)
    if "bias" in layer:
        layer["bias"] = np.zeros_like(layer["bias"])
        if biases == "centring":
            layer["bias"] -= (moments().mean @ _matrix(kernel)).astype(np.float32)
    return params


def draw_aligned(
    key: jax.Array, shape: tuple[int, ...], moments: Moments, f: Curve, centered: bool
) -> np.ndarray:
    """Filters V diag(f(sigma)) z of a layer with these input moments."""
    found = moments()
    values, vectors = descending_eigh(found.covariance if centered else found.second_moment)
    if values[0] <= 0:
        raise ValueError("The inputs of a layer do not vary; all units below it may be dead.")
    tau = np.asarray(f(np.sqrt(np.maximum(values, 0))), np.float64)
    if tau.shape != values.shape or not np.isfinite(tau).all() or (tau < 0).any():
        raise ValueError("f must give one finite number >= 0 for each sigma.")
    return ((vectors * tau) @ normal(key, (len(values), shape[-1]))).reshape(shape)


def input_moments(
    model: nn.Module, variables: Any, images: np.ndarray, path: str
) -> PatchStatistics:
    """Moments (1/n) of the input patches of a layer, flattened (row, column, channel).

    Args:
        model: any linen model.
        variables: {"params": ..., ...} of one network.
        images: as the model gets them, [n, ...].
        path: of the layer.

    Raises:
        ValueError: if the layer is a grouped convolution or of an unknown kind.
    """
    if isinstance(model, (*MODELS.values(), ToLinen)):
        return LayerInputs(model, images).moments(variables, path)
    patches_of = _compile_foreign_patches(model, path)
    batches = (images[i : i + BATCH] for i in range(0, len(images), BATCH))
    return input_statistics(np.asarray(patches_of(variables, batch)) for batch in batches)


@functools.lru_cache(maxsize=64)
def _compile_foreign_patches(model: nn.Module, path: str) -> Callable[[Any, np.ndarray], jax.Array]:
    """(variables, images) -> input patches [n, d] of a layer of a model that does not sow them."""

    @jax.jit  # what the network computes after this layer is not compiled
    def patches(variables: Any, images: jax.Array) -> jax.Array:
        found = []

        def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            module = context.module
            if context.method_name == "__call__" and "/".join(module.path) == path:
                shape = get_layer(variables["params"], path)["kernel"].shape
                found.append(_apply_identity(module, shape, args[0]))
            return call(*args, **kwargs)

        with nn.intercept_methods(note):
            model.apply(variables, images)
        return found[0]

    return patches


def _apply_identity(module: nn.Module, shape: tuple[int, ...], x: jax.Array) -> jax.Array:
    """The patches [n, d] that a layer multiplies with its kernel.

    A convolution whose kernel is the identity returns its patches, whatever its strides, padding
    and dilation.
    """
    dim = int(np.prod(shape[:-1]))
    if len(shape) == 2:
        return x.reshape(-1, dim)
    if getattr(module, "feature_group_count", 1) != 1:
        raise ValueError(f"{'/'.join(module.path)} is a grouped convolution; leave it out.")
    unbound = module.clone(features=dim, parent=None)
    identity = jnp.eye(dim, dtype=jnp.float32).reshape(*shape[:-1], dim)
    params = {"kernel": identity, "bias": jnp.zeros(dim)}
    patches: Any = unbound.apply({"params": params}, x)
    return patches.reshape(-1, dim)


def _scale(
    kernel: np.ndarray, fresh: np.ndarray, moments: Moments, match: str, biases: str
) -> float:
    """The factor that brings a kernel to the fresh one's output variance or weight norm."""
    wanted, given = _matrix(fresh.astype(np.float64)), _matrix(kernel)
    if match == "weight_norm":
        return float(np.linalg.norm(wanted) / np.linalg.norm(given))
    # Filters have mean 0, so without biases the variance over inputs and filters is E[(w.x)^2].
    moment = moments().covariance if biases == "centring" else moments().second_moment
    fresh_variance, variance = (float(np.sum(w * (moment @ w))) for w in (wanted, given))
    if min(fresh_variance, variance) <= 0:
        raise ValueError("The outputs of a layer do not vary; all units below it may be dead.")
    return (fresh_variance / variance) ** 0.5


def _matrix(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(-1, kernel.shape[-1])
