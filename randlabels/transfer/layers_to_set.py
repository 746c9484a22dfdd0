"""Which layers config.init.layers names."""

from collections.abc import Sequence

from randlabels.errors import InputError
from randlabels.models.flow import Flow
from randlabels.models.naming import HEAD


def layers_to_set(chosen: Sequence[str], flow: Flow) -> tuple[str, ...]:
    """Resolve config.init.layers: "all" (but the head), "first:k", "last:k" or paths.

    "first" and "last" count the layers below the head, which is never taken over, in the order in
    which data reach them.

    Raises:
        InputError: if a name is not a layer, k is out of range, or it is not known which layer is
            the head where layers are not named one by one.
    """
    body = flow.body
    found: list[str] = []
    for name in chosen:
        end, _, count = name.partition(":")
        if name not in flow.layers and not flow.head:
            raise InputError(
                f"config.init.layers is {name!r}, but no layer alone gives the model's logits and "
                f"none is named {HEAD!r}, so which one is the classifier is not known; name it so, "
                f"or name the layers to be taken over, of {', '.join(flow.layers)}."
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
