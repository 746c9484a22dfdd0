"""The packages; everything else is in setup.cfg, which cannot add one to those it finds."""

from setuptools import find_packages, setup

# The folder `configs/` is installed as randlabels.configs (package_dir in setup.cfg).
setup(packages=[*find_packages(include=["randlabels", "randlabels.*"]), "randlabels.configs"])
