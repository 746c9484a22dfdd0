"""Pages: colours that can be read in both modes, tables and pictures that say what they are."""

import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from randlabels import analyze, config, load_run, train
from randlabels.analysis.records import load_alignment
from randlabels.analysis.run_analysis import page_path
from randlabels.analysis.run_page import as_text, table
from randlabels.compare import compare_weights
from randlabels.pages import render

BASE = (Path(__file__).parents[1] / "randlabels" / "pages" / "base.html").read_text()
SMALL = {
    "epochs": 2,
    "seeds": 2,
    "filters": 32,
    "upstream_size": 128,
    "downstream_size": 64,
    "test_size": 32,
    "batch_size": 32,
}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_of_black_and_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_colour_of_text_can_be_read_on_the_ground(mode):
    light, dark = re.findall(r":root \{(.*?)\}", BASE, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", light if mode == "light" else dark))
    assert {"text", "quiet", "link", "good", "bad", "same", "open", "ground"} <= set(colours)
    for name, colour in colours.items():
        if name not in ("ground", "line"):
            assert contrast(colour, colours["ground"]) >= 4.5, name


class Reader(html.parser.HTMLParser):
    """Notes pictures without words, heads without scope, and where links lead."""

    def __init__(self):
        super().__init__()
        self.wrong, self.links = [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "img" and not found.get("alt"):
            self.wrong.append(found)
        if tag == "th" and "scope" not in found:
            self.wrong.append(found)
        if tag == "a":
            self.links.append(found["href"])


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    run = train(config("base", **SMALL), tmp_path_factory.mktemp("pages") / "run")
    analyze(run, random_bases=5)
    return run.workdir


def test_the_page_of_an_analysis(analysed):
    path = page_path(analysed)
    reader = read(path.read_text())
    assert reader.wrong == []
    assert "https://arxiv.org/abs/2006.10455" in reader.links
    for link in reader.links:
        assert link.startswith("https://") or (path.parent / link).exists(), link
    run, alignment = load_run(analysed), load_alignment(analysed)
    rows = table(alignment)
    last = alignment.pooled("conv1", run.steps[-1])
    assert rows[-1]["M, data"] == f"{last.misalignment_data:.3g}"
    assert rows[-1]["epoch"] == "2"
    assert len(rows) == 2
    lines = as_text(rows).splitlines()
    assert len({line.index(column) for line in lines[:1] for column in rows[0]}) == len(rows[0])
    assert f"{last.misalignment_data:.3g}" in path.read_text()


def test_the_page_is_part_of_what_is_whole(analysed):
    from randlabels.analysis.run_analysis import is_analysed

    assert is_analysed(analysed, random_bases=5)
    text = page_path(analysed).read_text()
    page_path(analysed).write_text(text + "x")
    assert not is_analysed(analysed, random_bases=5)
    page_path(analysed).write_text(text)
    assert is_analysed(analysed, random_bases=5)


def test_what_a_page_needs_and_is_not_told_is_an_error():
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        render("run.html", title="x")


def test_what_it_is_told_is_text():
    shown = render("run.html", title="<b>", model="", data="", labels="", networks="",
                   rows=[{"a": "<i>"}], skipped=(), truncations=["<u>"], figures=[],
                   command="x & y")  # fmt: skip
    assert "<b>" not in shown.partition("</style>")[2]
    assert "&lt;i&gt;" in shown
    assert "&lt;u&gt;" in shown
    assert "x &amp; y" in shown


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [360, 1100])
def test_pages_fit_the_screen(analysed, tmp_path, width):
    """In a browser: nothing is wider than the screen, and nothing is reported on the console."""
    import numpy as np

    weights = tmp_path / "net.npz"
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 64))
    np.savez(weights, kernel=kernel)
    _, folder = compare_weights(weights, "kernel", "dead_leaves", random_bases=5)
    for path in (page_path(analysed), folder / "page.html"):
        probe = tmp_path / "probe.html"
        probe.write_text(framed(path.read_text(), width))
        done = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
             "--window-size=1200,900", "--virtual-time-budget=5000", "--dump-dom",
             f"file://{probe}"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        found, drawn = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))
        assert found <= width
        assert drawn
        assert "CONSOLE" not in done.stderr


def framed(page, width):
    """A page in a frame of this width: a window is never narrower than 500 pixels."""
    text = json.dumps(page).replace("</", "<\\/")
    return f"""<!doctype html><title>waiting</title><iframe width="{width}" height="900"
        style="border: 0"></iframe><script>
        const frame = document.querySelector("iframe");
        frame.onload = () => {{
            const page = frame.contentDocument;
            const drawn = [...page.images].every(image => image.naturalWidth > 0);
            document.title = JSON.stringify([page.documentElement.scrollWidth, drawn]);
        }};
        frame.srcdoc = {text};</script>"""
