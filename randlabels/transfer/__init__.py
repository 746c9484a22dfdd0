"""Transfer of what a run learned to the networks of another (the paper's Sections 2.4 and 2.5).

What a config starts its networks with is in `start`, `earlier_run` and `norms`; here is what needs
no config.
"""

from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.curves import parse_curve
from randlabels.transfer.layerwise import aligned_init
from randlabels.transfer.rescale import rescale_to_reference

__all__ = ["aligned_init", "draw_filters", "parse_curve", "rescale_to_reference"]
