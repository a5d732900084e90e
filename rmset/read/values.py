"""Conversion of result values to JSON and CSV, and unique column names."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def unique(names: Sequence[str]) -> list[str]:
    """Make names unique by numbering equal ones; case makes no difference, as in SQL.

    >>> unique(["x0", "y0", "x0", "X0"])
    ['x0', 'y0', 'x0_1', 'X0_2']
    >>> unique(["a", "a", "a_1"])
    ['a', 'a_2', 'a_1']
    """
    taken, given = {name.lower() for name in names}, set[str]()
    result = []
    for name in names:
        new, number = name, 0
        while new.lower() in given or (number and new.lower() in taken):
            number += 1
            new = f"{name}_{number}"
        given.add(new.lower())
        result.append(new)
    return result


def plain(value: Any) -> Any:
    """Convert a value for JSON: NaN and infinities to null, bytes to base64, times and others to text.

    >>> plain({"a": [1.5, float("nan")], "b": b"ab"})
    {'a': [1.5, None], 'b': 'YWI='}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(v) for v in value]
    if isinstance(value, Integral):
        return int(value)
    return str(value)


def csv_cell(value: Any, cell: Callable[[str], str] = str) -> Any:
    """Convert a value to a CSV cell: empty for null, JSON text for lists and structs, base64 for bytes."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return value
    found = plain(value)
    return cell(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def unchanged(batch: pa.RecordBatch, _: Callable[[str], str]) -> pa.RecordBatch:
    """Return the batch unchanged, for Parquet."""
    return batch


def csv_batch(batch: pa.RecordBatch, cell: Callable[[str], str]) -> pa.RecordBatch:
    """Convert a batch for CSV: numbers and times stay, all other columns become text."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        kind = column.type
        number = pa.types.is_primitive(kind) or pa.types.is_decimal(kind)
        if number and not pa.types.is_interval(kind) and not pa.types.is_duration(kind):
            columns.append(column)
        else:
            # each distinct text of the column is converted once
            known: dict[str, str | None] = {}
            texts = [_text(value, cell, known) for value in column.to_pylist()]
            columns.append(pa.array(texts, pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=[cell(name) for name in batch.schema.names])


def _text(value: Any, cell: Callable[[str], str], known: dict[str, str | None]) -> str | None:
    if not isinstance(value, str):
        return None if value is None else str(csv_cell(value, cell))
    if value not in known:
        known[value] = cell(value)
    return known[value]
