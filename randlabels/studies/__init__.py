"""Studies: each module declares one item of the paper as stages, claims, measures and figures."""

from randlabels.studies import fig5, fig20, proposition1, quickstart
from randlabels.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (quickstart.STUDY, fig5.STUDY, fig20.STUDY, proposition1.STUDY)
}
