"""Studies: each module declares one item of the paper as stages, claims, measures and figures."""

from randlabels.studies import (
    activations,
    appendix_b,
    augmentation,
    critical,
    datasets,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig7,
    fig8,
    fig20,
    init_ladder,
    kernel_size,
    layers,
    optimisers,
    phase,
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
        fig7.STUDY,
        fig8.STUDY,
        fig20.STUDY,
        table1.STUDY,
        init_ladder.STUDY,
        layers.STUDY,
        critical.STUDY,
        kernel_size.STUDY,
        phase.STUDY,
        appendix_b.STUDY,
        augmentation.STUDY,
        activations.STUDY,
        optimisers.STUDY,
        datasets.STUDY,
        proposition1.STUDY,
    )
}
