"""The configs that come with the package: a checkout's folder `configs/` as `randlabels.configs`.

A folder `configs/` in the current directory may be the user's own, so nothing here imports that
name. In a wheel the folder itself is installed beside this file, and Python prefers it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from configs import base as base

# What makes a module a package: where its modules are.
__path__ = [str(Path(__file__).parents[1] / "configs")]
