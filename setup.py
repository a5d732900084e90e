"""Packages, found. The folder `cli` is installed as `rmset_cli`, which pyproject.toml cannot say of what it finds."""

from setuptools import find_packages, setup

ours = find_packages(include=["rmset", "rmset.*", "fertrain", "fertrain.*"])
cli = [name.replace("cli", "rmset_cli", 1) for name in find_packages(include=["cli", "cli.*"])]
setup(packages=ours + cli)
