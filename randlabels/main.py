"""Front door 1: train one run.

python -m randlabels.main --config=base --workdir=runs/base [--config.train.epochs=5 ...]

--config is a file, or the name of one in configs/; its argument follows a colon.
"""

from pathlib import Path

from absl import flags

from randlabels import frontdoor

_CONFIG = frontdoor.define_config()
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; made if it is not there.", required=True
)
_LOG = flags.DEFINE_enum(
    "log", "none", ["none", "tensorboard", "wandb"], "Metrics to one of these, too; if installed."
)
_SHARD = flags.DEFINE_string(
    "shard", "", "Part of the networks to train alone, such as 3/8; randlabels merge joins them."
)
frontdoor.define_distributed()
flags.mark_flag_as_required("config")
frontdoor.must_be_given("workdir")


def main() -> None:
    """Train the run that the flags describe."""
    # Imported late, so that a wrong flag is answered at once.
    from randlabels import hosts
    from randlabels.states import summary
    from randlabels.training.loop import train
    from randlabels.training.shards import part_of

    config, workdir = _CONFIG.value, Path(_WORKDIR.value)
    if _SHARD.value:
        config, workdir = part_of(config, workdir, _SHARD.value)
    run = train(config, workdir, _LOG.value)
    if hosts.is_first():
        print(f"Trained: {workdir} ({summary(run.networks)})")


if __name__ == "__main__":
    frontdoor.run(main)
