"""How many bytes the intermediate values of a traced function need at once."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core

# Compiled into the loops that read them, so that they need no memory of their own.
_FUSED = frozenset(
    (
        "abs", "add", "add_any", "and", "broadcast_in_dim", "clamp", "convert_element_type",
        "copy", "div", "eq", "erf", "exp", "expm1", "ge", "gt", "integer_pow", "iota",
        "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne",
        "neg", "not", "or", "pow", "rem", "reshape", "rsqrt", "select_n", "sign", "slice",
        "sqrt", "square", "squeeze", "stop_gradient", "sub", "tanh", "transpose", "xor",
        "random_bits", "random_wrap", "random_unwrap", "random_fold_in", "shift_left",
        "shift_right_logical",
    )
)  # fmt: skip

_RESHAPES = ("reshape", "squeeze", "transpose")
_PRODUCTS = ("dot_general", "conv_general_dilated")
_LOOPS = ("scan", "while")


def peak_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """The most that is alive at once while a function runs, beside its arguments.

    An estimate from shapes alone: nothing is computed or compiled. Values that one loop makes and
    the next reads at the same place are taken to be fused into it.

    Args:
        function: of arrays.
        arguments: trees of arrays or `jax.ShapeDtypeStruct`.
    """
    return _peak(jax.make_jaxpr(function)(*arguments).jaxpr)


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays, or shapes of arrays, of a tree."""
    return sum(_size(leaf) for leaf in jax.tree.leaves(tree))


def _peak(jaxpr: Any) -> int:
    """Walk through the equations, each value living from where it is made to its last use."""
    fused = _fused_places(jaxpr)
    last = _last_uses(jaxpr, fused)
    ends = Counter[int]()
    live = peak = 0
    for place, equation in enumerate(jaxpr.eqns):
        inner = max((_peak(body) for body in _bodies(equation)), default=0)
        made = 0
        for variable in equation.outvars:
            size = 0 if place in fused else _size(variable.aval)
            made += size
            ends[last.get(variable, place)] += size
        if equation.primitive.name in _LOOPS:  # what is made is stacked beside the turns
            inner += made
        peak = max(peak, live + max(made, inner))
        live += made - ends[place]
    return peak


def _fused_places(jaxpr: Any) -> set[int]:
    """The equations whose results are compiled into their readers.

    Results of the whole are not, nor what a product of matrices or a convolution reads, unless it
    is there already, in another shape.
    """
    results = set(_variables(jaxpr.outvars))
    products = [one for one in jaxpr.eqns if one.primitive.name in _PRODUCTS]
    kept = results.union(*(_variables(one.invars) for one in products))
    return {
        place
        for place, equation in enumerate(jaxpr.eqns)
        if equation.primitive.name in _FUSED
        and not (results if equation.primitive.name in _RESHAPES else kept) & {*equation.outvars}
    }


def _last_uses(jaxpr: Any, fused: set[int]) -> dict[core.Var, int]:
    """The place of the last equation that needs a value; that of a result is after the last.

    What is fused is computed again by each of its readers, so that what it is made of has to be
    there for all of them.
    """
    last = dict.fromkeys(_variables(jaxpr.outvars), len(jaxpr.eqns))
    for place, equation in reversed(list(enumerate(jaxpr.eqns))):
        until = max((last.get(v, place) for v in equation.outvars), default=place)
        needed = until if place in fused else place
        for variable in _variables(equation.invars):
            last[variable] = max(last.get(variable, needed), needed)
    return last


def _variables(values: Any) -> Iterator[Any]:
    return (value for value in values if isinstance(value, core.Var))


def _bodies(equation: Any) -> Iterator[Any]:
    """The functions that an equation calls: of a scan, a condition, a nested jit."""
    for value in equation.params.values():
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, core.ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, core.Jaxpr):
                yield one


def _size(leaf: Any) -> int:
    """Bytes of a value; math.prod, since NumPy's products overflow."""
    return math.prod(getattr(leaf, "shape", ())) * getattr(leaf.dtype, "itemsize", 8)
