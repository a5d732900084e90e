"""A second opinion on layouts and tracks: audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Format, FormatOption, emit, progress, say, warn
from .build import EmbedderOption, audit_step
from .options import ForceOption, JobsOption, QuietOption, RootOption, VideosArgument, find_root

if TYPE_CHECKING:
    from rmset.root import Root

_COLUMNS = ["video_id", "question", "answer", "person_id", "frame_idx", "box", "detail", "confidence"]


def audit(
    videos: VideosArgument = None,
    embedder: EmbedderOption = "auto",
    mend: Annotated[bool, typer.Option("--mend", help="Correct identities in the layout; then track again.")] = False,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Audit tracked videos: masked people, unmasked film, missed people, swapped identities.

    `track` and `build` also run the audit. Face embeddings are compared in memory and never written.

    Example: rmset audit mashup-ab12cd34 --embedder dlib
    """
    from rmset.engine import build
    from rmset.parts.identity import load

    place = find_root(root)
    chosen = place.select(videos)
    step = audit_step(embedder)
    made = load(step[1].embedder)
    say(f"embedder: {made.name} ({made.license})" if made else "embedder: none, so identities are not checked")
    with progress() as report:
        outcomes = list(build(place, chosen, [step], jobs=jobs, force=force, progress=report))
    failed = [o for o in outcomes if o.status == "failed"]
    rows = [row for video_id in chosen for row in _rows(place, video_id)]
    emit(rows, format, _COLUMNS)
    if mend:
        _mend(place, chosen)
    for outcome in failed:
        warn(f"rmset: audit: {outcome.error}")
    if failed:
        raise typer.Exit(1)


def _rows(root: Root, video_id: str) -> list[dict[str, Any]]:
    found = root.audit(video_id)
    if found is None:
        return []
    return [
        {"video_id": video_id, "question": a.question, "answer": a.answer, "person_id": a.person_id}
        | {"frame_idx": a.frame_idx, "box": None if a.box is None else ",".join(f"{v:g}" for v in a.box)}
        | {"detail": a.detail, "confidence": a.confidence}
        for a in found.answers
    ]


def _mend(root: Root, video_ids: list[str]) -> None:
    from rmset.stages.audit import mended

    for video_id in video_ids:
        with root.files.lock(video_id):
            found = root.audit(video_id)
            if found is None or not found.renames:
                continue
            layout = root.layout(video_id)
            better = mended(layout, found.renames)
            if better == layout:
                continue
            root.write_layout(better)
        say(f"{video_id}: {len(found.renames)} ids corrected in the layout; run `rmset track {video_id}`")


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(audit)
