"""Transfer of what a run learned to the networks of another (paper.md section 4)."""

from randlabels.transfer.arms import open_source, start_networks
from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.rescale import rescale_to_reference

__all__ = ["draw_filters", "open_source", "rescale_to_reference", "start_networks"]
