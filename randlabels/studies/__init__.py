"""Studies: each module declares one item of the paper as stages, claims, measures and figures."""

from randlabels.studies import (
    activations,
    augmentation,
    datasets,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig20,
    init_ladder,
    kernel_size,
    layers,
    optimisers,
    proposition1,
    quickstart,
    table1,
)
from randlabels.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        quickstart.STUDY,
        fig1.STUDY,
        fig2.STUDY,
        fig3.STUDY,
        fig4.STUDY,
        fig5.STUDY,
        fig6.STUDY,
        fig20.STUDY,
        table1.STUDY,
        init_ladder.STUDY,
        layers.STUDY,
        kernel_size.STUDY,
        augmentation.STUDY,
        activations.STUDY,
        optimisers.STUDY,
        datasets.STUDY,
        proposition1.STUDY,
    )
}
