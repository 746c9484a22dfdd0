"""Figure 5: the first layer of simple_cnn on CIFAR-10, transferred as it is and redrawn."""

from functools import partial

from randlabels.studies import transfer_study
from randlabels.studies.study import Stage, Study

LEVELS = {"real": 0.6, "random": 0.4}  # train accuracy; chance is 0.1

STUDY = Study(
    name="fig5",
    title="Transfer of a first layer trained on random labels, CIFAR-10",
    paper_item="Figure 5",
    stages=(
        Stage("upstream", "fig5_upstream", analyze=(transfer_study.LAYER,)),
        Stage("real", "fig5_real", reads="upstream"),
        Stage("random", "fig5_random", reads="upstream"),
    ),
    claims=transfer_study.claims(LEVELS, place="Section 2.4, Figure 5"),
    measures=partial(transfer_study.measure, levels=LEVELS),
    figures=transfer_study.figures,
    summary=partial(transfer_study.summary, levels=LEVELS),
)
