"""Shares of a list for several machines: `3/16` is the third of sixteen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rmset.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """One of several shares; together they are the whole list, each item once."""

    number: int
    """1 to `of`"""
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read `3/16`.

        Raises:
            UsageError: it is no such text, or there is no such share.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"--part {text[:40]}: expected a share such as 3/16, from 1/16 to 16/16; correct it")
        return cls(int(found[1]), int(found[2]))

    def take(self, items: Sequence[T]) -> Sequence[T]:
        """Return every `of`-th item: neighbors, which are often alike in length, go to different machines.

        >>> [Share(number, 3).take("abcdefg") for number in (1, 2, 3)]
        ['adg', 'be', 'cf']
        """
        return items[self.number - 1 :: self.of]
