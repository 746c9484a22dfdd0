"""The arms of config.init.arms, and which fields of config.init each of them reads."""

from randlabels.config import Fields, Reader, nearest
from randlabels.errors import InputError

ARMS = (
    "scratch",
    "pretrained",
    "pretrained_unscaled",
    "covariance",
    "aligned",
    "orthogonal",
    "smooth",
    "patch_whitening",
)

# Arms that read an earlier run whatever the other settings.
FROM_RUN_ARMS = ("pretrained", "pretrained_unscaled", "covariance")

# Arms whose filters are made from data or from nothing.
MADE_ARMS = ("aligned", "orthogonal", "smooth", "patch_whitening")

# Values of init.curve that are read off an earlier run.
CURVES_FROM_RUN = ("measured", "fitted")


def reads_run(arm: str, curve: str) -> bool:
    """Whether networks of an arm (with init.curve) start from an earlier run."""
    return arm in FROM_RUN_ARMS or (arm == "aligned" and curve in CURVES_FROM_RUN)


def arms_that_read(fields: Fields) -> list[str]:
    """The arms of a flattened config that start from an earlier run."""
    curves = dict(fields["population.sweep"]).get("init.curve", (fields["init.curve"],))
    return [arm for arm in fields["init.arms"] if any(reads_run(arm, curve) for curve in curves)]


def check_arms(fields: Fields) -> dict[str, Reader]:
    """The rule of config.init: which fields the chosen arms read.

    Raises:
        InputError: if there is no such arm, or one lacks what it starts from.
    """
    arms = fields["init.arms"]
    if not arms or len(set(arms)) != len(arms):
        raise InputError(f"config.init.arms must name one or more different arms, not {arms!r}.")
    for arm in arms:
        if arm not in ARMS:
            raise InputError(f"config.init.arms names {arm!r}; {nearest(str(arm), ARMS)}")
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
    read = {"arms"}.union(*map(_reads, arms), {"run", "step"} if needing else ())
    names = [name for name in fields if name.startswith("init.")]
    chooser = f"arm {', '.join(arms)}"
    return {name: Reader(chooser, name.removeprefix("init.") in read) for name in names}


def _reads(arm: str) -> set[str]:
    """The fields of config.init that an arm reads, but those of an earlier run."""
    read = set() if arm == "scratch" else {"layers"}
    if arm == "covariance":
        read |= {"covariance", "images"}
    if arm == "aligned":
        read |= {"curve", "centered"}
    if arm in MADE_ARMS:
        read |= {"match", "biases", "images"}
    return read
