"""Find out what neural networks learn from random labels (arXiv:2006.10455)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from randlabels.runs import Run, load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    """Import `randlabels.runs` only where it is asked for: `randlabels.eigen` does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from randlabels import runs

    return getattr(runs, name)
