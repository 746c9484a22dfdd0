"""Which layer comes first, which last, and what norms receive, whatever anything is called."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx
from flax.nnx import bridge

from randlabels.configs import base
from randlabels.models import MODELS, build
from randlabels.models.flow import INPUT, NORMED, flow_of
from randlabels.models.naming import layer_paths

pytestmark = pytest.mark.usefixtures("quick_programs")

SHAPE = (8, 8, 3)


class Residual(nn.Module):
    """Names in an order that says nothing; a batch norm, a layer norm, an offset, a PReLU."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Conv(8, (3, 3), name="zeta")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="b")(x))
        y = nn.LayerNorm(name="a")(nn.Conv(8, (3, 3), name="alpha")(x))
        x = x + nn.gelu(y) + self.param("offset", nn.initializers.normal(), (8, 8, 8))
        x = nn.PReLU(name="slope")(x).mean((1, 2))
        return nn.Dense(3, name="answer")(nn.Dense(4, name="middle")(x))


def test_order_head_and_what_is_below_do_not_hang_on_names():
    flow = flow_of(Residual(), SHAPE)
    assert flow.layers == ("zeta", "alpha", "middle", "answer")
    assert (flow.head, flow.body) == ("answer", ("zeta", "alpha", "middle"))
    both = {"zeta", "alpha"}
    assert flow.companions == {"b": {"zeta"}, "a": both, "offset": both, "slope": both}
    assert flow.norms == {"b"}
    behind = {"b", NORMED}
    added = {"b/mean": {"zeta"}, "b/bias": {"b"}, "a/bias": {NORMED}, "offset/offset": behind}
    assert flow.offsets == added


def test_streams_are_what_adds_up_since_the_last_norm():
    streams = flow_of(Residual(), SHAPE).streams
    assert streams["zeta"] == {INPUT}
    assert streams["b"] == {"zeta"}
    assert streams["alpha"] == {"b"}
    assert streams["a"] == {"alpha"}
    assert streams["middle"] == {NORMED, "b"}
    assert streams["answer"] == {"middle"}


def test_the_factor_of_inputs_is_that_of_the_function_where_it_is_exact():
    """Kernels of a network of ReLU layers scaled one by one: what each layer then receives."""

    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = nn.relu(nn.Conv(8, (3, 3), use_bias=False, name="z")(x))
            x = nn.relu(nn.Conv(8, (3, 3), use_bias=False, name="y")(x)).reshape(len(x), -1)
            return nn.Dense(3, use_bias=False, name="x")(x)

    model, x = Plain(), np.random.default_rng(0).standard_normal((4, *SHAPE))
    variables = model.init(jax.random.key(0), x)
    factors = {"z": 3.0, "y": 0.25, "x": 5.0}
    layers = variables["params"].items()
    scaled = {"params": {k: {"kernel": factors[k] * v["kernel"]} for k, v in layers}}
    received = flow_of(model, SHAPE).input_factors(factors)
    ratio = model.apply(scaled, x) / model.apply(variables, x)
    np.testing.assert_allclose(ratio, received["x"] * factors["x"], rtol=1e-5)
    assert received == {"z": 1.0, "y": 3.0, "x": 0.75}


def test_branches_add_up_as_squares_and_a_norm_ends_the_scale():
    received = flow_of(Residual(), SHAPE).input_factors({"zeta": 3.0, "alpha": 4.0, "middle": 7.0})
    assert (received["b"], received["alpha"], received["a"]) == (3.0, 1.0, 4.0)
    assert (received["middle"], received["answer"]) == (1.0, 7.0)


def test_a_network_of_nnx():
    class Own(nnx.Module):
        def __init__(self, *, rngs: nnx.Rngs) -> None:
            self.z = nnx.Conv(3, 8, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(8, rngs=rngs)
            self.a = nnx.Linear(8, 3, rngs=rngs)

        def __call__(self, x: Any, train: bool = False) -> Any:
            x = nnx.relu(self.norm(self.z(x), use_running_average=not train))
            return self.a(x.mean((1, 2)))

    flow = flow_of(bridge.ToLinen(Own), SHAPE)
    assert (flow.layers, flow.head, flow.companions) == (("z", "a"), "a", {"norm": {"z"}})


def test_layers_inside_transformations_are_seen():
    class Lifted(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = jax.lax.fori_loop(0, 3, lambda i, x: 1.5 * x, x.reshape(len(x), -1))
            x = jax.lax.cond(x.sum() > 0, lambda x: x, lambda x: 2 * x, x)
            x = jax.checkpoint(lambda x: x + 1)(nn.remat(nn.Dense)(4, name="z")(x))
            return nn.jit(nn.Dense)(3, name="a")(jax.jit(nn.relu)(x))

    flow = flow_of(Lifted(), SHAPE)
    assert (flow.layers, flow.head, flow.streams["a"]) == (("z", "a"), "a", {"z"})


class Written(nn.Module):
    """Norms without parameters, written out; what is called scale and is none."""

    how: str

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Dense(6, name="z")(x.reshape(len(x), -1))
        scale = self.param("scale", nn.initializers.ones, (6,))
        if self.how == "rsqrt":
            x = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale
        elif self.how == "root":
            x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * scale
        elif self.how == "layer":
            x = nn.LayerNorm(use_scale=False, use_bias=False)(x) * scale
        elif self.how == "gated":
            x = x * nn.sigmoid(x) * scale
        return nn.Dense(3, name="a")(x * scale)


@pytest.mark.parametrize("how", ["rsqrt", "root", "layer", "gated", "no norm"])
def test_norms_are_known_by_what_they_do(how):
    received = flow_of(Written(how), SHAPE).input_factors({"z": 3.0})
    assert received["a"] == (3.0 if how in ("gated", "no norm") else 1.0)


def test_what_is_scattered_into_stays_in_the_stream():
    class Scattered(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = nn.Conv(4, (3, 3), name="z")(x)
            x = x.at[:, 1:7].add(nn.Conv(4, (3, 3), name="y")(x)[:, 1:7])
            x = x.at[:, 0].add(self.param("row", nn.initializers.normal(), (8, 4)))
            x = nn.BatchNorm(use_running_average=not train, name="b")(x)
            return nn.Dense(3, name="a")(x.mean((1, 2)))

    flow = flow_of(Scattered(), SHAPE)
    assert flow.streams["b"] == flow.companions["b"] == {"z", "y"}
    assert flow.companions["row"] == {"z", "y"}


def test_branches_of_a_cond_meet():
    class Either(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = x.reshape(len(x), -1)
            y, z = nn.Dense(4, name="y")(x), nn.Dense(4, name="z")(x)
            x = jax.lax.cond(x.sum() > 0, lambda: y, lambda: z)
            return nn.Dense(3, name="a")(x)

    assert flow_of(Either(), SHAPE).streams["a"] == {"y", "z"}


def test_layers_that_evaluation_does_not_pass_are_none():
    class Auxiliary(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = nn.Dense(4, name="z")(x.reshape(len(x), -1))
            more = nn.Dense(4, name="aux")(x)
            return nn.Dense(3, name="a")(x + more if train else x)

    assert flow_of(Auxiliary(), SHAPE).body == ("z",)


def test_the_head_is_what_leaves_the_model_whatever_is_called_so():
    class First(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            return nn.Dense(3, name="tail")(nn.Dense(4, name="head")(x.reshape(len(x), -1)))

    assert (flow_of(First(), SHAPE).head, flow_of(First(), SHAPE).body) == ("tail", ("head",))


def test_with_several_answers_or_none_the_head_is_not_known():
    class Two(nn.Module):
        named: str

        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = x.reshape(len(x), -1)
            return nn.Dense(3, name="a")(x) + nn.Dense(3, name=self.named)(x)

    assert flow_of(Two("b"), SHAPE).head == ""
    assert flow_of(Two("head"), SHAPE).head == "head"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_layers_of_the_models_of_this_package_come_in_the_order_of_their_names(name):
    """But for shortcuts, which come before the convolutions beside them."""
    config = base.get_config()
    config.update_from_flattened_dict(
        {"model.name": name, "model.depth": 10, "model.filters": 8, "model.init_scale": 1.0}
    )
    config.model.width = 0.1 if name != "wide_resnet" else 0.5
    model = build(config)
    flow = flow_of(model, (32, 32, 3))
    example = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    paths = layer_paths(jax.eval_shape(model.init, jax.random.key(0), example)["params"])

    def named(paths: Any) -> list[str]:
        return [path for path in paths if not path.endswith("shortcut")]

    assert named(flow.layers) == named(paths)
    assert set(flow.layers) == set(paths)
    assert flow.head == "head"
