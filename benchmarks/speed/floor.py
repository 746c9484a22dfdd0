"""The least that a training step must do, from shapes alone: operations and bytes."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from randlabels.models import build
from randlabels.models.convolution import as_convolutions
from randlabels.models.flow import inner_jaxprs
from randlabels.training.liveness import tree_bytes
from randlabels.training.population import HYPERPARAMETERS
from randlabels.training.setup import Setup
from randlabels.training.step import make_train_step


def floor(setup: Setup) -> dict[str, int]:
    """{"operations", "bytes"} of a step of one network.

    Operations are multiplications and additions of matrix products and convolutions, forward and
    for the gradients; nothing else is counted. Bytes are the weights, the state of the optimizer,
    read and written; the batch, read; and the inputs of all layers, written on the way forward and
    read on the way back. A cache may save some of the latter.
    """
    return {"operations": _operations(_step_jaxpr(setup).jaxpr), "bytes": _bytes(setup)}


def _one(setup: Setup) -> Any:
    return jax.tree.map(lambda x: x[0], setup.state)


def _step_jaxpr(setup: Setup) -> Any:
    config, task = setup.config, setup.task
    step = make_train_step(build(config), config, setup.total_steps)
    data = {"images": task.images, "mean": task.mean, "std": task.std}
    network = dict.fromkeys(HYPERPARAMETERS, np.float32(0)) | {
        "seed": np.uint32(0),
        "labels": np.zeros(len(task.images), np.int32),
    }
    indices = np.zeros(config.train.batch_size, np.int32)
    with as_convolutions():
        return jax.make_jaxpr(step)(data, network, _one(setup), np.uint32(0), indices)


def _operations(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        operands = [variable.aval for variable in equation.invars]
        out = equation.outvars[0].aval if equation.outvars else None
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            total += 2 * out.size * math.prod(operands[0].shape[i] for i in contracted)
        elif equation.primitive.name == "conv_general_dilated":
            total += _convolution(equation, operands, out)
        else:
            total += sum(_operations(inner) for inner in inner_jaxprs(equation))
    return total


def _convolution(equation: Any, operands: list[Any], out: Any) -> int:
    """Products with the zeros of padding and dilation are counted, those of dilation only once."""
    kernel = equation.params["dimension_numbers"].rhs_spec
    taps = math.prod(operands[1].shape[i] for i in kernel[1:])
    dilation = math.prod(equation.params["lhs_dilation"])
    return 2 * out.size * taps // dilation


def _bytes(setup: Setup) -> int:
    example = np.zeros((setup.config.train.batch_size, *setup.task.images.shape[1:]), np.float32)
    one = _one(setup)
    variables = {"params": one["params"], "batch_stats": one["batch_stats"]}

    def inputs(variables: Any, x: jax.Array) -> Any:
        collected = build(setup.config).apply(
            variables, x, train=True, mutable=["inputs", "batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )[1]  # fmt: skip
        return collected["inputs"]

    layers = tree_bytes(jax.eval_shape(inputs, variables, jnp.asarray(example)))
    batch = example.size * setup.task.images.dtype.itemsize
    return 2 * tree_bytes(one) + batch + 2 * layers
