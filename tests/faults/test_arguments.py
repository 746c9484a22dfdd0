"""Command lines that once wrote where they should not, trained something else or ended in a bug."""

import sys
from unittest import mock

import pytest
from absl import flags

from randlabels import frontdoor
from randlabels.errors import InputError

# ml_collections loads config files so.
pytestmark = pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")


@pytest.fixture
def parse(capsys):
    """A function: arguments -> flags as `randlabels.main` defines and parses them."""

    def run(*arguments):
        argv, fresh = ["main", *arguments], flags.FlagValues()
        with mock.patch.object(flags, "FLAGS", fresh), mock.patch.object(sys, "argv", argv):
            frontdoor.define_config(fresh)
            flags.DEFINE_string("workdir", None, "", flag_values=fresh)
            frontdoor.must_be_given("workdir", fresh)
            frontdoor.parse(argv)
        return fresh

    return run


@pytest.mark.parametrize(
    ("arguments", "widths"),
    [
        (["--config.model.widths=(8,)", "--config.model.widths=(4,)"], (4,)),
        (["--config.model.widths", "(8,)", "-config.model.widths=4,2"], (4, 2)),
        (["--config.model.widths=8", "--config.seed=3", "--config.model.widths", "4"], (4,)),
        (["--config.model.widths=8,9"], (8, 9)),
    ],
)
def test_a_repeated_tuple_flag_replaces(parse, arguments, widths):
    assert parse("--config=base", *arguments).config.model.widths == widths


def test_the_last_of_a_repeated_tuple_in_a_flagfile_counts(parse, tmp_path):
    file = tmp_path / "flags"
    file.write_text("--config.init.arms=scratch\n--config.init.arms=orthogonal\n")
    found = parse("--config=base", f"--flagfile={file}", "--config.seed=1").config
    assert found.init.arms == ("orthogonal",)
    assert found.seed == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config=base", "--workdir="], "flag --workdir=: must name a folder"),
        (["--config=base", "--flagfile=/nonexistent"], "--flagfile=/nonexistent is no text file"),
        (["--config=base", "--flagfile=/"], "--flagfile=/ is no text file of flags"),
        (["--config=/"], "there is no file '/' for --config."),
        (["--config="], "there is no file '' for --config."),
        (["--config=" + "x" * 300], "xxx... is neither a file nor a name; it may be base"),
        (["--config=a\0b"], "is neither a file nor a name"),
        (["--config=base", "--config=vgg16"], "--config is given twice; give it once."),
        (["--config", "base", "--config", "base"], "--config is given twice; give it once."),
        (["--config=README.md"], "--config=README.md is no config: give a Python file"),
        (["--config=base", "--config.train.epochs=3.5"], "must be a whole number, not '3.5'."),
        (["--config=base", "--config.optimizer.learning_rate="], "must be a number, not ''."),
        (["--config=base", "--config.data.shuffle_pixels=so"], "must be true or false, not 'so'."),
        (["--config=base", "--config.seed=" + "9" * 5000], "flag --config.seed=999"),
    ],
)
def test_bad_arguments_are_one_sentence(parse, capsys, arguments, sentence):
    with pytest.raises(SystemExit):
        parse(*arguments)
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("randlabels: ")
    assert said.count("\n") == 1
    assert len(said) < 600


@pytest.mark.parametrize("what", ["config", "flags"])
def test_fuzzed_input_is_taken_or_refused_in_one_sentence(what):
    from benchmarks.fuzz import fuzz

    counts, failures = fuzz(what, 150, seed=5)
    assert failures == []
    assert set(counts) == {"taken", "refused"}


def test_an_address_or_file_is_no_folder(tiny_config, tmp_path):
    from randlabels.training import loop

    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    for name, why in (
        ("file", "is no folder"),
        ("file/run", "cannot be used (not a directory)"),
        ("loop", "cannot be used (too many levels of symbolic links)"),
        ("dangling", "is a link that leads nowhere"),
        ("x" * 300, "has a name of more than 255 bytes"),
        ("below/" + "x" * 300, "has a name of more than 255 bytes"),
        ("a\0b", "is no path of a folder"),
    ):
        path = tmp_path / name
        reads = {"init.run": str(path), "init.arms": ("pretrained",)}
        for changes, workdir in (({}, path), (reads, tmp_path / "run")):
            with pytest.raises(InputError) as caught:
                loop.train(tiny_config(changes), workdir)
            assert why in str(caught.value)
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
