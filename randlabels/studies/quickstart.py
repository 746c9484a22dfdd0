"""Every effect of the paper in minutes on a CPU, on dead-leaves images (paper.md section 7)."""

from functools import partial

from randlabels.studies import transfer_study
from randlabels.studies.study import Stage, Study

LEVELS = {"real": 0.6, "random": 0.5}  # train accuracy; chance is .2 and .1

STUDY = Study(
    name="quickstart",
    title="What networks learn from random labels, on dead-leaves images",
    paper_item="Figures 2, 4 and 5",
    stages=(
        Stage("upstream", "quickstart_upstream", analyze=(transfer_study.LAYER,)),
        Stage("real", "quickstart_real", reads="upstream"),
        Stage("random", "quickstart_random", reads="upstream"),
    ),
    claims=transfer_study.claims(LEVELS, place="Section 2.4, Figure 5"),
    measures=partial(transfer_study.measure, levels=LEVELS),
    figures=transfer_study.figures,
    summary=partial(transfer_study.summary, levels=LEVELS),
)
