"""Reading of a run's workdir, without any of the code that trained it.

run = randlabels.load_run("runs/base")
kernels = run.params(run.steps[-1], layer="conv1")["conv1"]["kernel"]   # [network, 3, 3, 3, 48]
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from randlabels import hosts, proofs, records
from randlabels.disk import sentence_about
from randlabels.errors import InputError
from randlabels.folders import check_folder
from randlabels.networks import Network
from randlabels.states import counts

CHECKPOINTS = "checkpoints"

MENDED = "the command that trained it mends it."


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """A workdir that training wrote.

    Attributes:
        workdir: its path.
        config: the configuration, as a nested dict.
        networks: the network table, one record for each network.
        metrics: one record for each evaluated epoch, with arrays [network].
        status: state (running, interrupted, done, lost, failed), how many networks are in which
            state, versions, devices, times.
        steps: of the checkpoints, ascending, in completed updates.
    """

    workdir: Path
    config: dict[str, Any]
    networks: tuple[Network, ...]
    metrics: list[dict[str, Any]]
    status: dict[str, Any]
    steps: tuple[int, ...]

    def __repr__(self) -> str:
        return (
            f"Run({str(self.workdir)!r}: {self.status.get('state')}, "
            f"{len(self.networks)} networks, {len(self.metrics)} evaluations, "
            f"checkpoints of steps {list(self.steps)})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from randlabels.tables import run_html

        return run_html(self)

    def frame(self) -> Any:
        """The metrics as a pandas DataFrame in long form, see `tables.run_frame`."""
        from randlabels.tables import run_frame

        return run_frame(self)

    def plot(self, metric: str = "train_accuracy") -> Any:
        """A figure of one metric over training, see `figures.run_curves.plot`."""
        from randlabels.figures import run_curves

        return run_curves.plot(self, metric)

    def params(
        self, step: int, networks: Sequence[int] | None = None, layer: str | None = None
    ) -> dict[str, Any]:
        """Parameters of one checkpoint as a nested dict of NumPy arrays, leading axis `network`.

        Args:
            step: one of `steps`.
            networks: which networks (rows of the table); None is all.
            layer: only the layer of this path, such as "conv1" or "group1_block1/conv1"; None is
                all.

        Raises:
            InputError: if there is no such step or layer, or the checkpoint is damaged.
        """
        if step not in self.steps:
            raise InputError(
                f"{self.workdir} has no checkpoint of step {step}; it has {list(self.steps)}."
            )
        prefix = "params/" if layer is None else f"params/{layer}/"
        tree = read_state(self.workdir / CHECKPOINTS / str(step), prefix).get("params", {})
        if not tree:
            raise InputError(f"{self.workdir} has no layer {layer!r}.")
        if networks is None:
            return tree
        return jax.tree.map(lambda x: x[np.asarray(networks)], tree)

    @property
    def healthy_networks(self) -> list[int]:
        """The networks that neither diverged nor died (see `randlabels.states`)."""
        return [row.network for row in self.networks if row.healthy]

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch (the remainder of the examples is dropped)."""
        size = self.config["data"][f"{self.config['train']['task']}_size"]
        return size // self.config["train"]["batch_size"]


def load_run(workdir: str | Path) -> Run:
    """Open the workdir of a run; one that is being trained may be read too.

    Raises:
        InputError: if the folder holds no run, or one whose files do not fit each other, or if
            checkpoints were trained on different data.
    """
    check_folder("the run", workdir)
    workdir = Path(workdir)
    try:
        try:
            files, metrics = _read_checked(workdir)
        except ValueError:  # a run that goes on just now takes its records back
            files, metrics = _read_checked(workdir)
        networks = tuple(Network.from_json(row) for row in files.networks)
        settled = files.status["state"] in proofs.FINISHED
        if settled and files.status.get("networks") not in (None, counts(networks)):
            raise ValueError("status.json does not fit networks.json")
    except FileNotFoundError as error:
        there = Path(workdir).exists()
        lacks = f"{Path(error.filename).name} is missing" if there else "there is no such folder"
        raise InputError(
            f"{workdir} holds no run ({lacks}); give the workdir "
            f"of a training run, or give the command that trained it again."
        ) from error
    except ValueError as error:  # not JSON, not text, or of another form
        raise InputError(
            f"The records of {workdir} are damaged ({error}); the command that trained it mends "
            f"them."
        ) from error
    except OSError as error:
        raise InputError(sentence_about(error, workdir) or f"{workdir}: {error}") from error
    proofs.check_origins(workdir, files.metas)
    return Run(workdir, files.config, networks, metrics, files.status, checkpoint_steps(workdir))


def _read_checked(workdir: Path) -> tuple[proofs.Files, list[dict[str, Any]]]:
    files = _read_files(workdir)
    return files, proofs.check_records(files)


def _read_files(workdir: Path) -> proofs.Files:
    """The records of a run. What a training run writes meanwhile comes after what is read first."""
    config, status = (records.read_json(workdir / name) for name in ("config.json", "status.json"))
    metas = readable_metas(workdir)
    steps = checkpoint_steps(workdir)  # after the metas: none of them may be missing here
    networks = records.read_json(workdir / "networks.json")
    metrics = records.read_bytes(workdir / "metrics.jsonl")
    return proofs.Files(config, networks, status, metrics, steps, metas)


def readable_metas(workdir: Path) -> dict[int, dict[str, Any]]:
    """{step: meta} of the checkpoints below a workdir whose meta is whole."""
    metas = {}
    for step in checkpoint_steps(workdir):
        with contextlib.suppress(InputError):
            metas[step] = read_meta(workdir / CHECKPOINTS / str(step))
    return metas


def checkpoint_steps(workdir: Path) -> tuple[int, ...]:
    """The steps of the committed checkpoints below a workdir, ascending."""
    folder = workdir / CHECKPOINTS
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(int(name) for name in names if _names_step(name)))


def _names_step(name: str) -> bool:
    """Whether a folder's name is that of a step: 7, but not 007."""
    return name.isascii() and name.isdigit() and name == str(int(name))


def newest_intact_step(workdir: Path, wanted: int = -1) -> int:
    """The newest step whose checkpoint is whole, or `wanted` if it is given and whole.

    Damaged checkpoints that are passed over are named in a warning.

    Raises:
        InputError: if there is no whole checkpoint, or not the wanted one.
    """
    steps = checkpoint_steps(workdir)
    if wanted >= 0 and wanted not in steps:
        raise InputError(f"{workdir} has no checkpoint of step {wanted}; it has {list(steps)}.")
    for step in [wanted] if wanted >= 0 else reversed(steps):
        try:
            read_state(workdir / CHECKPOINTS / str(step))
        except InputError as error:
            if wanted >= 0:
                raise
            logging.getLogger("absl").warning("%s Trying the one before.", error)
        else:
            return step
    raise InputError(f"{workdir} has no intact checkpoint; train it (again) with its config.")


def read_meta(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: step, epoch, digests, and of the records at its time.

    Raises:
        InputError: if it is missing or damaged, or the checkpoint is not of the step of its name.
    """
    try:
        meta = records.read_json(checkpoint / "meta" / "metadata")
    except (OSError, ValueError) as error:
        raise InputError(
            f"The checkpoint {checkpoint} cannot be read ({type(error).__name__}); {MENDED}"
        ) from error
    try:
        return proofs.opened(meta, int(checkpoint.name))
    except (ValueError, KeyError) as error:
        raise InputError(f"The checkpoint {checkpoint} is damaged ({error}); {MENDED}") from error


def read_state(checkpoint: Path, prefix: str = "") -> dict[str, Any]:
    """Read the leaves of a checkpoint whose path starts with `prefix` ("params/conv1/").

    Orbax restores flipped bytes silently, so every leaf is compared with the digest that was
    written beside it.

    Returns:
        A nested dict of NumPy arrays.

    Raises:
        InputError: if the checkpoint is missing, damaged or cut short.
    """
    digests = read_meta(checkpoint)["digests"]
    path = checkpoint.resolve()
    try:
        # Orbax warns that shardings are not given; NumPy arrays have none.
        alone = hosts.orbax_options()
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        with _quiet_orbax(), ocp.Checkpointer(handler, multiprocessing_options=alone) as reader:
            tree = reader.metadata(path / "state").item_metadata.tree
            names = _leaf_names(tree)
            wanted = jax.tree.map(
                lambda name, leaf: leaf if name.startswith(prefix) else ocp.PLACEHOLDER, names, tree
            )
            arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            restored = reader.restore(
                path / "state", args=ocp.args.PyTreeRestore(item=wanted, restore_args=arguments)
            )
    except Exception as error:  # Orbax raises bare Exception, KeyError, ValueError and more
        raise InputError(
            f"The checkpoint {checkpoint} cannot be read (a file of it is missing or "
            f"damaged, {type(error).__name__}); {MENDED}"
        ) from error
    kept = {k: v for k, v in named_leaves(restored).items() if v is not ocp.PLACEHOLDER}
    for name in {*kept, *(name for name in digests if name.startswith(prefix))}:
        if name not in kept or digest(kept[name]) != digests.get(name):
            raise InputError(f"The checkpoint {checkpoint} is damaged (digest of {name}); {MENDED}")
    return _nest(kept)


def named_leaves(tree: Any) -> dict[str, Any]:
    """{path: leaf} of a tree, such as {"params/conv1/kernel": array}."""
    return dict(zip(jax.tree.leaves(_leaf_names(tree)), jax.tree.leaves(tree), strict=True))


def digest(array: Any) -> str:
    """SHA-256 of an array's shape, dtype and bytes (C order)."""
    array = np.ascontiguousarray(array)
    header = f"{array.shape} {array.dtype}".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def _leaf_names(tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), tree
    )


def _nest(leaves: dict[str, Any]) -> dict[str, Any]:
    """Turn {"a/b": x} into {"a": {"b": x}}."""
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *folders, last = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = leaf
    return tree


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
    """No warnings, and no tracebacks beside the exception where a file is cut short.

    Orbax raises for the first array that fails and closes its event loop, to which the other
    arrays, still being read, then report in vain.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    # It stays: such a report comes when the garbage of a read is freed, that is at any time.
    logging.getLogger("asyncio").addFilter(_of_others)
    with without_closed_loops():
        try:
            yield
        except Exception:
            time.sleep(0.1)  # for reports that the loop is closed; they come within 2 ms
            raise
        finally:
            logger.setLevel(level)


@contextlib.contextmanager
def without_closed_loops() -> Iterator[None]:
    """Without the reports of Orbax's event loop, which nobody raises, that it is closed.

    After a failure they stay silenced: they come when its garbage is freed, that is at any time.
    """
    hook = sys.unraisablehook
    if getattr(hook, "func", None) is _report_but_closed_loops:
        yield
        return
    sys.unraisablehook = functools.partial(_report_but_closed_loops, hook)
    yield
    sys.unraisablehook = hook


def _report_but_closed_loops(hook: Callable[[Any], Any], unraisable: Any) -> None:
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _of_others(record: logging.LogRecord) -> bool:
    """Whether a report is not about a failed read that nobody waits for."""
    error = record.exc_info[1] if record.exc_info else None
    return "never retrieved" not in record.getMessage() or "OCDBT" not in str(error)
