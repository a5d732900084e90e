"""Which setting each option of `supervised` and `semi` stands for; one table for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fertrain.config.run import RunConfig
from rmset.errors import UsageError

PLACES = {
    **dict.fromkeys(
        (
            "method", "augment", "strong", "mix", "preprocess", "channels_last", "seed", "precision", "device",
            "workers", "tensorboard", "wandb", "overwrite",
        ),
        "",
    ),
    **dict.fromkeys(
        (
            "labeled", "unlabeled", "unlabeled_fraction", "root", "scheme", "rule", "eval_rule", "labels",
            "labels_file", "balanced", "holdout", "report_on", "report_best_on_test",
        ),
        "data",
    ),
    **dict.fromkeys(("model", "image_size", "pretrained", "weights", "head", "vectors", "word"), "model"),
    **dict.fromkeys(
        (
            "epochs", "images", "batch_size", "lr", "optimizer", "schedule", "label_smoothing", "ema", "accumulate",
            "patience",
        ),
        "optim",
    ),
    **dict.fromkeys(
        ("tau", "lambda1", "lambda2", "gamma", "d", "d_far", "anchors", "candidates", "delays", "self_mask"), "rmfer"
    ),
}  # fmt: skip
"""The group of settings that each option belongs to; the options that are not here are no settings."""
NAMES = {"model": "name", "word": "words"}
"""Settings that have another name than their option."""


def settings(start: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """The start, with every option that was given.

    Args:
        start: defaults, or a recipe.
        given: every option of a command by its name; None where the user did not say.
    """
    groups: dict[str, dict[str, Any]] = {}
    for option, group in PLACES.items():
        if (value := given.get(option)) is not None:
            groups.setdefault(group, {})[NAMES.get(option, option)] = _plain(option, value)
    for one, other in (("labels", "labels_file"), ("labels_file", "labels")):
        if given.get(one) is not None and given.get(other) is None:
            # they exclude each other, and what the user says stands above the recipe's
            groups["data"][other] = None
    changes: dict[str, Any] = groups.pop("", {})
    for name, values in groups.items():
        changes[name] = replace(getattr(start, name), **values)
    config = replace(start, **changes)
    if not given["sets"]:
        return config
    from fertrain.config.serialization import changed, from_words

    return changed(config, from_words(given["sets"]), "--set")


def _plain(option: str, value: Any) -> Any:
    if option == "epochs":
        return _epochs(value)
    if isinstance(value, Path):
        return str(value)
    return tuple(value) if isinstance(value, list) else value


def _epochs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected whole numbers of epochs like 20 or 20,30,15 for --epochs, found '{text}'") from None
