"""Judging claims: an interval and a p over seeds for each, one rule for all, see docs/method.md.

Primary claims get an outcome. All others are estimates: they get an interval and no word.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from randlabels.studies.declare import Claim, Primary
from randlabels.studies.inference import (
    LEVEL,
    Interval,
    holm,
    median_interval,
    sign_flip_p,
    sign_test_p,
    t_interval,
    t_p,
)

Reading = TypeVar("Reading")

LEAST_SEEDS = 6  # for an outcome; with fewer, sign flips cannot reach .05
OUTCOMES = ("supported", "contradicted", "equivalent", "undecided", "not tested")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was claimed, and what the numbers say.

    Attributes:
        name: of the claim, as are statement, place, unit, threshold and scale.
        values: over seeds, NaN for a seed without one; [low, high] each if one is censored.
        seeds: how many have a value.
        value: their mean; of ratios the geometric mean, of censored values the median; None without
            any, and where bounds leave the median open.
        interval: of the value, 95%; None with too few values.
        method: of interval and p: "t", "t of logs" or "median".
        p: two-sided, of a value at the threshold, before any correction; None with too few values.
        p_sign_flip: likewise, exact for symmetric values; None for a median.
        p_adjusted: Holm's, over the primary claims of the study; None for an estimate.
        smallest: of a primary claim, see `Primary`, as are against and premise.
        outcome: one of OUTCOMES, or "estimate".
        reason: of the outcome, in words.
    """

    name: str
    statement: str
    place: str
    unit: str
    threshold: float
    scale: str
    values: tuple[float | Interval, ...]
    seeds: int
    value: float | None
    interval: Interval | None
    method: str
    p: float | None
    p_sign_flip: float | None
    p_adjusted: float | None = None
    smallest: float | None = None
    against: str = ""
    premise: str = ""
    outcome: str = "estimate"
    reason: str = ""


def judge(
    claims: Sequence[Claim[Reading]], primary: Mapping[str, Primary], reading: Reading
) -> list[Verdict]:
    """One verdict for each claim, in their order.

    A primary claim is `equivalent` to its threshold if its whole interval, at a level that
    Bonferroni corrects for the number of primary claims, lies within the smallest effect of
    interest around it; otherwise `supported` above and `contradicted` below the threshold where
    Holm's adjusted p is at most .05 and so is, for means, the p of sign flips, which is exact for
    few values that are not normal; `undecided` if they are not or with fewer than LEAST_SEEDS
    values, and `not tested` where its premise is not supported. What speaks against a claim that is
    the worst of several comparisons is corrected for their number, too.

    Args:
        claims: of a study.
        primary: by the names of those that get an outcome.
        reading: from which they take their values.
    """
    estimates = {claim.name: _estimate(claim, reading) for claim in claims}
    comparisons = {claim.name: claim.comparisons for claim in claims}
    chosen = [estimates[name] for name in primary]
    adjusted = holm([1.0 if one.p is None else one.p for one in chosen])
    done: dict[str, Verdict] = {}
    for estimate, p_adjusted in zip(chosen, adjusted, strict=True):
        rule = primary[estimate.name]
        held = not rule.premise or done[rule.premise].outcome == "supported"
        ruled = dataclasses.replace(estimate, p_adjusted=p_adjusted, **dataclasses.asdict(rule))
        outcome, reason = _outcome(ruled, len(chosen), comparisons[estimate.name], held)
        done[estimate.name] = dataclasses.replace(ruled, outcome=outcome, reason=reason)
    return [done.get(claim.name, estimates[claim.name]) for claim in claims]


def _estimate(claim: Claim[Reading], reading: Reading) -> Verdict:
    values = np.asarray(claim.of(reading), np.float64)
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 2):
        raise ValueError(
            f"claim {claim.name!r} gives an array {values.shape}; it may be one value [seed], or "
            "bounds [seed, 2]."
        )
    bounds = bounds_of(values)
    low, high = bounds.T
    if (low > high).any() or (np.isinf(low) & (low == high)).any():
        raise ValueError(f"claim {claim.name!r} has infinite values, or bounds in the wrong order.")
    if claim.scale == "ratio" and ((bounds < 0).any() or (bounds[:, 1] == 0).any()):
        raise ValueError(
            f"claim {claim.name!r} is about ratios, and one of its values is not positive."
        )
    value, interval, method = _interval(bounds, claim.scale, LEVEL)
    p, p_sign_flip = _p_values(bounds, claim, method)
    return Verdict(
        name=claim.name,
        statement=claim.statement,
        place=claim.place,
        unit=claim.unit,
        threshold=claim.threshold,
        scale=claim.scale,
        values=tuple(_plain(one) for one in values),
        seeds=len(bounds),
        value=value,
        interval=interval,
        method=method,
        p=p,
        p_sign_flip=p_sign_flip,
    )


def _plain(value: np.ndarray) -> float | Interval:
    """One number, where both bounds are one or none is known."""
    if value.ndim == 0:
        return float(value)
    low, high = map(float, value)
    return low if low == high or np.isnan(low) else (low, high)


def bounds_of(values: np.ndarray) -> np.ndarray:
    """Bounds [seed, 2] of the seeds that have a value, of values [seed] or bounds [seed, 2]."""
    bounds = values if values.ndim == 2 else np.stack([values, values], axis=1)
    return bounds[~np.isnan(bounds).any(axis=1)]


def estimate(values: np.ndarray, scale: str) -> tuple[float | None, Interval | None]:
    """(value, 95% interval) of values [seed] or bounds [seed, 2], as claims of that scale have."""
    value, interval, _ = _interval(bounds_of(values), scale, LEVEL)
    return value, interval


def _interval(
    bounds: np.ndarray, scale: str, level: float
) -> tuple[float | None, Interval | None, str]:
    """(value, interval, method) of bounds [seed, 2]."""
    low, high = _scaled(bounds, scale)
    back = np.exp if scale == "ratio" else (lambda x: x)
    if not np.array_equal(low, high):
        method, middle = "median", float(np.median(low))
        middle = middle if middle == float(np.median(high)) else np.nan
        found = median_interval(low, high, level)
    else:
        method = "t of logs" if scale == "ratio" else "t"
        middle = float(low.mean()) if len(low) else np.nan
        found = t_interval(low, level) if len(low) > 1 else None
    value = None if np.isnan(middle) else float(back(middle))
    return value, found and (float(back(found[0])), float(back(found[1]))), method


def _scaled(bounds: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds, of ratios in logs."""
    if scale == "ratio":
        with np.errstate(divide="ignore"):  # a lower bound of 0
            bounds = np.log(bounds)
    return bounds[:, 0], bounds[:, 1]


def _p_values(
    bounds: np.ndarray, claim: Claim[Reading], method: str
) -> tuple[float | None, float | None]:
    """(p of the method, p of sign flips) of a value at the threshold."""
    if len(bounds) < 2:
        return None, None
    if method == "median":
        return sign_test_p(bounds[:, 0], bounds[:, 1], claim.threshold), None
    values, _ = _scaled(bounds, claim.scale)
    centre = np.log(claim.threshold) if claim.scale == "ratio" else claim.threshold
    return t_p(values - centre), sign_flip_p(values - centre)


def _outcome(verdict: Verdict, claims: int, comparisons: int, held: bool) -> tuple[str, str]:
    """(outcome, reason) of one of so many primary claims."""
    level = 1 - (1 - LEVEL) / (claims * comparisons)
    if not held:
        return "not tested", f"its premise, {verdict.premise}, is not supported"
    if verdict.seeds < LEAST_SEEDS or verdict.p is None or verdict.interval is None:
        return "undecided", (
            f"{verdict.seeds} of {len(verdict.values)} seeds have a value, {LEAST_SEEDS} needed"
        )
    if _within_smallest(verdict, level):
        return "equivalent", (
            f"the {level:.4g} interval lies within the smallest effect of interest, "
            f"{verdict.smallest:g}"
        )
    above = _lies_above(verdict)
    p = 1.0 if verdict.p_adjusted is None else verdict.p_adjusted
    p = p if above else min(1.0, p * comparisons)
    if not p <= 1 - LEVEL:
        return "undecided", f"adjusted p is {p:.2g}"
    if verdict.p_sign_flip is not None and verdict.p_sign_flip > 1 - LEVEL:
        return "undecided", (
            f"adjusted p is {p:.2g}, but that of sign flips, {verdict.p_sign_flip:.2g}: it rests "
            "on the values being normal"
        )
    side = "above" if above else "below"
    reason = f"it lies {side} {verdict.threshold:g}, adjusted p is {p:.2g}"
    return ("supported" if above else "contradicted"), reason


def _lies_above(verdict: Verdict) -> bool:
    """On which side of the threshold; a median lies where most seeds do, whatever their bounds."""
    if verdict.method == "median":
        return bool((_bounds(verdict)[:, 0] > verdict.threshold).sum() > verdict.seeds / 2)
    return verdict.value is not None and verdict.value > verdict.threshold


def _bounds(verdict: Verdict) -> np.ndarray:
    return bounds_of(np.array([np.broadcast_to(value, 2) for value in verdict.values], float))


def _within_smallest(verdict: Verdict, level: float) -> bool:
    """Whether the interval at a level lies within the smallest effect around the threshold."""
    _, interval, _ = _interval(_bounds(verdict), verdict.scale, level)
    if interval is None or verdict.smallest is None:
        return False
    low, high = interval
    if verdict.scale == "ratio":
        ends = verdict.threshold / verdict.smallest, verdict.threshold * verdict.smallest
    else:
        ends = verdict.threshold - verdict.smallest, verdict.threshold + verdict.smallest
    return ends[0] < low and high < ends[1]
