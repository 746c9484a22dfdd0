"""Models of arXiv:2006.10455 (section 3) and others as flax linen modules, and `build`."""

from randlabels.models.facts import Facts, facts_of
from randlabels.models.registry import (
    MODELS,
    build,
    check_inputs,
    check_model,
    field_names,
    model_named,
    with_fields,
)

__all__ = [
    "MODELS",
    "Facts",
    "build",
    "check_inputs",
    "check_model",
    "facts_of",
    "field_names",
    "model_named",
    "with_fields",
]
