"""Columns that lie in several places and are read like one array.

An index keeps a block per video, in the order in which the videos came. A column gives its values by row: a read of
some rows gathers those only, and `np.asarray` gives all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.integer]
"""row numbers"""
Reader = Callable[[Rows], npt.NDArray[Any]]
"""row numbers -> values"""
Places = npt.NDArray[np.int64]
"""starts of consecutive parts (V + 1,): part v has the rows first[v] to first[v + 1] - 1"""
# Values of a part, on average, below which slicing the parts takes longer than looking up each value.
_SHORT = 64


class Column(np.lib.mixins.NDArrayOperatorsMixin, ABC):
    """Base of the columns: one value per row, by row number, like a NumPy array of one dimension that is never written.

    Args:
        first: (V + 1,) row at which each part begins, and N.
        dtype: type of the values.
    """

    ndim = 1

    def __init__(self, first: Places, dtype: npt.DTypeLike) -> None:
        self.first = first
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        # Contiguous and without both ends, as it is searched for every row.
        self._inner = np.ascontiguousarray(first[1:-1])

    def take(self, rows: Rows, part: Rows | None = None) -> npt.NDArray[Any]:
        """Return the values of rows, 0 to N - 1.

        Args:
            rows: row numbers, any shape.
            part: the part of each row, if it is known.
        """
        return self.reader(self.parts(rows) if part is None else part)(rows)

    @abstractmethod
    def reader(self, part: Rows) -> Reader:
        """Return a function from rows to values, for several reads of rows in the same parts."""

    @abstractmethod
    def whole(self) -> npt.NDArray[Any]:
        """Return all values (N,)."""

    def parts(self, rows: Rows) -> Rows:
        """Return the part of each row."""
        return np.searchsorted(self._inner, rows, side="right")

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def shape(self) -> tuple[int]:
        """(N,)."""
        return (len(self),)

    @property
    def size(self) -> int:
        """N."""
        return len(self)

    def __getitem__(self, index: Any) -> Any:
        """Return values by number, slice or numbers; for anything else, as the array of all values would."""
        if isinstance(index, int | np.integer):
            row = int(index) + (len(self) if index < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"expected a row below {len(self)}, found {index}")
            return self.take(np.array([row]))[0]
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        rows = np.asarray(index)
        if rows.dtype.kind not in "iu":
            return self.whole()[index]
        if rows.size and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"expected rows below {len(self)}, found {rows.min()} to {rows.max()}")
        return self.take(np.where(rows < 0, rows + len(self), rows) if rows.size and rows.min() < 0 else rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.whole())

    def __contains__(self, value: object) -> bool:
        return value in self.whole()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All values, for NumPy's functions."""
        return np.array(self.whole(), dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute with all values."""
        plain = (np.asarray(each) if isinstance(each, Column) else each for each in inputs)
        return getattr(ufunc, method)(*plain, **options)

    def __getattr__(self, name: str) -> Any:
        """Return a method of the array of all values: `tolist`, `astype`, `min` and so on."""
        if name.startswith("_") or name in {"first", "dtype"}:
            # Not while an instance is being made.
            raise AttributeError(name)
        return getattr(self.whole(), name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as an array."""
        return np.asarray, (self.whole(),)

    def __repr__(self) -> str:
        return f"<column of {len(self):,} values, {self.dtype}>"


class Dense(Column):
    """A column that is one array."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        super().__init__(np.array([0, len(values)]), values.dtype)
        self._values = values

    def reader(self, part: Rows) -> Reader:  # noqa: ARG002
        """Return the array's own look-up."""
        return self._values.__getitem__

    def parts(self, rows: Rows) -> Rows:
        """Return no part: none is needed."""
        return rows

    def whole(self) -> npt.NDArray[Any]:
        """Return the array."""
        return self._values


class Parted(Column):
    """A column of which each part lies somewhere in one long array.

    Args:
        values: the long array.
        start: (V,) place of each part in it.
        first: (V + 1,) row at which each part begins.
        add: (V,) what is added to the values of each part; the values are then int64.
    """

    def __init__(
        self,
        values: npt.NDArray[Any],
        start: npt.NDArray[np.int64],
        first: Places,
        add: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(first, values.dtype if add is None else np.int64)
        self._values, self._start, self._add = values, start, add
        self._shift = start - first[:-1]

    def reader(self, part: Rows) -> Reader:
        """Return a function that looks up rows of known parts."""
        values, shift = self._values, self._shift[part]
        if self._add is None:
            return lambda rows: values[rows + shift]
        add = self._add[part]
        return lambda rows: values[rows + shift] + add

    def part(self, number: int) -> npt.NDArray[Any]:
        """Return the values of one part, where possible without a copy."""
        start = self._start[number]
        values = self._values[start : start + self.first[number + 1] - self.first[number]]
        return values if self._add is None else values + self._add[number]

    def whole(self) -> npt.NDArray[Any]:
        """Return a copy of all values: part by part, or all together if most parts are short."""
        total, parts = int(self.first[-1]), len(self._start)
        if total < _SHORT * parts:
            found = self.reader(np.repeat(np.arange(parts), np.diff(self.first)))(np.arange(total))
            return found.astype(self.dtype, copy=False)
        return np.concatenate([np.empty(0, self.dtype), *(self.part(v) for v in range(len(self._start)))])


class OwnOrPlace(Parted):
    """A column with values for some parts only; in the others, a row's value is its place within its part.

    Args:
        values: the long array.
        start: (V,) place of each part in it.
        first: (V + 1,) row at which each part begins.
        own: (V,) which parts have values.
    """

    def __init__(
        self, values: npt.NDArray[Any], start: npt.NDArray[np.int64], first: Places, own: npt.NDArray[np.bool_]
    ) -> None:
        super().__init__(values, start, first)
        self._own = own

    def reader(self, part: Rows) -> Reader:
        """Return a function that looks up rows of known parts."""
        if self._own.all():
            return super().reader(part)
        values, shift, first, own = self._values, self._shift[part], self.first[part], self._own[part]
        return lambda rows: np.where(own, values[np.where(own, rows + shift, 0)], rows - first)

    def part(self, number: int) -> npt.NDArray[Any]:
        """Return the values of one part."""
        if self._own[number]:
            return super().part(number)
        return np.arange(self.first[number + 1] - self.first[number], dtype=self.dtype)


class Numbers(Column):
    """The number of the part that each row is in."""

    def __init__(self, first: Places) -> None:
        super().__init__(first, np.int32)

    def reader(self, part: Rows) -> Reader:
        """Return the parts themselves."""
        own = part.astype(np.int32)
        return lambda rows: np.broadcast_to(own, np.shape(rows))

    def part(self, number: int) -> npt.NDArray[np.int32]:
        """Return the numbers of one part, which are equal."""
        return np.full(self.first[number + 1] - self.first[number], number, np.int32)

    def whole(self) -> npt.NDArray[Any]:
        """Return all numbers."""
        return np.repeat(np.arange(len(self.first) - 1, dtype=np.int32), np.diff(self.first))


class Aliased(Column):
    """A column in which some values of some parts stand for others.

    Args:
        values: the column as it is.
        part: number of the part that each row is in.
        aliases: part -> value -> the other value.
    """

    def __init__(self, values: Column, part: Rows | Column, aliases: Mapping[int, Mapping[int, int]]) -> None:
        super().__init__(values.first, values.dtype)
        self._plain, self._part = values, as_column(part)
        pairs = sorted((_packed(v, old), new) for v, own in aliases.items() for old, new in own.items())
        self._old = np.array([old for old, _ in pairs], np.int64)
        self._new = np.array([new for _, new in pairs], values.dtype)

    def take(self, rows: Rows, part: Rows | None = None) -> npt.NDArray[Any]:
        """Return the values of rows."""
        return self._with(self._plain.take(rows, part), self._part.take(rows, part))

    def reader(self, part: Rows) -> Reader:
        """Return a function that looks up rows of known parts."""
        return lambda rows: self.take(rows, part)

    def whole(self) -> npt.NDArray[Any]:
        """Return all values."""
        return self._with(self._plain.whole(), self._part.whole())

    def _with(self, values: npt.NDArray[Any], part: Rows) -> npt.NDArray[Any]:
        packed = _packed(part.astype(np.int64), values)
        at = np.minimum(np.searchsorted(self._old, packed), len(self._old) - 1)
        return np.where(self._old[at] == packed, self._new[at], values)


def _packed(part: Any, value: Any) -> Any:
    return (part << 32) + value


def as_column(values: npt.NDArray[Any] | Column) -> Column:
    """Return an array as a column."""
    return values if isinstance(values, Column) else Dense(np.asarray(values))
