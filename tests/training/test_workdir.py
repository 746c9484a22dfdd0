"""The records beside the checkpoints, and which workdirs are refused."""

import json

import pytest

from randlabels.errors import InputError
from randlabels.training import loop, workdir
from randlabels.training.check import check


def test_another_config_is_refused_with_the_fields_that_differ(tiny_config, tmp_path):
    workdir.write_config(tmp_path, check(tiny_config()))
    workdir.claim(tmp_path, check(tiny_config()))
    other = check(
        tiny_config({"optimizer.learning_rate": 0.2, "model.widths": (9,), "labels.seed": 4})
    )
    with pytest.raises(InputError) as error:
        workdir.claim(tmp_path, other)
    sentence = str(error.value)
    assert "config.optimizer.learning_rate: 0.05 there, 0.2 here" in sentence
    assert "config.model.widths: [5] there, [9] here" in sentence
    assert "config.labels.seed: 0 there, 4 here" in sentence
    assert sentence.count(" there, ") == 3


def test_a_field_that_only_one_side_has_differs(tiny_config, tmp_path):
    workdir.write_config(tmp_path, check(tiny_config()))
    saved = json.loads((tmp_path / "config.json").read_text())
    saved["data"]["colour"] = "blue"
    del saved["train"]["precision"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError) as error:
        workdir.claim(tmp_path, check(tiny_config({"train.precision": "bfloat16"})))
    assert "config.data.colour: 'blue' there, '(absent)' here" in str(error.value)
    assert "config.train.precision: 'float32' there, 'bfloat16' here" in str(error.value)


def test_a_run_of_a_version_without_a_field_continues_where_the_field_has_its_default(
    tiny_config, tmp_path
):
    workdir.write_config(tmp_path, check(tiny_config()))
    saved = json.loads((tmp_path / "config.json").read_text())
    del saved["model"]["dropout"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    workdir.claim(tmp_path, check(tiny_config()))
    with pytest.raises(InputError, match="config.model.dropout: 0.0 there, 0.5 here"):
        workdir.claim(tmp_path, check(tiny_config({"model.dropout": 0.5})))


def test_a_workdir_that_cannot_be_made_is_refused(tiny_config, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below" / "run"):
        with pytest.raises(InputError, match="is no folder; give one|cannot be used .not a dir"):
            loop.train(tiny_config(), path)


@pytest.mark.parametrize("content", [b'{"seed": 0', b"\xff\xfe\x00", b""])
def test_a_damaged_config_is_refused(tiny_config, tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match="config.json is damaged"):
        workdir.claim(tmp_path, check(tiny_config()))


def test_claim_writes_nothing(tiny_config, tmp_path):
    workdir.claim(tmp_path / "a" / "b", check(tiny_config()))
    assert list(tmp_path.iterdir()) == []


def test_status_keeps_the_time_of_the_start(tmp_path):
    workdir.write_status(tmp_path, "running")
    path = tmp_path / "status.json"
    status = json.loads(path.read_text())
    path.write_text(json.dumps(status | {"started": "2001-01-01T00:00:00+00:00"}))
    workdir.write_status(tmp_path, "done", diverged=[3])
    status = json.loads(path.read_text())
    assert status["started"] == "2001-01-01T00:00:00+00:00"
    assert (status["state"], status["diverged"]) == ("done", [3])
    assert set(status["versions"]) == set(workdir.PACKAGES)
    assert len(status["devices"]) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
