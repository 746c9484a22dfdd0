"""The layers of a model of flax's NNX, and what they receive, read off its jaxpr.

Calls of NNX modules cannot be watched from outside as those of linen can, but what they compute
can: where a kernel meets data, the equation says how it is applied, and its other operand is what
the layer receives.
"""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from randlabels.models.convolution import NHWC, as_convolutions
from randlabels.models.naming import layer_paths

# A kernel may be cast on its way to where it is applied.
_CASTS = ("convert_element_type", "copy")


def applications(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """How each layer of a model is applied, in the order in which data reach them.

    Returns:
        {path: (an unbound layer of linen that does the same, the shape of one input), or the reason
        why it cannot be said}.
    """
    example = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), example)
    closed = _traced(model, variables, example)
    uses, elsewhere = _uses(closed.jaxpr, variables, example)
    found: dict[str, Any] = {}
    for path, number in uses:
        equation = closed.jaxpr.eqns[number]
        found[path] = "it is applied more than once" if path in found else _same(equation)
    found |= dict.fromkeys(elsewhere, "its kernel is changed, or it is lifted as by nnx.jit")
    unseen = set(layer_paths(variables["params"])) - found.keys()
    return found | dict.fromkeys(unseen, "it is not applied")


def received(model: nn.Module, path: str, variables: Any, x: Any) -> list[jax.Array]:
    """What a layer receives at each call while a model is applied."""
    closed = _traced(model, variables, x)
    uses, _ = _uses(closed.jaxpr, variables, x)
    found = []
    for number in (number for used, number in uses if used == path):
        inputs = closed.jaxpr.eqns[number].invars[0]
        before = closed.jaxpr.replace(eqns=closed.jaxpr.eqns[:number], outvars=[inputs])
        found += jaxpr_as_fun(closed.replace(jaxpr=before))(*jax.tree.leaves((variables, x)))
    return found


def _traced(model: nn.Module, variables: Any, x: Any) -> ClosedJaxpr:
    with as_convolutions():
        return jax.make_jaxpr(model.apply)(variables, x)


def _uses(jaxpr: Jaxpr, variables: Any, x: Any) -> tuple[list[tuple[str, int]], list[str]]:
    """[(path of a layer, number of the equation that applies its kernel)], and the layers whose
    kernel something else is done with."""
    names = [path for path, _ in jax.tree_util.tree_leaves_with_path((variables, x))]
    kernels: dict[Any, str] = {}
    for variable, name in zip(jaxpr.invars, names, strict=True):
        keys = [str(getattr(key, "key", "")) for key in name]
        if len(keys) > 2 and (keys[1], keys[-1]) == ("params", "kernel"):
            kernels[variable] = "/".join(keys[2:-1])
    uses, elsewhere = [], []
    for number, equation in enumerate(jaxpr.eqns):
        met = [kernels.get(v) for v in equation.invars if not hasattr(v, "val")]
        if equation.primitive.name in _CASTS and met[0]:
            kernels[equation.outvars[0]] = met[0]
        elif equation.primitive.name in _APPLIED and len(met) == 2 and met[1] and not met[0]:
            uses.append((met[1], number))
        else:
            elsewhere += [path for path in met if path]
    return uses, elsewhere


def _same(equation: Any) -> tuple[nn.Module, tuple[int, ...]] | str:
    """The layer of linen that an equation is, and the shape of one of its inputs."""
    inputs, kernel = (variable.aval.shape for variable in equation.invars)
    return _APPLIED[equation.primitive.name](equation.params, inputs, kernel)


def _dense(
    params: dict[str, Any], inputs: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[nn.Module, tuple[int, ...]] | str:
    summed = (((len(inputs) - 1,), (0,)), ((), ()))
    if len(kernel) != 2 or params["dimension_numbers"] != summed:
        return "its kernel is no matrix that is multiplied with its inputs"
    return nn.Dense(kernel[1]), inputs[1:]


def _convolution(
    params: dict[str, Any], inputs: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[nn.Module, tuple[int, ...]] | str:
    if params["dimension_numbers"] != NHWC:
        return "it is no convolution of images"
    return (
        nn.Conv(
            kernel[-1],
            kernel[:-2],
            strides=params["window_strides"],
            padding=params["padding"],
            input_dilation=params["lhs_dilation"],
            kernel_dilation=params["rhs_dilation"],
            feature_group_count=params["feature_group_count"],
        ),
        inputs[1:],
    )


_APPLIED = {"dot_general": _dense, "conv_general_dilated": _convolution}
