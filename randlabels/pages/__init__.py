"""Pages: one self-contained HTML file each, of a template in this folder and what it is told."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

_FOLDER = Path(__file__).parent


def render(template: str, **told: Any) -> str:
    """A page as text.

    Args:
        template: name of a file of this folder.
        told: what it shows; a name that it needs and is not given is an error.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(_FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**told)


def picture(source: Path | Figure) -> str:
    """A PNG file, or a figure, as an address that holds all of it."""
    if isinstance(source, Path):
        content = source.read_bytes()
    else:
        buffer = io.BytesIO()
        source.savefig(buffer, format="png")
        content = buffer.getvalue()
    return "data:image/png;base64," + base64.b64encode(content).decode()
