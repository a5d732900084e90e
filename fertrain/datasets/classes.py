"""Map the class names or numbers of a set to a label order; misspelled names are recognized.

    --classes a,b,c                    an order: names in the sequence of the head, or of the numbers from 0
    --classes 1=surprise,suprise=surprise    a mapping: class in the set = canonical name

Nothing is guessed: without this option, a numbering is accepted only if the published class counts match it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import DatasetError, LabelError
from ..labels import KNOWN_CLASSES, ORDERS, LabelOrder, canonical, order_of, order_of_set
from .published import candidates, numbers_of, recognized

Given = Sequence[str] | Mapping[str, str]
"""The option `classes`: an order, or a mapping."""


@dataclass(frozen=True)
class ClassReader:
    """Meaning of each label value of a set."""

    order: LabelOrder
    """The classes."""
    positions: Mapping[str, int]
    """Position in the order, by value as normalized by `spelled`."""
    why: str = ""
    """Reason for which a numbering was recognized; empty for names."""

    def position(self, value: object, where: str) -> int:
        """Return the position of a label's class.

        Raises:
            DatasetError: an unknown value; the message names the place.
        """
        k = self.positions.get(spelled(value))
        if k is None:
            raise DatasetError(f"expected a label of {self._known()}, found {value!r} for {where}{self._advice(value)}")
        return k

    def _known(self) -> str:
        numbers = [value for value in self.positions if _number(value) is not None]
        if numbers and len(numbers) == len(self.positions):
            return f"{numbers[0]} to {numbers[-1]}"
        return ", ".join(self.order.classes)

    def _advice(self, value: object) -> str:
        k = _number(spelled(value))
        if k == len(self.order) and "0" in self.positions:
            pairs = ",".join(f"{i}={name}" for i, name in enumerate(self.order.classes, start=1))
            return f"; if they count from 1, give `classes='{pairs}'`"
        return ""


def spelled(value: object) -> str:
    """Normalize a label: 3, 3.0 and "3.0" become "3"; names become lower case, without surrounding spaces."""
    text = str(value).strip()
    k = _number(text)
    return text.lower() if k is None else str(k)


def read_classes(
    counts: Mapping[str, Mapping[str, int]], given: Given | None, where: str, named: Sequence[str] | None = None
) -> ClassReader:
    """Return the meaning of a set's labels.

    Args:
        counts: images by label (`spelled`) by split.
        given: the option `classes`.
        where: the folder or file, for messages.
        named: names of the numbers from 0, if the file has them.

    Raises:
        LabelError: names of no known order, or numbers of unknown meaning; the message suggests a value.
        DatasetError: a class that the user did not name.
    """
    values = Counter[str]()
    for split in counts.values():
        values.update(split)
    if isinstance(given, Mapping):
        return _mapped(given, list(values), where)
    order = given or named
    # the message names the odd label, which most of the others differ from
    numbers = {v for v in values if _number(v) is not None}
    numeric = 2 * sum(values[v] for v in numbers) >= values.total()
    if order:
        classes = order_of(order)
        return ClassReader(classes, _from_zero(classes) if numeric else _by_name(classes, values))
    if not numeric:
        names = {v: canonical(v) for v in values if v not in numbers}
        found = _set_of(frozenset(names.values()), names, where)
        return ClassReader(found, _by_name(found, values))
    own = {split: {int(v): n for v, n in rows.items() if v in numbers} for split, rows in counts.items()}
    known = recognized(own)
    if known is None:
        raise LabelError(_asked({int(v) for v in numbers}, where))
    positions = {str(known.first + k): k for k in range(len(known.order))}
    return ClassReader(known.order, positions, f"label order {known.order.name}: {known.why}")


def _mapped(given: Mapping[str, str], values: Iterable[str], where: str) -> ClassReader:
    named = {spelled(value): canonical(name) for value, name in given.items()}
    # names outside the mapping keep their usual meaning
    rest = {v: canonical(v) for v in values if v not in named}
    strange = sorted(v for v, name in rest.items() if _number(v) is not None or name not in KNOWN_CLASSES)
    if strange:
        raise DatasetError(
            f"expected every class of {where} in `classes`, found no {', '.join(strange)} there; give it too, as "
            f"{strange[0]}=NAME"
        )
    classes = list(dict.fromkeys([*named.values(), *rest.values()]))
    order = _known_set(classes) if rest else order_of(classes)
    return ClassReader(order, {v: order.classes.index(name) for v, name in {**named, **rest}.items()})


def _known_set(classes: Sequence[str]) -> LabelOrder:
    try:
        return order_of_set(frozenset(classes))
    except LabelError:
        return order_of(classes)


def _from_zero(order: LabelOrder) -> dict[str, int]:
    return {str(k): k for k in range(len(order))}


def _by_name(order: LabelOrder, values: Iterable[str]) -> dict[str, int]:
    return {v: order.classes.index(canonical(v)) for v in values if canonical(v) in order.classes}


def _set_of(classes: frozenset[str], names: Mapping[str, str], where: str) -> LabelOrder:
    try:
        return order_of_set(classes)
    except LabelError as error:
        strange = sorted(v for v, name in names.items() if name not in KNOWN_CLASSES)
        meant = {v: get_close_matches(v, KNOWN_CLASSES, n=1, cutoff=0.6) for v in strange}
        if strange and all(meant.values()):
            pairs = ",".join(f"{v}={found[0]}" for v, found in meant.items())
            raise LabelError(
                f"expected the classes of a known label order in {where}, found {', '.join(strange)}; if that is "
                f"{', '.join(found[0] for found in meant.values())}, give `classes='{pairs}'`"
            ) from None
        if strange:
            pairs = ",".join(f"{v}={found[0] if found else 'NAME'}" for v, found in meant.items())
            raise LabelError(
                f"{error}, which is the sequence of the head; or give what they mean, as `classes='{pairs}'`"
            ) from None
        raise LabelError(f"{error}; found in {where}") from None


def _asked(numbers: set[int], where: str) -> str:
    """Return the message for numbers of unknown meaning, with the command that gives it."""
    advice = [
        f"{name}: `classes='"
        + ",".join(f"{k}={c}" for k, c in zip(numbers_of(name), ORDERS[name].classes, strict=True))
        + "'`"
        for name in candidates(numbers)
    ]
    if not advice:
        advice = ["`classes='" + ",".join(f"{k}=NAME" for k in sorted(numbers)) + "'`"]
    shown = ", ".join(str(k) for k in sorted(numbers)[:9])
    text = f"expected the classes that the numbers in {where} stand for, found no names beside {shown}"
    if not candidates(numbers):
        return f"{text}; give them with {advice[0]}"
    return f"{text}, and counts of no published set; say what they mean. If they are those of {'; of '.join(advice)}"


def _number(text: str) -> int | None:
    """Parse a whole number: "3", "3.0", " 3"; None for anything else."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None
