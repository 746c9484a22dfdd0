"""How data flow through a model: which layer comes first, which last, and what a norm receives.

Read off the model's own computation (its jaxpr), so it holds for any flax module, of linen or NNX,
whatever its layers are called. A *layer* is a sub-tree of the parameters with a `kernel`; what else
has parameters or running statistics (norms, learned offsets) is a *companion* of the layers whose
outputs it receives.

A value's *stream* is what adds up to it: the last layers and norms on each of its ways from the
input. Scaling a layer's kernel scales what it adds to the streams that it flows into; a norm
divides by the scale of its stream, so that behind it everything is as it was.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from randlabels.models.naming import HEAD, layer_paths

INPUT = "the input"
NORMS_HAVE = {"scale", "mean"}  # one of these is what tells a norm from other companions


@dataclasses.dataclass(frozen=True)
class Flow:
    """The layers and companions of a model, as data reach them.

    Attributes:
        layers: paths ("conv1", "block1/conv2") in the order in which data reach them.
        head: the layer that gives the logits: the one called "head", else the one whose outputs
            leave the model; empty if several do, or none as it is.
        companions: {path: all layers that what it receives has come through}.
        streams: {path of a layer or companion: what adds up to what it receives}, in the order in
            which data reach them; what has come through no layer or norm is `INPUT`.
        norms: the companions behind which the scale of their stream is lost.
    """

    layers: tuple[str, ...]
    head: str
    companions: Mapping[str, frozenset[str]]
    streams: Mapping[str, frozenset[str]]
    norms: frozenset[str]

    @property
    def body(self) -> tuple[str, ...]:
        """The layers but the head."""
        return tuple(path for path in self.layers if path != self.head)

    def input_factors(self, factors: Mapping[str, float]) -> dict[str, float]:
        """{path: by how much the inputs of a layer or companion are scaled} if kernels are.

        Where branches with different factors add up, their root mean square, which is right for
        uncorrelated branches of equal variance.

        Args:
            factors: {path: factor of the layer's kernel}; of other layers it is 1.
        """
        received: dict[str, float] = {}
        given = {INPUT: 1.0}
        for path, stream in self.streams.items():  # in the order in which data reach them
            several = [given[source] for source in sorted(stream)]
            mean_square = sum(factor**2 for factor in several) / len(several)
            received[path] = several[0] if len(several) == 1 else math.sqrt(mean_square)
            given[path] = factors.get(path, 1.0) * (1.0 if path in self.norms else received[path])
        return received


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
    values = [walk.leaf(path) for path, _ in leaves]
    outputs = walk.run(closed.jaxpr, values)
    logits = outputs[0] if len(jax.tree.leaves(shape)) == 1 else _Value()
    ordered = tuple(dict.fromkeys((*walk.order, *layers)))  # those that nothing passes come last
    last = [path for path in logits.stream if path in layers]
    head = HEAD if HEAD in layers else last[0] if len(last) == len(logits.stream) == 1 else ""
    return Flow(ordered, head, walk.below, walk.streams, frozenset(walk.norms))


@dataclasses.dataclass(frozen=True)
class _Value:
    """What is known of an array.

    Attributes:
        parameters: ((path, name), ...) of parameters and statistics that have not met data.
        stream, below: of data; empty if it is none.
    """

    parameters: frozenset[tuple[str, str]] = frozenset()
    stream: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()


class _Walk:
    """One walk through a jaxpr, in the order in which it computes."""

    def __init__(self, layers: frozenset[str]) -> None:
        self.layers = layers
        self.order: list[str] = []
        self.streams: dict[str, frozenset[str]] = {}
        self.below: dict[str, frozenset[str]] = {}
        self.norms: set[str] = set()

    def leaf(self, path: tuple[Any, ...]) -> _Value:
        """An argument of model.apply: a parameter, a statistic or the input."""
        number, *keys = path
        if number.idx == 1:
            return _Value(stream=frozenset({INPUT}))
        _, *names = (str(key.key) for key in keys if hasattr(key, "key"))
        module = "/".join(names[:-1]) or names[-1]  # parameters of the model itself stand alone
        return _Value(frozenset({(module, names[-1])}))

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
        for inner in _jaxprs(equation):
            taken = len(inner.invars)
            if taken <= len(inputs) and len(inner.outvars) == len(equation.outvars):
                return self.run(inner, inputs[len(inputs) - taken :])
        found = self.meet(inputs)
        if equation.primitive.name == "mul":
            # A layer norm is what it receives times a quotient of its scale.
            for norm in self.norms & found.stream:
                found = dataclasses.replace(found, stream=found.stream - self.streams[norm])
        return [found] * len(equation.outvars)

    def meet(self, inputs: list[_Value]) -> _Value:
        """The value of what is computed from these."""
        parameters, stream, below = (
            frozenset().union(*(getattr(value, name) for value in inputs))
            for name in ("parameters", "stream", "below")
        )
        if not stream:
            return _Value(parameters)
        for path, name in sorted(parameters):
            stream, below = self._enter(path, name, stream, below)
        return _Value(frozenset(), stream, below)

    def _enter(
        self, path: str, name: str, stream: frozenset[str], below: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The stream and the layers below after data have met a parameter."""
        if path in self.layers:
            if name != "kernel":  # a bias, which is added to the layer's own outputs
                return stream, below
            if path not in self.streams:
                self.order.append(path)
                self.streams[path] = stream
            return frozenset({path}), below | {path}
        self.streams.setdefault(path, stream)
        self.below[path] = self.below.get(path, frozenset()) | below
        if name in NORMS_HAVE:
            self.norms.add(path)
            return frozenset({path}), below
        return stream, below


def _jaxprs(equation: Any) -> list[Any]:
    """The jaxprs that an equation applies, such as those of jit, scan and custom derivatives."""
    found = []
    for parameter in equation.params.values():
        several = parameter if isinstance(parameter, tuple | list) else (parameter,)
        for one in several:
            inner = getattr(one, "jaxpr", one)
            if hasattr(inner, "eqns"):
                found.append(inner)
    return found
