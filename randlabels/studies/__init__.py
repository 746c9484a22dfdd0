"""Studies: each module declares one item of the paper as stages, claims, measures and figures."""

from randlabels.studies import fig2, fig3, fig4, fig5, fig20, kernel_size, proposition1, quickstart
from randlabels.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        quickstart.STUDY,
        fig2.STUDY,
        fig3.STUDY,
        fig4.STUDY,
        fig5.STUDY,
        fig20.STUDY,
        kernel_size.STUDY,
        proposition1.STUDY,
    )
}
