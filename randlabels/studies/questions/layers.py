"""Which layers carry the gain: the first k or the last k layers taken over, for all k.

A reviewer asked for the last layers; the paper takes over the first. The head is never taken over.
"""

from collections.abc import Iterator

from randlabels.studies.declare import Claim, Drawings, Results, Study, Tables
from randlabels.studies.families import set_layers
from randlabels.studies.families.set_layers import LEVEL, TASKS, Settings
from randlabels.studies.readouts.cells import gain_rows
from randlabels.studies.readouts.gains import AHEAD, FASTER

BODY = 5  # layers of conv_net below its head: 4 convolutions and a dense one
PLACE = "A reviewer's question about Section 2.4"

# All layers count as the first ones.
SETS = (*(("first", k) for k in range(1, BODY + 1)), *(("last", k) for k in range(1, BODY)))
_CHANGES = {
    "init.arms": ("scratch", "pretrained"),
    "population.sweep": (("init.layers", tuple((f"{end}:{k}",) for end, k in SETS)),),
}


def _read(results: Results) -> Settings:
    """Gains from either end; with all layers the two are the same networks."""
    read, found = set_layers.read_settings(results, TASKS, "end"), {}
    for task, of in read.at_one_rate.items():
        all_layers = {BODY: of.start("first", BODY)}
        ways = {end: {**sets, **all_layers} for end, sets in of.ways.items()}
        found[task] = set_layers.SetLayers(of.scratch, ways)
    return Settings(found, read.at_rates)


def _claims(task: str) -> Iterator[Claim[Settings]]:
    for end, k in SETS:
        words = f"Networks that take over the {end} {k} of {BODY} layers"
        yield set_layers.faster(task, f"{end}_{k}", words, (end, k), PLACE)
    words = "the first 2 layers carry more of the gain than the last 2"
    yield set_layers.ahead(task, "first_not_last", words, ("first", 2), ("last", 2), PLACE)


def _figures(found: Settings) -> Drawings:
    """Gain against the number of layers taken over, from either end."""
    caption = (
        "Gain in training speed when the first or the last k layers are taken over from networks "
        "that learned random labels, rescaled to their norm at initialisation. With k = "
        f"{BODY} the two are the same. Lines are means over seeds, bands lowest to highest."
    )
    labels = {end: f"the {end} k layers" for end in ("first", "last")}
    return {
        "layers": (
            set_layers.gain_lines(found.at_one_rate, TASKS, labels, "layers taken over, k"),
            caption,
        )
    }


def _tables(found: Settings) -> Tables:
    """One row for each task and set of layers."""
    rows = []
    for task, title in TASKS.items():
        of = found.at_one_rate[task]
        starts = {"scratch": of.scratch} | {f"{end} {k}": of.start(end, k) for end, k in SETS}
        rows += [{"downstream": title, **row} for row in gain_rows(starts, of.scratch, LEVEL)]
    return {"gains": rows}


STUDY = Study(
    name="layers",
    title="Which layers carry the gain of pre-training on random labels",
    paper_item="A reviewer's question about Figure 5",
    stages=tuple(set_layers.transfer_stages(_CHANGES)),
    read=_read,
    claims=tuple(claim for task in TASKS for claim in _claims(task)),
    figures=_figures,
    tables=_tables,
    primary={
        "real_first_5": FASTER,
        "random_first_5": FASTER,
        "real_first_not_last": AHEAD,
        "random_first_not_last": AHEAD,
    },
    tuning=set_layers.TUNING,
)
