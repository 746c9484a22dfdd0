"""Front door: joins the parts of a run that were trained with --shard into one workdir.

python -m randlabels.main --config=base --workdir=runs/base --shard=1/2
python -m randlabels.main --config=base --workdir=runs/base --shard=2/2
python -m randlabels.merge --workdir=runs/base

The parts, in runs/base.shards, stay as they are.
"""

from absl import flags

from randlabels import frontdoor


def main() -> None:
    """Join the parts of the run that the flag names."""
    from randlabels.states import summary
    from randlabels.training.merging import merge

    run = merge(flags.FLAGS.workdir)
    print(f"Merged: {flags.FLAGS.workdir} ({summary(run.networks)})")


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder of the whole run; made if it is not there.")
    flags.mark_flag_as_required("workdir")
    frontdoor.must_be_given("workdir")
    frontdoor.run(main)
