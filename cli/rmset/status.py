"""The command `status`: finished, waiting and failed stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmset.errors import RmsetError

from ..console import Format, FormatOption, echo, emit
from .fetching import emit_causes
from .options import QuietOption, RootOption, find_root

if TYPE_CHECKING:
    from rmset.records import StageRecord
    from rmset.root import Root
    from rmset.stages.fetch.ledger import FetchRecord


def status(
    causes: Annotated[
        bool, typer.Option("--causes", help="Only outcomes of fetching, most frequent causes first.")
    ] = False,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="VIDEO", help="Details of one video's failures, with tracebacks."),
    ] = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show finished, waiting and failed stages, with reasons.

    A stage is `running` while a process works on it, and `killed` if that process is gone. The column `check` is the
    recall measured by `rmset track --check`; `confidence` is the lower of the layout's and the audit's.

    Example: rmset status --why mashup-ab12cd34
    """
    from rmset.pipeline import STAGES
    from rmset.stages.fetch.ledger import read_all

    place = find_root(root)
    fetched = {r.video_id: r for r in read_all(place) if not r.children}
    if why is not None:
        _explain(place, why, fetched.get(why), format)
        return
    if causes:
        emit_causes(list(fetched.values()), format)
        return
    # An empty root says so.
    known = place.video_ids() if fetched else place.select(None)
    rows = [_row(place, video_id, fetched.get(video_id)) for video_id in sorted({*known, *fetched})]
    emit(rows, format, ["video_id", "fetch", *STAGES, "check", "confidence", "why"])
    if format is Format.TABLE and any(r.status != "done" for r in fetched.values()):
        emit_causes(list(fetched.values()), format)


_WHY_COLUMNS = ["stage", "status", "why", "finished", "seconds", "config", "traceback"]


def _explain(root: Root, video_id: str, fetched: FetchRecord | None, format: Format) -> None:
    """Print every stage's outcome with its cause and traceback."""
    from rmset.pipeline import STAGES

    rows: list[dict[str, Any]] = []
    if fetched is not None:
        cause = f"{fetched.cause}: {fetched.error}" if fetched.cause else None
        rows.append(_why_row("fetch", fetched.status, cause, fetched.updated))
    else:
        root.select([video_id])
    for stage in STAGES:
        entry = root.stage_record(stage, video_id)
        if entry is None:
            rows.append(_why_row(stage, "waiting"))
            continue
        status = _status(root, entry)
        cause = entry.error or ("it was killed before it ended" if status == "killed" else None)
        rows.append(
            _why_row(stage, status, cause, entry.finished)
            | {"seconds": entry.seconds or None, "config": entry.config, "traceback": entry.traceback}
        )
    if format is not Format.TABLE:
        emit(rows, format, _WHY_COLUMNS)
        return
    emit(rows, format, _WHY_COLUMNS[:5], title=video_id)
    for row in rows:
        if row["traceback"]:
            echo(f"\n{row['stage']}: {row['config']}\n{row['traceback'].rstrip()}")


def _why_row(stage: str, status: str, why: str | None = None, finished: str | None = None) -> dict[str, Any]:
    empty = {"seconds": None, "config": None, "traceback": None}
    return {"stage": stage, "status": status, "why": why, "finished": finished or None} | empty


def _status(root: Root, entry: StageRecord) -> str:
    if entry.status == "running" and not root.files.is_locked(entry.video_id):
        return "killed"
    return entry.status


def _fault(root: Root, video_id: str) -> str | None:
    """Return the faults of a video's file or its records."""
    try:
        return root.record(video_id).fault
    except RmsetError as error:
        return str(error)


def _row(root: Root, video_id: str, fetched: FetchRecord | None) -> dict[str, Any]:
    from rmset.inspect.agreement import KEY, LOW
    from rmset.pipeline import STAGES

    present = root.files.exists(root.record_key(video_id))
    row: dict[str, Any] = {"video_id": video_id, "fetch": "added"}
    why = _fault(root, video_id) if present else None
    if fetched is not None:
        row["fetch"] = "done" if present else fetched.status
        if not present and fetched.cause is not None:
            why = f"{fetched.cause}: {fetched.error}"
    for stage in STAGES:
        entry = root.stage_record(stage, video_id) if present else None
        row[stage] = _status(root, entry) if entry else ("waiting" if present else None)
        if entry and entry.error and entry.error not in (why or ""):
            # The first failure is the cause; later stages only lack its result.
            why = why or entry.error
    checked = root.stage_record("track", video_id) if present else None
    check = checked.counts.get(KEY) if checked else None
    recall = check.get("recall") if isinstance(check, dict) else None
    if isinstance(recall, float) and recall < LOW and not why:
        why = (
            f"tracks miss {1 - recall:.0%} of the faces that the exact detector sees; look at `rmset preview "
            f"{video_id}`, mend the layout, or track with --search panel"
        )
    if not why and present and (moved := _moved(root, video_id)):
        why = f"its layout was drawn on other frames ({moved}); look at it in `rmset layout review` and save it"
    row["confidence"] = root.confidence(video_id) if present else None
    if not why and present:
        why = _worst(root, video_id)
    return row | {"check": recall, "why": why}


def _moved(root: Root, video_id: str) -> str | None:
    """Return why a layout may no longer fit its video; unreadable layouts are reported by their stage."""
    from rmset.errors import RmsetError

    try:
        return root.layout(video_id).moved if root.has_layout(video_id) else None
    except RmsetError:
        return None


def _worst(root: Root, video_id: str) -> str | None:
    """Return the audit's worst answer; None if all are good, or the audit cannot be read."""
    from rmset.errors import RmsetError

    try:
        found = root.audit(video_id)
    except RmsetError as error:
        return str(error)
    bad = [a for a in found.answers if a.good is False] if found else []
    if not bad:
        return None
    worst = min(bad, key=lambda a: a.confidence)
    return f"audit: {worst.question}: {worst.answer}, {worst.detail}; see `rmset audit {video_id}`"


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(status)
