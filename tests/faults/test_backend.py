"""What JAX makes of its environment variables is refused before anything is computed."""

import re

import jax
import pytest

from randlabels.backend import check_backend
from randlabels.errors import InputError
from randlabels.training import loop


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("JAX_PLATFORMS=nonsense", "JAX does not start: .*nonsense"),
        ("JAX_NUM_CPU_DEVICES=0", "JAX does not start: "),
        ("JAX_NUM_CPU_DEVICES=x", 'JAX does not start: Invalid value "x"'),
        ("JAX_ENABLE_X64=1", "JAX_ENABLE_X64 is True"),
        ("JAX_THREEFRY_PARTITIONABLE=0", "JAX_THREEFRY_PARTITIONABLE is False"),
        ("JAX_RANDOM_SEED_OFFSET=7", "JAX_RANDOM_SEED_OFFSET is 7"),
        (
            "JAX_DEFAULT_MATMUL_PRECISION=bfloat16",
            "JAX_DEFAULT_MATMUL_PRECISION is bfloat16, with w",
        ),
        ("JAX_NUMPY_RANK_PROMOTION=raise", "JAX_NUMPY_RANK_PROMOTION is raise, .* end in the mid"),
        ("JAX_TRANSFER_GUARD=disallow", "JAX_TRANSFER_GUARD is disallow"),
        ("JAX_DEBUG_NANS=1", "JAX_DEBUG_NANS is True"),
        ("JAX_NO_EXECUTION=1", "JAX_NO_EXECUTION is True"),
        ("JAX_NO_TRACING=1", "JAX_NO_TRACING is True"),
        ("JAX_DISABLE_JIT=1", "JAX_DISABLE_JIT is True"),
    ],
)
def test_variables_of_jax_are_one_sentence(front_door, tmp_path, monkeypatch, variable, sentence):
    monkeypatch.setenv(*variable.split("="))
    process = front_door(tmp_path / "run")
    (line,) = process.communicate(timeout=120)[1].splitlines()
    assert re.match(f"randlabels: {sentence}", line)
    assert process.returncode == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "harmless", [jax.transfer_guard("allow"), jax.numpy_rank_promotion("warn")]
)
def test_settings_that_change_nothing_are_not_refused(harmless):
    with harmless:
        check_backend()


@pytest.mark.parametrize("changed", [jax.enable_x64(True), jax.threefry_partitionable(False)])
def test_a_session_that_draws_other_numbers_trains_nothing(small, tmp_path, changed):
    with changed, pytest.raises(InputError, match="drawn and rounded otherwise"):
        loop.train(small, tmp_path / "run")
    assert not (tmp_path / "run").exists()
