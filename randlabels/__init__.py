"""Find out what neural networks learn from random labels (arXiv:2006.10455)."""

from randlabels.runs import Run, load_run

__all__ = ["Run", "load_run"]
