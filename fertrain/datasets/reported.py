"""The split that is counted: which one, under which rule, and its images."""

from __future__ import annotations

from ..contract import InputContract
from ..errors import DatasetError
from .images import ImageFiles
from .labelled import GIVEN, LabelledSet, Split, require_split
from .registry import name_and_split, open_labelled


def rule_for(data: LabelledSet, rule: str) -> str:
    """The rule asked for, or `given` for a data set that has one label per image and no rules to choose from."""
    return GIVEN if data.rules() == [GIVEN] else rule


def reported(data: LabelledSet, wanted: str | None) -> str | None:
    """The split that is counted: the one that was asked for, else test, else valid; None if neither is here."""
    return wanted or next((split for split in ("test", "valid") if split in data.splits()), None)


def open_split(data: LabelledSet, split: str, rule: str) -> Split:
    """A split under an evaluation rule.

    Raises:
        DatasetError: it is not here, or has no images that the rule keeps.
    """
    require_split(data, split)
    return require_images(data.load(split, rule_for(data, rule)))


def require_images(split: Split) -> Split:
    """Refuse a split with nothing to count: its accuracy would read 0 %, which nobody has measured."""
    if len(split) == 0:
        raise DatasetError(
            f"expected images to count in {split.dataset}:{split.split} under the rule {split.rule}, found none; put "
            "images in place, or take another split or another --eval-rule"
        )
    return split


def images_of(split: Split, contract: InputContract) -> ImageFiles:
    """Its images, decoded as the contract says."""
    return ImageFiles(split.source, split.names, contract.size, grey=contract.grey)


def open_target(on: str) -> tuple[LabelledSet, str]:
    """The data set and the split of `NAME[:SPLIT]`; without SPLIT `test` if there is one, else `valid`."""
    name, split = name_and_split(on)
    dataset = open_labelled(name)
    return dataset, reported(dataset, split) or "test"
