"""How data flow through a model: which layer comes first, which last, and what a norm receives.

Read off the model's own computation (its jaxpr), so it holds for any flax module, of linen or NNX,
whatever its layers are called. A *layer* is a sub-tree of the parameters with a `kernel`; what else
has parameters or running statistics (norms, learned offsets) is a *companion* of the layers whose
outputs it receives.

A value's *stream* is what adds up to it: the last layers and norms on each of its ways from the
input. Scaling a layer's kernel scales what it adds to the streams that it flows into; a norm
divides by the scale of its stream, so that behind it everything is as it was. A norm is known by
what it does: data less their running mean, or over a root of data.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from randlabels.models.naming import HEAD, layer_paths

INPUT = "the input"
NORMED = "a norm"  # that has no running statistics
RUNNING = "batch_stats"
_ROOTS = {"rsqrt": "inverse", "sqrt": "root"}
_SHAPES = ("broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "copy")
_KEPT = (*_SHAPES, "mul", "add", "max")  # what may happen to a root before data meet it


@dataclasses.dataclass(frozen=True)
class Flow:
    """The layers and companions of a model, as data reach them.

    Attributes:
        layers: paths ("conv1", "block1/conv2") in the order in which data reach them; those
            that logits have not come through in evaluation are none.
        head: the layer whose outputs leave the model; if several do, or none as it is, the one
            called "head", and empty if there is none.
        companions: {path: all layers that what it receives has come through}.
        streams: {path of a layer or companion: what adds up to what it receives}, in the order in
            which data reach them; what has come through no layer or norm is `INPUT`.
        norms: the companions with running statistics, behind which the scale of their stream is
            lost.
        offsets: {"path/name" of a companion's array: the stream that it is added to}.
    """

    layers: tuple[str, ...]
    head: str
    companions: Mapping[str, frozenset[str]]
    streams: Mapping[str, frozenset[str]]
    norms: frozenset[str]
    offsets: Mapping[str, frozenset[str]]

    @property
    def body(self) -> tuple[str, ...]:
        """The layers but the head."""
        return tuple(path for path in self.layers if path != self.head)

    def input_factors(self, factors: Mapping[str, float]) -> dict[str, float]:
        """{path, or "path/name" of an offset: factor of what it receives} where kernels are scaled.

        Where branches with different factors add up, it is their root mean square, which is right
        for uncorrelated branches of equal variance.

        Args:
            factors: {path: factor of the layer's kernel}; of other layers it is 1.
        """
        received: dict[str, float] = {}
        given = {INPUT: 1.0, NORMED: 1.0}
        for path, stream in self.streams.items():  # in the order in which data reach them
            received[path] = _root_mean_square(given[source] for source in sorted(stream))
            given[path] = factors.get(path, 1.0) * (1.0 if path in self.norms else received[path])
        for name, stream in self.offsets.items():
            received[name] = _root_mean_square(given[source] for source in sorted(stream))
        return received


def _root_mean_square(factors: Iterable[float]) -> float:
    first, *others = factors
    if not others:
        return first
    return math.sqrt(sum(factor**2 for factor in (first, *others)) / (1 + len(others)))


def flow_of(model: nn.Module, input_shape: tuple[int, ...]) -> Flow:
    """The flow of a model, as it evaluates one input of this shape; nothing is computed."""
    return _flow_of(model, tuple(input_shape))


@functools.lru_cache(maxsize=64)
def _flow_of(model: nn.Module, input_shape: tuple[int, ...]) -> Flow:
    example = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), example)
    closed, shape = jax.make_jaxpr(model.apply, return_shape=True)(variables, example)
    layers = layer_paths(variables["params"])
    walk = _Walk(frozenset(layers))
    leaves = jax.tree_util.tree_leaves_with_path((variables, example))
    outputs = walk.run(closed.jaxpr, [walk.leaf(path) for path, _ in leaves])
    logits = outputs[0] if len(jax.tree.leaves(shape)) == 1 else _Value()
    last = [path for path in logits.stream if path in layers]
    passed = tuple(path for path in walk.order if path in logits.below)
    named = HEAD if HEAD in passed else ""
    head = last[0] if len(last) == len(logits.stream) == 1 else named
    return Flow(passed, head, walk.below, walk.streams, frozenset(walk.norms), walk.offsets)


@dataclasses.dataclass(frozen=True)
class _Value:
    """What is known of an array.

    Attributes:
        parameters: ((collection, path, name), ...) of arrays that have not met data.
        stream, below: of data; empty if it is none.
        root: "root" or "inverse" (of one), if it is that of data.
    """

    parameters: frozenset[tuple[str, str, str]] = frozenset()
    stream: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    root: str = ""


def _together(values: Iterable[_Value]) -> _Value:
    several = tuple(values)
    parameters, stream, below = (
        frozenset().union(*(getattr(value, name) for value in several))
        for name in ("parameters", "stream", "below")
    )
    return _Value(parameters, stream, below)


class _Walk:
    """One walk through a jaxpr, in the order in which it computes."""

    def __init__(self, layers: frozenset[str]) -> None:
        self.layers = layers
        self.order: list[str] = []
        self.streams: dict[str, frozenset[str]] = {}
        self.below: dict[str, frozenset[str]] = {}
        self.offsets: dict[str, frozenset[str]] = {}
        self.norms: set[str] = set()

    def leaf(self, path: tuple[Any, ...]) -> _Value:
        """An argument of model.apply: a parameter, a statistic or the input."""
        number, *keys = path
        if number.idx == 1:
            return _Value(stream=frozenset({INPUT}))
        collection, *names = (str(key.key) for key in keys if hasattr(key, "key"))
        module = "/".join(names[:-1]) or names[-1]  # parameters of the model itself stand alone
        return _Value(frozenset({(collection, module, names[-1])}))

    def run(self, jaxpr: Any, arguments: list[_Value]) -> list[_Value]:
        """The values of a jaxpr's outputs."""
        known = dict(zip(jaxpr.invars, arguments, strict=True))

        def value(atom: Any) -> _Value:
            return _Value() if hasattr(atom, "val") else known.get(atom, _Value())

        for equation in jaxpr.eqns:
            found = self.apply(equation, [value(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, found, strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    def apply(self, equation: Any, inputs: list[_Value]) -> list[_Value]:
        """The values of an equation's outputs; those that contain jaxprs are walked through."""
        name, inner = equation.primitive.name, inner_jaxprs(equation)
        if name == "cond":
            branches = [self.run(branch, inputs[1:]) for branch in inner]
            return [_together(values) for values in zip(*branches, strict=True)]
        if name == "while":
            body = equation.params["body_jaxpr"].jaxpr
            return self.run(body, inputs[len(inputs) - len(body.invars) :])
        for one in inner:
            sizes = len(one.invars), len(one.outvars)
            if sizes == (len(inputs), len(equation.outvars)):
                return self.run(one, inputs)
        return [self.meet(name, inputs)] * len(equation.outvars)

    def meet(self, name: str, inputs: list[_Value]) -> _Value:
        """The value of what a primitive computes from these."""
        found = _together(inputs)
        if not found.stream:
            return found
        data = [value for value in inputs if value.stream]
        stream, below, root = found.stream, found.below, _ROOTS.get(name, "")
        if len(data) == 1 and name in _KEPT:
            root = data[0].root
        elif name == "div" and inputs[1].root == "root" and not inputs[0].stream:
            root = "inverse"
        elif len(data) == 2 and (
            (name == "mul" and sorted(value.root for value in data) == ["", "inverse"])
            or (name == "div" and [value.root for value in data] == ["", "root"])
        ):
            stream = frozenset({NORMED})
        for parameter in sorted(found.parameters):
            stream, below = self._enter(parameter, name, stream, below)
        return _Value(frozenset(), stream, below, root)

    def _enter(
        self,
        parameter: tuple[str, str, str],
        by: str,
        stream: frozenset[str],
        below: frozenset[str],
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The stream and the layers below after data have met a parameter by a primitive."""
        collection, path, name = parameter
        if path in self.layers:
            if name != "kernel":  # a bias, which is added to the layer's own outputs
                return stream, below
            if path not in self.streams:
                self.order.append(path)
                self.streams[path] = stream
            return frozenset({path}), below | {path}
        self.streams.setdefault(path, stream)
        self.below[path] = self.below.get(path, frozenset()) | below
        if by in ("add", "sub"):
            self.offsets.setdefault(f"{path}/{name}", stream)
        if (collection, name) == (RUNNING, "mean"):
            self.norms.add(path)
            return frozenset({path}), below
        return stream, below


def primitives_of(jaxpr: Any) -> set[str]:
    """The names of all primitives that a jaxpr applies, itself or inside of jit, scan and so on."""
    inner = (body for equation in jaxpr.eqns for body in inner_jaxprs(equation))
    return {equation.primitive.name for equation in jaxpr.eqns}.union(*map(primitives_of, inner))


def inner_jaxprs(equation: Any) -> list[Any]:
    """The jaxprs that an equation applies, such as those of jit, scan and custom derivatives."""
    found = []
    for parameter in equation.params.values():
        several = parameter if isinstance(parameter, tuple | list) else (parameter,)
        for one in several:
            inner = getattr(one, "jaxpr", one)
            if hasattr(inner, "eqns"):
                found.append(inner)
    return found
