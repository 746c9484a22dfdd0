"""Checks a configuration once, before anything runs; every later use may trust it.

What fields may be by themselves stands in `configs/base.py` and is checked by
`randlabels.config_rules`. What only the readers of a field know, such as the names of models or
what a data set reads, they say themselves: each rule below is one reader's.
"""

from ml_collections import ConfigDict

from randlabels.config_rules import Fields, Reader, Rule, checked
from randlabels.data.generators import check_data, generator_named
from randlabels.data.labels import check_labels
from randlabels.errors import InputError, shown
from randlabels.models import MODELS, check_model, facts_of, model_named
from randlabels.training.losses import check_loss
from randlabels.training.optimizers import check_optimizer
from randlabels.training.population import SWEEPABLE
from randlabels.transfer.arm_rules import check_arms

_MAX_STEPS = 2**31 - 1  # the count of a state is int32


def check(config: ConfigDict) -> ConfigDict:
    """Return a frozen copy of a config in which everything is known, typed and in range.

    Raises:
        InputError: one sentence that names the field and what it may be.
    """
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"{shown(config)} is no config; make one by randlabels.config('base', epochs=5)."
        )
    return checked(config, SWEEPABLE, RULES)


def _check_sizes(fields: Fields) -> dict[str, Reader]:
    """Numbers of examples and epochs have to fit together."""
    task, size = fields["train.task"], fields[f"data.{fields['train.task']}_size"]
    if fields["train.batch_size"] > size:
        raise InputError(
            f"config.train.batch_size is {fields['train.batch_size']}, but the {task} task has "
            f"only {size} examples (config.data.{task}_size)."
        )
    steps = size // fields["train.batch_size"] * fields["train.epochs"]
    if steps > _MAX_STEPS:
        raise InputError(
            f"config.train.epochs is {fields['train.epochs']}, which makes {steps} updates; a run "
            f"counts at most {_MAX_STEPS}: lower it or raise config.train.batch_size."
        )
    for name in ("train.checkpoint_epochs", "train.eval_epochs"):
        late = [epoch for epoch in fields[name] if epoch > fields["train.epochs"]]
        if late:
            raise InputError(
                f"config.{name} names epoch {late[0]}, but training ends after epoch "
                f"{fields['train.epochs']} (config.train.epochs)."
            )
    return {}


def _check_vectors(fields: Fields) -> dict[str, Reader]:
    """Some data are no images, and most models take nothing else."""
    data, generator = fields["data.name"], generator_named(fields["data.name"])
    model = model_named(fields["model.name"])
    if generator and generator.vectors and not facts_of(model).takes_vectors:
        fitting = [repr(name) for name, known in MODELS.items() if facts_of(known).takes_vectors]
        raise InputError(
            f"{data} inputs are vectors: set config.model.name to {' or '.join(fitting)}."
        )
    return {}


RULES: tuple[Rule, ...] = (
    check_data,
    check_labels,
    check_model,
    check_optimizer,
    check_loss,
    check_arms,
    _check_sizes,
    _check_vectors,
)
