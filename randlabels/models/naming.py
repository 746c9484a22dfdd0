"""Finding layers in a parameter tree: their paths, in the order in which data flows.

A layer is a sub-tree with a `kernel`. Models name their layers so that natural order (conv2 before
conv10) is forward order: conv1, ..., dense1, ..., head.
"""

import re
from collections.abc import Sequence
from typing import Any

from randlabels.errors import InputError

HEAD = "head"


def layer_paths(params: Any) -> tuple[str, ...]:
    """The paths ("conv1", "group1/conv2") of all layers of one network or a population."""
    return tuple(sorted(_find(params, ""), key=_natural_key))


def get_layer(params: Any, path: str) -> dict[str, Any]:
    """The sub-tree of a layer, {"kernel": ..., "bias": ...}."""
    for part in path.split("/"):
        params = params[part]
    return params


def layers_to_set(chosen: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """Resolve config.init.layers: "all" (but the head), "first:k", "last:k" or paths.

    "first" and "last" count the layers below the head, which is never taken over.

    Raises:
        InputError: if a name is not a layer, k is out of range, or none is named "head" where
            layers are not named one by one.
    """
    body = [path for path in paths if path != HEAD]
    found: list[str] = []
    for name in chosen:
        end, _, count = name.partition(":")
        if name not in paths and HEAD not in paths:
            raise InputError(
                f"config.init.layers is {name!r}, but the model has no layer named {HEAD!r}, so "
                f"which one is the classifier is not known; name it so, or name the layers to be "
                f"taken over, of {', '.join(paths)}."
            )
        if name == "all":
            found += body
        elif end in ("first", "last") and count.isdigit():
            k = int(count)
            if not 1 <= k <= len(body):
                raise InputError(
                    f"config.init.layers asks for {name!r}, but the model has {len(body)} layers "
                    f"below its head."
                )
            found += body[:k] if end == "first" else body[-k:]
        elif name in body:
            found.append(name)
        else:
            raise InputError(
                f"config.init.layers names {name!r}; the layers that can be taken over are "
                f"{', '.join(body)}."
            )
    return tuple(path for path in body if path in found)


def _find(tree: Any, path: str) -> list[str]:
    if not isinstance(tree, dict):
        return []
    if "kernel" in tree and not isinstance(tree["kernel"], dict):
        return [path]
    return [p for key, sub in tree.items() for p in _find(sub, f"{path}/{key}".lstrip("/"))]


def _natural_key(path: str) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"([^\d]+)(\d*)", path)]
