"""docs/data.md, done as it says: from pictures in class folders to figures."""

import pytest
from carrying import carry_out, sections_of

from randlabels import load_run
from randlabels.analysis.records import load_alignment

SECTIONS = sections_of("docs/data.md")

pytestmark = pytest.mark.slow


def test_images_of_your_own(tmp_path):
    printed = carry_out(SECTIONS["Images of your own"], tmp_path)
    assert "360 training and 40 test images from photos" in printed
    assert "datasets/photos/1.0.0 is whole: 360 train images, 180 to 180 of a class" in printed
    # What the first command proposes is what the document gives, in another order of lines.
    (proposed,) = [line for line in printed.splitlines() if line.startswith("Train on random")]
    given = " ".join(SECTIONS["Images of your own"].replace("\\\n", " ").split())
    for word in proposed.split("python -m ")[1].split():
        assert word in given
    run = load_run(tmp_path / "runs" / "photos")
    assert run.config["data"]["name"] == "photos"
    assert run.metrics[-1]["train_accuracy"][0] > run.metrics[0]["train_accuracy"][0]
    assert load_alignment(tmp_path / "runs" / "photos").records
    assert list((tmp_path / "runs" / "photos" / "figures").glob("*.png"))
