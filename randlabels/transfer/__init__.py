"""Transfer of what a run learned to the networks of another (paper.md sections 4 and 6)."""

from randlabels.analysis.layers import LayerInputs
from randlabels.transfer.arms import open_source, start_networks
from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.curves import parse_curve
from randlabels.transfer.layerwise import aligned_init
from randlabels.transfer.norms import take_over_norms
from randlabels.transfer.rescale import rescale_to_reference

__all__ = [
    "LayerInputs",
    "aligned_init",
    "draw_filters",
    "open_source",
    "parse_curve",
    "rescale_to_reference",
    "start_networks",
    "take_over_norms",
]
