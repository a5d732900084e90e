"""Every label order of the field, in one place.

Papers, data sets and checkpoints number the same seven or eight expressions differently. So every head carries a
named order, and heads are permuted between orders by class name, never by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import LabelError

_ALIASES = {
    "happy": "happiness", "joy": "happiness", "sad": "sadness", "angry": "anger", "surprised": "surprise",
    "fearful": "fear", "afraid": "fear", "disgusted": "disgust", "contemptuous": "contempt", "non-face": "nf",
}  # fmt: skip


def canonical(name: str) -> str:
    """Translate a folder's name for a class to the field's noun: "Happy" -> "happiness"."""
    plain = name.strip().lower()
    return _ALIASES.get(plain, plain)


@dataclass(frozen=True)
class LabelOrder:
    """Class names in the order of a head's outputs."""

    name: str
    """Name of the order: a key of `ORDERS`, or "custom"."""
    classes: tuple[str, ...]
    """Canonical class names; output k of a head means `classes[k]`."""

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise LabelError(f"a label order needs two classes or more, found {list(self.classes)}")
        if len(set(self.classes)) != len(self.classes):
            raise LabelError(f"every class of a label order is named once, found {list(self.classes)}")

    def __len__(self) -> int:
        return len(self.classes)


def _order(name: str, classes: str) -> LabelOrder:
    return LabelOrder(name, tuple(classes.split()))


ORDERS: dict[str, LabelOrder] = {
    order.name: order
    for order in (
        # fer2013new.csv, columns 3 to 10
        _order("ferplus", "neutral happiness surprise sadness anger disgust fear contempt"),
        # the same file with its two non-emotion columns
        _order("ferplus-votes", "neutral happiness surprise sadness anger disgust fear contempt unknown nf"),
        # fer2013.csv, column "emotion", 0 to 6
        _order("fer2013", "anger disgust fear happiness sadness surprise neutral"),
        # AffectNet's expression numbers 0 to 7; the seven-class protocol leaves contempt out
        _order("affectnet8", "neutral happiness sadness surprise fear disgust anger contempt"),
        _order("affectnet7", "neutral happiness sadness surprise fear disgust anger"),
        # RAF-DB basic, list_patition_label.txt, 1 to 7
        _order("rafdb", "surprise fear disgust happiness sadness anger neutral"),
        # CK+ emotion files, 0 to 7
        _order("ckplus", "neutral anger contempt disgust fear happiness sadness surprise"),
        # the same without the neutral first frames; also the folders of CK+48
        _order("ckplus7", "anger contempt disgust fear happiness sadness surprise"),
        # ckextended.csv (Kaggle's CK+), column "emotion", 0 to 7
        _order("ckextended", "anger disgust fear happiness sadness surprise neutral contempt"),
        # FERG's folders by name
        _order("ferg", "anger disgust fear happiness neutral sadness surprise"),
    )
}


KNOWN_CLASSES = frozenset(name for order in ORDERS.values() for name in order.classes) - {"unknown", "nf"}
"""Every expression of the field's label orders."""


def order_of(classes: Sequence[str]) -> LabelOrder:
    """Make the order of a *list* of classes, in the list's own sequence.

    A list equal to a known order takes its name, any other is called "custom".
    """
    names = tuple(canonical(c) for c in classes)
    for order in ORDERS.values():
        if order.classes == names:
            return order
    return LabelOrder("custom", names)


def order_of_set(classes: frozenset[str]) -> LabelOrder:
    """Find the known order for an *unordered* set of classes, as a folder of class folders gives them.

    Several known orders hold the same classes; the first in `ORDERS` is taken, which is safe because the order is
    stored with the weights. Unknown sets are refused, because their numbering would be documented nowhere.
    """
    names = frozenset(canonical(c) for c in classes)
    for order in ORDERS.values():
        if frozenset(order.classes) == names:
            return order
    raise LabelError(
        f"expected the classes of a known label order, found {', '.join(sorted(names))}; "
        "give their order with `fertrain datasets add … --classes a,b,c`"
    )


def permutation(source: Sequence[str], target: Sequence[str]) -> list[int]:
    """Position of each class of `target` in `source`: `source[p[k]] == target[k]`.

    `logits[:, p]` turns a head in the order of `source` into one in the order of `target`. Classes that only
    `source` has are left out (eight classes to seven); classes that only `target` has are refused.
    """
    position = {canonical(name): k for k, name in enumerate(source)}
    missing = [name for name in target if canonical(name) not in position]
    if missing:
        raise LabelError(
            f"expected a model that knows {', '.join(target)}; it was trained without {', '.join(missing)}; "
            "train on a data set with these classes, or evaluate on one without them"
        )
    return [position[canonical(name)] for name in target]
