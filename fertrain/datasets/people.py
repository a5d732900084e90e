"""The people of a set that names its subjects: all images pooled, and whole people dealt to disjoint sides.

tuning      people on whom rates are chosen; the same for every seed, so that no seed reports on them
unlabeled   people of the mashups; they have two expressions or more
test        people never seen in training
labeled     everybody else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rmset.errors import UsageError

from ..errors import DatasetError
from .base import LabeledSet, Split

TUNING, UNLABELED, TEST, LABELED = "tuning", "unlabeled", "test", "labeled"
SIDES = (UNLABELED, LABELED, TUNING, TEST)


@dataclass(frozen=True)
class Shares:
    """Shares of the people of a set; the labeled side gets the rest."""

    unlabeled: float = 0.5
    tuning: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        given = (self.unlabeled, self.tuning, self.test)
        if not all(0 <= share < 1 for share in given) or not 0 < sum(given) < 1:
            raise UsageError(
                f"expected shares of people from 0 to 1 that leave some for the labeled side, found {self.unlabeled:g} "
                f"unlabeled, {self.tuning:g} tuning, {self.test:g} test"
            )


def pooled(data: LabeledSet, use: str) -> Split:
    """Return all images of a set that names its subjects, sorted by name, without images of unknown subjects.

    Args:
        data: the set.
        use: what the subjects are for, for the message.

    Raises:
        UsageError: the set does not name its subjects.
    """
    parts = [data.load(split, data.rules()[0]) for split in data.splits()]
    if len(data.rules()) > 1 or any("subject" not in part.groups for part in parts):
        raise UsageError(
            f"expected a set that names its subjects for {use} (ckplus, jaffe, ferg, or a table with a column "
            f"subject), found {data.name}"
        )
    names = [name for part in parts for name in part.names]
    kinds = [kind for kind in parts[0].groups if all(kind in part.groups for part in parts)]
    whole = replace(
        parts[0], split="all", names=tuple(names), targets=np.concatenate([part.targets for part in parts]),
        groups={kind: tuple(of for part in parts for of in part.groups[kind]) for kind in kinds},
    )  # fmt: skip
    return whole.take(np.argsort(np.asarray(names, dtype=np.str_), kind="stable"))


def of_known_people(whole: Split) -> Split:
    """Leave out images whose subject is not known: the readers give them their own name as subject."""
    rows = [i for i, (name, who) in enumerate(zip(whole.names, whole.groups["subject"], strict=True)) if name != who]
    return whole.take(rows)


def expressions_of(whole: Split) -> dict[str, int]:
    """Count the expressions of each person; people in alphabetical order."""
    shown: dict[str, set[int]] = {}
    for who, k in zip(whole.groups["subject"], whole.classes.tolist(), strict=True):
        shown.setdefault(who, set()).add(k)
    return {who: len(shown[who]) for who in sorted(shown)}


def deal(expressions: Mapping[str, int], shares: Shares, seed: int) -> dict[str, str]:
    """Assign every person to one side.

    Args:
        expressions: number of expressions of each person.
        shares: shares of the people, rounded; at least two each, in sets of less than nine people one for tuning and
            test. No tuning people for the share 0.
        seed: of the draw; the tuning people do not depend on it.

    Raises:
        DatasetError: too few people, or too few who have two expressions.
    """
    people = sorted(expressions)
    # retrieval among other people needs two
    least = 2 if len(people) >= 9 else 1
    tuning = max(least, round(shares.tuning * len(people))) if shares.tuning else 0
    test = max(least, round(shares.test * len(people)))
    unlabeled = max(2, round(shares.unlabeled * len(people)))
    if tuning + test + unlabeled >= len(people):
        raise DatasetError(
            f"expected {tuning + test + unlabeled + 1} people or more ({unlabeled} unlabeled, {tuning} for tuning, "
            f"{test} for the test, 1 with labels), found {len(people)}"
        )
    order = [people[i] for i in np.random.default_rng(21).permutation(len(people))]
    side = dict.fromkeys(order[:tuning], TUNING)
    rest = [order[tuning + i] for i in np.random.default_rng([seed, 22]).permutation(len(order) - tuning)]
    # a panel that never changes its expression has no negatives
    varied = [who for who in rest if expressions[who] > 1]
    if len(varied) < 2:
        raise DatasetError(f"expected two people or more with two expressions for the mashups, found {len(varied)}")
    side |= dict.fromkeys(varied[:unlabeled], UNLABELED)
    rest = [who for who in rest if who not in side]
    side |= {who: TEST if i < test else LABELED for i, who in enumerate(rest)}
    return {who: side[who] for who in people}
