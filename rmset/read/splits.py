"""Train, valid and test by person: a function of seed and person, so that a removal moves no other person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

SHARES = (("train", 0.8), ("valid", 0.1), ("test", 0.1))
SplitName = Literal["train", "valid", "test"]
By = Literal["person_key", "video and person"]
PersonOfVideo = tuple[str, int]


def split_of(unit: str, seed: int) -> str:
    """Return the split of a person.

    >>> [split_of(f"video:{n}", 0) for n in range(4)]
    ['train', 'train', 'train', 'test']
    """
    digest = hashlib.sha256(f"rmset split {seed} {unit}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name, share in SHARES:
        if place < share:
            return name
        place -= share
    return SHARES[-1][0]


def splits(
    people: Iterable[PersonOfVideo], keys: Mapping[PersonOfVideo, str], seed: int
) -> tuple[dict[PersonOfVideo, str], By]:
    """Return the split of each person of a video, and the key that identifies people.

    Args:
        people: (video_id, person_id).
        keys: person over all videos of some of them; one person is in one split.
        seed: of the split.
    """
    found = {(v, p): split_of(keys.get((v, p), f"{v}:{p}"), seed) for v, p in people}
    return found, "person_key" if any(p in keys for p in found) else "video and person"
