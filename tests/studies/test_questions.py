"""A study of an open question from start to page, on one tiny setting; what it shows is checked."""

import dataclasses
import json

import numpy as np
import pytest

from randlabels.analysis.advantage import learned_advantage
from randlabels.data.errors import DataError
from randlabels.runs import load_run
from randlabels.studies import find_study
from randlabels.studies.families.one_change import Setting, alignment_cells, question

UPSTREAM = {"optimizer.learning_rate": 0.02, "train.epochs": 3}  # beyond the last kept epoch, 2
TINY = {"model.filters": 32, "data.image_size": 8, "model.widths": (4,), "train.batch_size": 32}
STUDY = question(
    "asked",
    "A question",
    "nobody",
    (
        Setting("plain", "plain", changes=TINY, upstream=UPSTREAM),
        Setting("absent", "absent", changes={"data.name": "svhn_cropped"}, optional=True),
    ),
    primary=("plain",),
)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, run_smoke):
    """Results and reading of the study at the smoke budget; one data set is not prepared."""
    with pytest.MonkeyPatch.context() as patch:
        for reader in ("read", "measure"):
            patch.setattr(f"randlabels.data.stored.{reader}", _nothing)
        return run_smoke(STUDY, tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke[0].workdir


def _nothing(name, *_):
    raise DataError(f"{name} is not prepared.")


def test_both_runs_of_a_setting_have_its_changes(workdir):
    upstream, real = (load_run(workdir / f"plain_{kind}").config for kind in ("upstream", "real"))
    assert upstream["model"]["filters"] == real["model"]["filters"] == 32
    assert upstream["optimizer"]["learning_rate"] == 0.02
    assert real["optimizer"]["learning_rate"] != 0.02
    assert (upstream["labels"]["kind"], real["labels"]["kind"]) == ("random", "real")


@pytest.fixture(scope="module")
def reading(smoke):
    return smoke[1]


def test_values_of_claims_are_those_of_the_runs(workdir, reading):
    claimed = {claim.name: claim.of(reading) for claim in STUDY.claims}
    run = load_run(workdir / "plain_real")
    values = np.array([record["train_accuracy"] for record in run.metrics])
    arms = np.array([row.arm for row in run.networks])
    steps = [record["step"] for record in run.metrics]
    for arm in ("pretrained", "covariance"):
        ahead = values[:, arms == arm] - values[:, arms == "scratch"]
        wanted = np.trapezoid(ahead, steps, axis=0) / steps[-1]
        np.testing.assert_allclose(claimed[f"{arm}_plain"], wanted)
    upstream = load_run(workdir / "plain_upstream")
    assert len(upstream.steps) == 3
    advantage = learned_advantage(upstream, upstream.steps[-1])
    assert claimed["aligned_plain"].shape == (2,)
    np.testing.assert_allclose(claimed["aligned_plain"], advantage.values)
    assert claimed["pretrained_absent"].size == claimed["aligned_absent"].size == 0


def test_a_setting_without_its_data_set_is_left_out_and_undecided(workdir, reading):
    verdicts = json.loads((workdir / "verdicts.json").read_text())["verdicts"]
    assert {v["value"] for v in verdicts if v["name"].endswith("absent")} == {None}
    assert {v["outcome"] for v in verdicts} == {"undecided", "estimate"}  # of two seeds
    assert not (workdir / "absent_upstream").exists()
    (row,) = STUDY.tables(reading)["settings"]
    assert row["setting"] == "plain"
    page = (workdir / "report.html").read_text()
    assert row["gain, pre-trained"] in page
    assert (workdir / "figures" / "maps.png").stat().st_size > 2000


def test_the_table_shows_the_map_at_its_ends(reading):
    (row,) = STUDY.tables(reading)["settings"]
    f = np.sqrt(np.mean(np.square(reading["plain"].f_after), axis=0))
    shown = [row["at the largest"], row["f at the smallest"]]
    assert shown == [f"{value:.3f}" for value in (f[0], f[-1])]
    assert len({f"{value:.3f}" for value in f[[0, 1, -2, -1]]}) == 4


def test_singular_covariances_are_named(reading):
    singular = dataclasses.replace(reading["plain"].pooled, misalignment_data=None)
    assert alignment_cells(singular)["M(data)"] == "singular"


@pytest.mark.parametrize("name", ["augmentation", "activations", "optimisers", "datasets"])
def test_every_setting_of_a_question_claims_its_own_runs(name, reading):
    study = find_study(name)
    settings = [stage.name.removesuffix("_real") for stage in study.stages if stage.reads]
    assert len(study.claims) == 3 * len(settings)
    assert {claim.name for claim in study.claims} >= set(study.primary)
    plain = reading["plain"]
    for claim in study.claims:
        what, _, setting = claim.name.partition("_")
        others = dict.fromkeys(set(settings) - {setting}, plain)
        assert claim.of(others).size == 0
        wanted = plain.advantage.values if what == "aligned" else plain.gain(what)
        np.testing.assert_array_equal(claim.of(others | {setting: plain}), wanted)
