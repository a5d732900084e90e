"""Query commands: sql, pairs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import printed
from ..console import Format, FormatOption, emit, progress, say
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from rmset.read.result import Result

_TERMINAL_ROWS = 10_000


def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="One select over videos, segments, regions, people, faces, crops; a prompt if omitted."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all rows to this Parquet or CSV file.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows to print.")] = _TERMINAL_ROWS,
    memory: Annotated[
        str, typer.Option("--memory", help="Memory for a query, such as 8GB; larger sorts and joins use the disk.")
    ] = "2GB",
    csv_guard: Annotated[
        bool,
        typer.Option(
            "--csv-guard/--no-csv-guard",
            help="In CSV, put an apostrophe before texts that a spreadsheet would run as formulas.",
        ),
    ] = True,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run read-only SQL (DuckDB) over the data set.

    Without a query it opens a prompt with history and completion; a query may also come through a pipe.

    Example: rmset sql "select person_id, count(*) n from faces group by 1 order by 1"
    """
    import pyarrow  # noqa: F401  (imported here so that its memory does not count for the query)

    from rmset.read import limits
    from rmset.read.catalog import Catalog

    catalog = Catalog(find_root(root), memory=memory)
    for line in catalog.left_out:
        say(line)
    cell = printed.cell if csv_guard else str

    def answer(text: str, fmt: Format, file: Path | None) -> None:
        _answer(catalog.sql(text), fmt, file, limit, cell)

    try:
        with limits.within(catalog.memory):
            if query is not None:
                answer(query, format, output)
            elif sys.stdin.isatty():
                from .prompt import loop

                loop(catalog, answer)
            else:
                answer(sys.stdin.read().strip().rstrip(";"), format, output)
    except (KeyboardInterrupt, SystemExit):
        catalog.close()
        raise


def _answer(result: Result, fmt: Format, output: Path | None, limit: int, cell: Callable[[str], str]) -> None:
    if output is not None:
        say(f"{result.write(output, cell):,} rows written to {output}")
        return
    rows = result.rows(limit + 1)
    if len(rows) > limit:
        say(f"only the first {limit:,} rows are printed; --limit prints more, -o FILE.parquet writes all")
    emit(rows[:limit], fmt, result.columns, cell=cell)


def pairs(
    anchor: Annotated[str | None, typer.Option("--anchor", help="VIDEO:PERSON:FRAME.")] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Number of anchors to draw.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All anchors; needs -o.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draws.")] = 0,
    d: Annotated[float, typer.Option("--d", min=0, help="Positives are within ± this distance.")] = 5,
    d_far: Annotated[float, typer.Option("--d-far", min=0, help="Negatives are beyond ± this distance.")] = 30,
    unit: Annotated[str, typer.Option("--unit", help="Unit of --d and --d-far: frames, steps or seconds.")] = "steps",
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Most candidates of each kind.")] = 50,
    same_segment: Annotated[
        bool, typer.Option("--same-segment", help="Positives from the anchor's segment only.")
    ] = False,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="Reviewed segments only.")] = False,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Leave out crops that `rmset duplicates` found to be like another.")
    ] = False,
    min_sharpness: Annotated[float | None, typer.Option("--min-sharpness", help="Leave out blurred crops.")] = None,
    min_brightness: Annotated[
        float | None, typer.Option("--min-brightness", help="Leave out dark ones, 0 to 1.")
    ] = None,
    max_yaw: Annotated[float | None, typer.Option("--max-yaw", help="Leave out turned heads, 0 to 1.")] = None,
    max_padding: Annotated[float | None, typer.Option("--max-padding", help="Leave out padded crops, 0 to 1.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write pairs to this Parquet file.")] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Print the positive and negative candidates of an anchor or of a sample of anchors, or write all.

    A step is one exported frame, so with `rmset export --stride 6` a step is 6 frames.

    Example: rmset pairs --anchor mashup-ab12cd34:0:300
    """
    import numpy as np

    from rmset.errors import UsageError
    from rmset.read.arrange import PairRule
    from rmset.read.crops import CropStore
    from rmset.read.pairindex import Quality, open_sampler, step_of
    from rmset.read.pairs import drawn, write

    if sum((anchor is not None, sample is not None, everything)) != 1:
        raise UsageError("pairs: expected one of --anchor VIDEO:PERSON:FRAME, --sample N or --all")
    if everything and output is None:
        raise UsageError("pairs --all: expected -o FILE.parquet, found none; millions of pairs are not for a terminal")
    place = find_root(root)
    # The stride matters only for steps; with other units, videos of different strides may be mixed.
    rule = PairRule(d, d_far, unit, step_of(place) if unit == "steps" else 1, same_segment)  # type: ignore[arg-type]
    with progress() as report:
        store = CropStore(place, progress=report)
        quality = Quality(min_sharpness, min_brightness, max_yaw, max_padding, reviewed, distinct)
        sampler = open_sampler(store, rule, quality, max_candidates=candidates, progress=report)
        rng = np.random.default_rng(seed)
        if anchor is not None:
            rows = np.array([store.keys.row(*_parse_anchor(anchor))])
        elif everything:
            rows = np.asarray(sampler.anchors)
        else:
            many = min(sample or 0, len(sampler.anchors))
            rows = np.sort(sampler.anchors[rng.choice(len(sampler.anchors), many, replace=False)])
        if output is not None:
            count = write(sampler, rows, rng, output, report)
            say(f"{count:,} pairs of {len(rows):,} anchors written to {output}")
            return
    name = store.keys.name
    result: list[dict[str, Any]] = [
        {"anchor": name(row), "positives": [name(int(r)) for r in p], "negatives": [name(int(r)) for r in n]}
        for row, p, n in drawn(sampler, rows, rng)
    ]
    if format is Format.JSON:
        emit(result, format, ["anchor", "positives", "negatives"])
        return
    # A table has one line per candidate.
    lines = [
        {"anchor": r["anchor"], "kind": kind[:-1], "candidate": candidate}
        for r in result
        for kind in ("positives", "negatives")
        for candidate in r[kind]
    ]
    emit(lines, format, ["anchor", "kind", "candidate"])


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
