"""The rule of config.init: which arms there are, what they need, and which fields they read."""

from randlabels.config_rules import Fields, Reader, nearest
from randlabels.errors import InputError, shown
from randlabels.transfer.registry import ARMS


def arms_that_read(fields: Fields) -> list[str]:
    """The arms of a flattened config that start from an earlier run."""
    curves = dict(fields["population.sweep"]).get("init.curve", (fields["init.curve"],))
    return [
        arm for arm in fields["init.arms"] if any(ARMS[arm].reads_run(curve) for curve in curves)
    ]


def check_arms(fields: Fields) -> dict[str, Reader]:
    """Which fields of config.init the chosen arms read.

    Raises:
        InputError: if there is no such arm, or one lacks what it starts from.
    """
    arms = fields["init.arms"]
    if not arms or len(set(arms)) != len(arms):
        raise InputError(
            f"config.init.arms must name one or more different arms, not {shown(arms)}."
        )
    for arm in arms:
        if arm not in ARMS:
            raise InputError(
                f"config.init.arms names {shown(arm)}; {nearest(str(arm), tuple(ARMS))}"
            )
    needing = arms_that_read(fields)
    if needing and not fields["init.run"]:
        raise InputError(
            f"arm {needing[0]} starts from an earlier run: give its workdir as config.init.run."
        )
    if not fields["init.layers"]:
        raise InputError(
            "config.init.layers must name layers, such as ('conv1',), ('first:2',) or ('all',), "
            f"not {fields['init.layers']!r}."
        )
    read = {"arms"}.union(*(ARMS[arm].reads for arm in arms), {"run", "step"} if needing else ())
    names = [name for name in fields if name.startswith("init.")]
    chooser = f"arm {', '.join(arms)}"
    return {name: Reader(chooser, name.removeprefix("init.") in read) for name in names}
