"""Asking questions: sql, pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, emit, say
from .options import QuietOption, RootOption, find_root

_TERMINAL_ROWS = 10_000


def sql(
    query: Annotated[str, typer.Argument(help="One select over videos, regions, people, faces, crops.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all rows to this Parquet or CSV file.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows printed at most.")] = _TERMINAL_ROWS,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run read-only SQL (DuckDB) over the data set.

    Example: rmset sql "select person_id, count(*) n from faces group by 1 order by 1"
    """
    from rmset.read.catalog import Catalog

    result = Catalog(find_root(root)).sql(query)
    if output is not None:
        count = result.write(output)
        say(f"{count} rows written to {output}")
        return
    rows = result.rows(limit + 1)
    if len(rows) > limit:
        say(f"only the first {limit:,} rows are printed; --limit prints more, -o FILE.parquet writes all")
    emit(rows[:limit], format, result.columns)


def pairs(
    anchor: Annotated[str | None, typer.Option("--anchor", help="VIDEO:PERSON:FRAME.")] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Draw so many anchors.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides what --sample draws.")] = 0,
    d: Annotated[int, typer.Option("--d", min=0, help="Positives lie within ± this many steps.")] = 5,
    d_far: Annotated[int, typer.Option("--d-far", min=0, help="Negatives lie beyond ± this many steps.")] = 30,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Of each kind, at most.")] = 50,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show the positive and negative candidates of an anchor, or of a sample of anchors.

    A step is one exported frame, so with `rmset export --stride 6` a step is 6 frames.

    Example: rmset pairs --anchor mashup-ab12cd34:0:300
    """
    import numpy as np

    from rmset.errors import UsageError
    from rmset.read.crops import CropStore
    from rmset.read.pairindex import step_of
    from rmset.read.pairs import PairSampler

    if (anchor is None) == (sample is None):
        raise UsageError("pairs: expected either --anchor VIDEO:PERSON:FRAME or --sample N")
    place = find_root(root)
    keys = CropStore(place).keys
    sampler = PairSampler(keys, d=d, d_far=d_far, max_candidates=candidates, stride=step_of(place))
    rng = np.random.default_rng(seed)
    if anchor is not None:
        rows = [keys.row(*_parse_anchor(anchor))]
    else:
        many = min(sample or 0, len(sampler.anchors))
        rows = sorted(int(r) for r in rng.choice(sampler.anchors, many, replace=False))
    result: list[dict[str, Any]] = []
    for row in rows:
        positive, negative = sampler.draw(row, rng)
        result.append(
            {
                "anchor": keys.name(row),
                "positives": [keys.name(int(r)) for r in positive],
                "negatives": [keys.name(int(r)) for r in negative],
            }
        )
    if format is not Format.JSON:
        # A table has one line per candidate.
        result = [
            {"anchor": r["anchor"], "kind": kind[:-1], "candidate": name}
            for r in result
            for kind in ("positives", "negatives")
            for name in r[kind]
        ]
        emit(result, format, ["anchor", "kind", "candidate"])
    else:
        emit(result, format, ["anchor", "positives", "negatives"])


def _parse_anchor(text: str) -> tuple[str, int, int]:
    from rmset.errors import UsageError

    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        raise UsageError(f"--anchor {text}: expected VIDEO:PERSON:FRAME, such as mashup-ab12cd34:0:300")
    return parts[0], int(parts[1]), int(parts[2])


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (sql, pairs):
        app.command()(command)
