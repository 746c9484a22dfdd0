"""Training of a tiny population on some of the devices, without the rest of a workdir."""

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import jax
import pytest

from randlabels import runs
from randlabels.models import build
from randlabels.training import checkpoints, loop
from randlabels.training.check import check
from randlabels.training.devices import choose_layout
from randlabels.training.setup import prepare


@dataclasses.dataclass(frozen=True)
class Result:
    """What a population ended with; arrays lead with `network`."""

    params: Any
    table: list[dict[str, Any]]
    metrics: list[dict[str, Any]]


@pytest.fixture
def run_population(tmp_path) -> Callable[..., Result]:
    """A function (config, num_devices, mode) -> Result."""
    numbers = itertools.count()

    def run(config, num_devices: int = 1, mode: str = "auto") -> Result:
        setup = prepare(check(config))
        devices = tuple(jax.local_devices()[:num_devices])
        layout = choose_layout(mode, len(setup.table), config.train.batch_size, devices)
        assert len(layout.devices) == num_devices
        model = build(config, layout.axis_name, layout.groups)
        setup = dataclasses.replace(setup, layout=layout, model=model)
        directory = tmp_path / f"population{next(numbers)}"
        directory.mkdir()
        loop.run_epochs(setup, directory, loop.agreed(setup, directory))
        step = runs.newest_intact_step(directory)
        state = checkpoints.restore(directory, step, setup.state)
        lines = (directory / "metrics.jsonl").read_text().splitlines()
        return Result(state["params"], setup.table, [json.loads(line) for line in lines])

    return run
