"""`fertrain.train`: from settings, each given by its own name, to a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from rmset._dataset import AnyRoot, Dataset, root_of
from rmset.errors import UsageError
from rmset.progress import Progress, Say, bars, quiet
from rmset.root import Root

from ._run import Run
from .config.run import RunConfig, start_for
from .config.serialization import changed
from .errors import UnknownNameError
from .run_folder import new_path
from .training import experiment

__all__ = ["train"]


def train(
    config: RunConfig | None = None,
    *,
    labeled: str | None = None,
    unlabeled: AnyRoot = None,
    method: str | None = None,
    out: Path | str | None = None,
    progress: Progress | bool | None = None,
    say: Say = quiet,
    **settings: Any,
) -> Run:
    """Train, choose the epoch on a held-out part, evaluate once, and write the run folder.

    Without a config, the defaults are those of the commands: `fertrain supervised` without unlabeled images, else
    `fertrain semi`. The same settings give the same weights; an interrupted run resumes in the same `out`.

    Args:
        config: all settings; the other arguments override it.
        labeled: a name of `fertrain datasets list`, or KIND:PATH.
        unlabeled: a data set, its folder as a `Path`, or a name: `rmset`, `rmset:PATH`, `rest`, another labeled set.
        method: `supervised`, `rmfer`, `fixmatch`, …; default with unlabeled images: RMFER.
        out: the run folder; a new one below `runs` if omitted.
        progress: None for bars in a terminal or notebook, False for none, or a callback.
        say: callback for one-line messages, such as `print`.
        settings: any setting by its own name (`epochs=5`, `lr=1e-3`, `image_size=64`, `tau=0.1`), or a group
            (`optim=fertrain.OptimConfig(...)`, `optim={"lr": 1e-3}`); `model` also takes a network's name.

    Raises:
        UsageError: an unknown name, or settings that contradict each other.
        RmsetError: unreadable or unfitting data or weights, or a loss that is not finite.

    >>> run = fertrain.train(labeled="ferplus", scheme="cel", model="resnet10t", image_size=32, epochs=1,
    ...                      batch_size=16, precision="fp32", out="runs/example", overwrite=True)
    >>> run.metrics["n"]
    15
    """
    given: dict[str, Any] = {"labeled": labeled, "unlabeled": unlabeled, "method": method, "out": out}
    given = {name: value for name, value in given.items() if value is not None} | settings
    if config is None:
        config = start_for(given.get("method", "supervised" if unlabeled is None else "rmfer"))
    config = _with(config, given)
    if not config.data.labeled:
        raise UsageError("expected a labeled set, found none; give `labeled`")
    config = replace(config, out=config.out or str(new_path(config)))
    with bars(progress) as report:
        return Run(experiment.run(config, report, say).folder)


def _with(config: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """Change settings of a config by their own names, whichever group they belong to."""
    config = changed(config, {"method": given["method"]}, "train") if "method" in given else config
    own = config.method.replace("-", "_")
    groups = ["data", "model", "optim", *([own] if hasattr(config, own) else [])]
    places = {field.name: ("", field.name) for field in fields(config)}
    for group in groups:
        for field in fields(getattr(config, group)):
            places.setdefault(field.name, (group, field.name))
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in places:
            raise UnknownNameError("setting", name, places)
        group, field_name = places[name]
        if is_dataclass(value) and isinstance(value, type(getattr(config, name, None))):
            whole: dict[str, Any] = {name: value}
            config = replace(config, **whole)
        elif name == "model" and isinstance(value, str):
            changes.setdefault("model", {})["name"] = value
        elif group:
            changes.setdefault(group, {})[field_name] = _plain(name, value)
        elif isinstance(value, Mapping):
            changes.setdefault(name, {}).update(value)
        else:
            changes[name] = _plain(name, value)
    return changed(config, changes, "train")


def _plain(name: str, value: Any) -> Any:
    """Convert a value to what a config holds: names and paths as text, one number of epochs as a tuple."""
    if name == "unlabeled" and isinstance(value, (Dataset, Root, Path)):
        return f"rmset:{root_of(value).path}"
    if name == "epochs" and isinstance(value, int):
        return (value,)
    return str(value) if isinstance(value, Path) else value
