"""Published class counts, to recognize or reject a numbering of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..labels import ORDERS, LabelOrder

Counts = tuple[int, ...]
NEAR = 0.03
"""Tolerance: counts of the same release differ by a few images that were unreadable or removed later."""


PUBLISHED: dict[str, dict[str, tuple[Counts, ...]]] = {
    "fer2013": {
        "train": ((3995, 436, 4097, 7215, 4830, 3171, 4965),),
        "valid": ((467, 56, 496, 895, 653, 415, 607),),
        # the second where both test sets are one folder
        "test": ((491, 55, 528, 879, 594, 416, 626), (958, 111, 1024, 1774, 1247, 831, 1233)),
    },
    "rafdb": {"train": ((1290, 281, 717, 4772, 1982, 705, 2524),), "test": ((329, 74, 160, 1185, 478, 162, 680),)},
    "affectnet8": {"train": ((74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750),), "valid": ((500,) * 8,)},
    "affectnet7": {"train": ((74874, 134415, 25459, 14090, 6378, 3803, 24882),), "valid": ((500,) * 7,)},
    "ckplus7": {"all": ((45, 18, 59, 25, 69, 28, 83), (135, 54, 177, 75, 207, 84, 249))},
    "ckextended": {"all": ((45, 59, 25, 69, 28, 83, 593, 18),)},
}
"""Images per class by order and split ("all": over every split); CK+ with one frame and with three."""
FIRST = {"rafdb": 1, "ckplus7": 1}
"""Orders whose numbers begin at 1; the others begin at 0."""


@dataclass(frozen=True)
class Numbering:
    """A recognized numbering, with the evidence."""

    order: LabelOrder
    """The label order."""
    first: int
    """The number of its first class."""
    why: str
    """The evidence in words."""


def numbers_of(name: str) -> tuple[int, ...]:
    """Return the numbers of an order's classes."""
    first = FIRST.get(name, 0)
    return tuple(range(first, first + len(ORDERS[name])))


def near(counts: Sequence[int], published: Sequence[int]) -> bool:
    """Whether every class is within 3 % of the published count."""
    return len(counts) == len(published) and all(abs(a - b) <= NEAR * b for a, b in zip(counts, published, strict=True))


def recognized(counts: Mapping[str, Mapping[int, int]]) -> Numbering | None:
    """Return the numbering whose published counts match a set; None if none or several match.

    Args:
        counts: images by number, by split.
    """
    found: list[Numbering] = []
    whole: dict[int, int] = {}
    for of_split in counts.values():
        for number, n in of_split.items():
            whole[number] = whole.get(number, 0) + n
    for name, splits in PUBLISHED.items():
        numbers = numbers_of(name)
        if set(whole) != set(numbers):
            continue
        for split, known in splits.items():
            here = whole if split == "all" else counts.get(split, {})
            row = tuple(here.get(number, 0) for number in numbers)
            # equal counts fit any numbering
            if any(near(row, published) and len(set(published)) > 1 for published in known):
                found.append(
                    Numbering(ORDERS[name], numbers[0], f"the counts of {split} are those published of {name}")
                )
                break
    return found[0] if len({n.order.name for n in found}) == 1 else None


def candidates(numbers: set[int]) -> list[str]:
    """Orders that have exactly these numbers, for advice."""
    return [name for name in ("rafdb", "fer2013", "affectnet8", "affectnet7") if set(numbers_of(name)) == numbers]
