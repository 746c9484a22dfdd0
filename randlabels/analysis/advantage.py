"""How much closer to the data's eigenvectors than to any control, of all networks together.

Single networks may have few filters, so that chance makes up most of their misalignment to every
basis. Pooled, they have many, and one value; what each network contributes to it gives the error
(the jackknife), and takes away what chance adds, in proportion to one over the number of filters.
"""

import dataclasses

import numpy as np
from scipy import stats

from randlabels.analysis.alignment_of_run import groups_of
from randlabels.analysis.learned import FirstLayerBases, first_layer_bases, learned_alignment
from randlabels.runs import Run

# All of them are alike, and none has ever been the closest control.
RANDOM_BASES = 50
NEAREST_RANDOM = "random bases"


@dataclasses.dataclass(frozen=True, eq=False)
class Advantage:
    """Misalignments to the controls less those to the data's eigenvectors, in nats.

    Attributes:
        controls: names of those that count, the nearest of the random bases last.
        pooled: difference of all networks together [control].
        single: jackknife pseudo-values [control, network], n D - (n - 1) D_i, where D_i is the
            difference without network i. Their mean is D without its bias of order 1 / n, and they
            count as n independent values (Tukey 1958; Efron and Stein 1981). NaN where the others
            together have too few filters for a covariance that can be inverted.
    """

    controls: tuple[str, ...]
    pooled: np.ndarray
    single: np.ndarray

    @property
    def hardest(self) -> str:
        """The control whose interval of differences begins lowest."""
        return self.controls[self._hardest]

    @property
    def values(self) -> np.ndarray:
        """Pseudo-values over the hardest control, [network].

        If its interval lies above 0, so do all others: that it is beaten is a test that all are,
        at the level of one (an intersection-union test, Berger 1982). That it is not, or is
        beaten by little, is after a choice among all controls, see `Claim.comparisons`.
        """
        return self.single[self._hardest]

    @property
    def _hardest(self) -> int:
        count = self.single.shape[1]
        if count < 2:
            return int(np.argmin(self.pooled))
        half = stats.t.ppf(0.975, count - 1) * stats.sem(self.single, axis=1)
        return int(np.argmin(self.single.mean(axis=1) - half))


def learned_advantage(run: Run, step: int, bases: FirstLayerBases | None = None) -> Advantage:
    """The advantage of what the first layer has learned, w_t - w_0, by a checkpoint.

    Args:
        run: whose healthy networks that differ in nothing but seeds are pooled.
        step: of the checkpoint.
        bases: from `first_layer_bases`; None measures them.

    Raises:
        InputError: as `learned_alignment`.
    """
    networks = groups_of(run)[0].networks
    others = [[other for other in networks if other != network] for network in networks]
    # A single network leaves none over: it has a difference and no pseudo-value.
    groups = [networks, *(group for group in others if group)]
    bases = bases or first_layer_bases(run)
    found = learned_alignment(run, step, groups, bases, RANDOM_BASES, flips=1).learned
    to_controls = {
        name: of for name, of in found.controls.items() if name not in found.symmetries
    } | {NEAREST_RANDOM: found.random.min(axis=1)}
    differences = np.stack([of - found.data for of in to_controls.values()])
    pooled, without = differences[:, :1], differences[:, 1:]
    count = len(networks)
    single = count * pooled - (count - 1) * without
    return Advantage(tuple(to_controls), pooled[:, 0], single)
