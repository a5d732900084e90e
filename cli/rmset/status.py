"""What is done, what waits, what failed and why: status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, emit
from .fetching import emit_causes
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from rmset.root import Root
    from rmset.stages.fetch.ledger import FetchRecord


def status(
    causes: Annotated[
        bool, typer.Option("--causes", help="Only how fetching ended, the commonest causes first.")
    ] = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show what is done, what waits, what failed and why.

    The column `check` is the recall that `rmset track --check` measured.

    Example: rmset status --format csv
    """
    from rmset.pipeline import STAGES
    from rmset.stages.fetch.ledger import read_all

    place = find_root(root)
    fetched = {r.video_id: r for r in read_all(place) if not r.children}
    if causes:
        emit_causes(list(fetched.values()), format)
        return
    # An empty root says so.
    known = place.video_ids() if fetched else place.select(None)
    rows = [_row(place, video_id, fetched.get(video_id)) for video_id in sorted({*known, *fetched})]
    emit(rows, format, ["video_id", "fetch", *STAGES, "check", "why"])
    if format is Format.TABLE and any(r.status != "done" for r in fetched.values()):
        emit_causes(list(fetched.values()), format)


def _row(root: Root, video_id: str, fetched: FetchRecord | None) -> dict[str, Any]:
    from rmset.inspect.agreement import KEY, LOW
    from rmset.pipeline import STAGES

    present = root.files.exists(root.record_key(video_id))
    row: dict[str, Any] = {"video_id": video_id, "fetch": "added"}
    why = root.record(video_id).fault if present else None
    if fetched is not None:
        row["fetch"] = "done" if present else fetched.status
        if not present and fetched.cause is not None:
            why = f"{fetched.cause}: {fetched.error}"
    for stage in STAGES:
        entry = root.stage_record(stage, video_id) if present else None
        row[stage] = entry.status if entry else ("waiting" if present else None)
        if entry and entry.error and entry.error not in (why or ""):
            # What failed first is the cause; later stages only lack its result.
            why = why or entry.error
    checked = root.stage_record("track", video_id) if present else None
    recall = checked.counts.get(KEY, {}).get("recall") if checked else None
    if recall is not None and recall < LOW and not why:
        why = (
            f"tracks miss {1 - recall:.0%} of the faces that the exact detector sees; look at `rmset preview "
            f"{video_id}`, mend the layout, or track with --search panel"
        )
    return row | {"check": recall, "why": why}


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(status)
