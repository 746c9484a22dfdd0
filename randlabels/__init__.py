"""Find out what neural networks learn from random labels (arXiv:2006.10455).

run = randlabels.train(randlabels.config("base", epochs=20), "runs/base")
alignment = randlabels.analyze(run)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from randlabels.analysis.own_kernel import compare_kernel
    from randlabels.analysis.run_analysis import analyze
    from randlabels.named_config import config
    from randlabels.runs import Run, load_run
    from randlabels.studies.run import reproduce
    from randlabels.training.loop import train
    from randlabels.transfer.layerwise import aligned_init

__all__ = [
    "Run",
    "aligned_init",
    "analyze",
    "compare_kernel",
    "config",
    "load_run",
    "reproduce",
    "train",
]

_FOUND_IN = {
    "Run": "runs",
    "aligned_init": "transfer.layerwise",
    "analyze": "analysis.run_analysis",
    "compare_kernel": "analysis.own_kernel",
    "config": "named_config",
    "load_run": "runs",
    "reproduce": "studies.run",
    "train": "training.loop",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more: `randlabels.eigen` does without the rest."""
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"randlabels.{_FOUND_IN[name]}"), name)
