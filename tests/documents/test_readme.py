"""Every command and snippet of README.md runs as it stands, but for sizes; flags of all documents.

Sizes are made small by flags behind the command, which the last of counts; commands that would
download are looked at for their flags alone.
"""

import re
import shlex

import numpy as np
import pytest
from carrying import ROOT, run
from PIL import Image

from randlabels import load_run

TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.partition("  #")[0].strip()
    for language, text in BLOCKS
    if language in ("", "sh")
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith("python -m")
]
INLINE = re.findall(r"`(python -m randlabels\.[^`]*)`", TEXT)
OTHERS = [
    command
    for name in ("method", "results", "theory", "faq", "faults")
    for command in re.findall(
        r"python -m (?:randlabels|benchmarks)\.[^`\n]*", (ROOT / "docs" / f"{name}.md").read_text()
    )
]
SMALLER = {
    "randlabels.main": "--config.train.epochs=2 --config.population.seeds=2",
    "randlabels.analyze": "--random_bases=5",
    "randlabels.reproduce": "--print_config",
    "randlabels.data.prepare": "",
    "randlabels.document": "--check",
    "randlabels.merge": "",
}
# Of the user's own, or from the network.
STAND_INS = {
    "FOLDER_OF_CLASS_FOLDERS": "pictures",
    "--size=64": "--size=8 --data_dir=datasets",
    "model.safetensors": "model.npz",
    "--data=cifar10": "--data=dead_leaves",
}
DOWNLOADS = ("--name=cifar10",)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands run one after another, with pictures and weights of somebody."""
    found = tmp_path_factory.mktemp("readme")
    (found / "randlabels").symlink_to(ROOT / "randlabels")
    (found / "configs").symlink_to(ROOT / "configs")
    (found / "examples").symlink_to(ROOT / "examples")
    (found / "benchmarks").symlink_to(ROOT / "benchmarks")
    rng = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (found / "pictures" / label).mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(found / "pictures" / label / f"{i}.png")
    weight = rng.normal(size=(64, 3, 3, 3)).astype(np.float32)
    np.savez(found / "model.npz", **{"conv1.weight": weight})
    return found


def small(command):
    module = command.split()[2]
    for given, here in STAND_INS.items():
        command = command.replace(given, here)
    return f"{command} {SMALLER[module]}"


def test_the_commands_run_one_after_another(folder):
    ran = [command for command in COMMANDS if not any(word in command for word in DOWNLOADS)]
    assert len(ran) >= 5
    for command in ran:
        run(small(command), folder)
    assert load_run(folder / "runs" / "fine").status["state"] == "done"
    assert (folder / "runs" / "base" / "analysis" / "alignment.json").exists()
    assert (folder / "datasets" / "photos").is_dir()
    assert (folder / "model-conv1.weight-alignment" / "page.html").exists()


def test_flags_of_every_command_are_known(folder):
    """Of those that would download or take hours: the help of the module names each flag."""
    helps = {}
    assert len(OTHERS) >= 5
    for command in [*COMMANDS, *INLINE, *OTHERS]:
        _, _, module, *arguments = shlex.split(command)
        if arguments and module not in helps:
            helps[module] = run(f"python -m {module} --help", folder)
        for argument in arguments:
            name = argument.partition("=")[0]
            if name.startswith("--config."):
                assert f"{name.removeprefix('--config.')} = " in helps[module], command
            else:
                assert f"{name} " in helps[module].replace("\n", " "), command


def test_the_studies_of_the_table_exist(folder):
    studies = [command for command in INLINE if "--study" in command]
    assert len(studies) >= 4
    for command in studies:
        named = re.search(r"--study=(\w+)", command)[1]
        assert named in run(small(command), folder)


def test_the_snippets_of_python_run(folder):
    first, second, *_ = [text for language, text in BLOCKS if language == "python"
                         and "randlabels" in text]  # fmt: skip
    code = first.replace("epochs=40", "epochs=2, seeds=2").replace("runs/base", "runs/snippet")
    run(f"python - <<'END'\n{code}\nEND", folder)
    assert (folder / "misalignment.png").stat().st_size > 5000
    code = second.replace("run.frame()", "# run.frame()")
    run(f"python - <<'END'\n{code}\nassert kernels.ndim == 5\nEND", folder)
