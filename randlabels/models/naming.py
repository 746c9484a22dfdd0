"""Finding layers in a parameter tree.

A layer is a sub-tree with a `kernel`. Paths are in natural order (conv2 before conv10), which is
forward order in most of this package's models; `randlabels.models.flow` knows it for any.
"""

import re
from typing import Any

HEAD = "head"


def layer_paths(params: Any) -> tuple[str, ...]:
    """The paths ("conv1", "group1/conv2") of all layers of one network or a population."""
    return tuple(sorted(_find(params, ""), key=_natural_key))


def get_layer(params: Any, path: str) -> dict[str, Any]:
    """The sub-tree of a layer, {"kernel": ..., "bias": ...}."""
    for part in path.split("/"):
        params = params[part]
    return params


def _find(tree: Any, path: str) -> list[str]:
    if not isinstance(tree, dict):
        return []
    if "kernel" in tree and not isinstance(tree["kernel"], dict):
        return [path]
    return [p for key, sub in tree.items() for p in _find(sub, f"{path}/{key}".lstrip("/"))]


def _natural_key(path: str) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"([^\d]+)(\d*)", path)]
