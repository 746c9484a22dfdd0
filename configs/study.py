"""One stage of a study by its name, trained by itself.

    python -m randlabels.main --config=study:fig5.upstream.short --workdir=runs/fig5/upstream
    python -m randlabels.main --config=study:fig5.random.short --workdir=runs/fig5/random \\
        --config.init.run=runs/fig5/upstream

The budget is full if it is left out. What a stage comes to is shown, and not run, by

    python -m randlabels.reproduce --study=fig5 --budget=short --print_config
"""

from ml_collections import ConfigDict

from randlabels.config_rules import nearest
from randlabels.errors import InputError
from randlabels.studies import find_study
from randlabels.studies.resolve import resolve


def get_config(argument: str = "") -> ConfigDict:
    """The config of a stage, "study.stage" or "study.stage.budget".

    The earlier run that a stage reads is not known here, so config.init.run is empty.

    Raises:
        InputError: if the study, the stage or the budget is unknown.
    """
    name, _, rest = argument.partition(".")
    stage_name, _, budget = rest.partition(".")
    if not stage_name:
        raise InputError(
            f"{argument!r} is no stage of a study; name one as 'study.stage' or "
            "'study.stage.budget', such as 'fig5.random.short'."
        )
    stages = {stage.name: stage for stage in find_study(name).stages}
    if stage_name not in stages:
        hint = nearest(stage_name, tuple(stages))
        raise InputError(f"stage {stage_name!r} of study {name!r} is unknown; {hint}")
    return resolve(stages[stage_name], budget or "full")
