"""One row per face: CSV, Parquet or JSON, by the file's ending; written as predictions come.

Columns: file, frame, time_ms, face, x0, y0, x1, y1, score, label, confidence, then one per class, then person and
entropy, and smoothed_s if probabilities were averaged.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from rmset.errors import UsageError

from .predict import Prediction

SUFFIXES = (".csv", ".parquet", ".json")
_BEFORE = ("file", "frame", "time_ms", "face", "x0", "y0", "x1", "y1", "score", "label", "confidence")
_AFTER = ("person", "entropy")
_SMOOTHED = "smoothed_s"
_ROWS = 8192


def check_table(path: Path, labels: Sequence[str]) -> None:
    """Check that a table of these classes can be written.

    Raises:
        UsageError: another ending, or a class with the name of a column.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"expected a file to write that ends in {', '.join(SUFFIXES)}, found {path}")
    if path.suffix.lower() != ".csv" and (taken := [n for n in labels if n in (*_BEFORE, *_AFTER, _SMOOTHED)]):
        raise UsageError(f"expected classes with other names than the columns, found {taken[0]}; write a CSV")


def write_table(
    predictions: Iterable[Prediction], labels: Sequence[str], path: Path, suffix: str, *, smoothed: bool = False
) -> dict[str, int]:
    """Write a row per face; returns how often each class was the most probable.

    Args:
        predictions: faces, in order.
        labels: the classes.
        path: the file.
        suffix: one of `SUFFIXES`, which names the form.
        smoothed: whether to add the column that says over how long probabilities were averaged.
    """
    counts = dict.fromkeys(labels, 0)

    def rows() -> Iterator[dict[str, Any]]:
        for p in predictions:
            k = int(np.argmax(p.probabilities))
            counts[labels[k]] += 1
            yield _row(p, labels, k, smoothed)

    {".csv": _csv, ".parquet": _parquet, ".json": _json}[suffix.lower()](rows(), labels, path, smoothed)
    return counts


def _row(p: Prediction, labels: Sequence[str], top: int, smoothed: bool) -> dict[str, Any]:
    x0, y0, x1, y1 = p.box
    row: dict[str, Any] = {
        "file": named(p.frame.file), "frame": p.frame.frame, "time_ms": p.frame.time_ms, "face": p.face,
        "x0": x0, "y0": y0, "x1": x1, "y1": y1, "score": p.score, "label": labels[top],
        "confidence": p.probabilities[top],
    }  # fmt: skip
    row["classes"] = p.probabilities
    return row | {"person": p.person, "entropy": p.entropy} | ({_SMOOTHED: p.smoothed_s} if smoothed else {})


def names_of(labels: Sequence[str], *, smoothed: bool = False) -> list[str]:
    """Return the columns of a table."""
    return [*_BEFORE, *labels, *_AFTER, *((_SMOOTHED,) if smoothed else ())]


def _flat(row: dict[str, Any]) -> list[Any]:
    return [v for key, value in row.items() for v in (value if key == "classes" else (value,))]


def _csv(rows: Iterator[dict[str, Any]], labels: Sequence[str], path: Path, smoothed: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        write_csv_rows(rows, labels, stream, smoothed=smoothed)


def write_csv_rows(rows: Iterator[dict[str, Any]], labels: Sequence[str], stream: TextIO, *, smoothed: bool) -> None:
    """Write rows as CSV, with as many digits as each column has meaning."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names_of(labels, smoothed=smoothed))
    digits = {"time_ms": 3, "x0": 2, "y0": 2, "x1": 2, "y1": 2, "score": 4, "confidence": 6, "entropy": 6, _SMOOTHED: 3}
    for row in rows:
        line: list[Any] = []
        for key, value in row.items():
            if key == "classes":
                line += [f"{v:.6f}" for v in value]
            elif value is None:
                line.append("")
            else:
                line.append(f"{value:.{digits[key]}f}" if key in digits else value)
        writer.writerow(line)


def _json(rows: Iterator[dict[str, Any]], labels: Sequence[str], path: Path, smoothed: bool) -> None:
    names = names_of(labels, smoothed=smoothed)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for k, row in enumerate(rows):
            stream.write((",\n" if k else "\n") + json.dumps(dict(zip(names, _flat(row), strict=True))))
        stream.write("\n]\n")


def _parquet(rows: Iterator[dict[str, Any]], labels: Sequence[str], path: Path, smoothed: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"file": pa.string(), "label": pa.string(), "frame": pa.int64(), "face": pa.int32(), "person": pa.int32()}
    names = names_of(labels, smoothed=smoothed)
    schema = pa.schema([pa.field(name, kinds.get(name, pa.float64()) if name not in labels else pa.float64())
                        for name in names])  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="zstd", version="2.6") as writer:
        waiting: list[list[Any]] = []

        def flush() -> None:
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*waiting, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            waiting.clear()

        for row in rows:
            waiting.append(_flat(row))
            if len(waiting) == _ROWS:
                flush()
        if waiting:
            flush()


def named(file: str) -> str:
    """Return a path that spreadsheets do not read as a formula and any encoding can store; it still opens the file.

    >>> named("=sum.jpg"), named("faces/=sum.jpg")
    ('./=sum.jpg', 'faces/=sum.jpg')
    """
    text = os.fsencode(file).decode("utf-8", "backslashreplace")
    return f"./{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
