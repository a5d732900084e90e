"""Probing of videos added by an earlier version again, because their frame numbers may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rmset.geometry import Box
from rmset.layout_record import Layout, Segment
from rmset.parts.numbering import VERSION
from rmset.parts.probe import probe
from rmset.progress import Progress, silent
from rmset.records import VideoRecord
from rmset.root import Root


def is_current(root: Root, video_id: str) -> bool:
    """Whether a video's frames were numbered by this version."""
    return root.record(video_id).numbering == VERSION and root.files.exists(root.frames_key(video_id))


def renumber(root: Root, video_id: str, progress: Progress = silent) -> tuple[VideoRecord, VideoRecord]:
    """Probe a video again, and write its index and record; the caller holds its lock.

    A layout is kept. If it was drawn on different frames, it is marked until it is reviewed.

    Returns:
        The old and the new record.

    Raises:
        VideoError: the file is no longer a video.
    """
    before = root.record(video_id)
    found = probe(root.video_path(video_id), progress)
    after = replace(before, **found.fields())
    with root.files.publish(root.frames_key(video_id)) as path:
        found.index.write(path)
    if root.has_layout(video_id) and (moved := _moved(before, after)):
        root.write_layout(_rescaled(root.layout(video_id), after.frame_size, moved))
    # The record comes last: until it exists, the video is probed again.
    root.write_text(root.record_key(video_id), after.to_json())
    return before, after


def _moved(before: VideoRecord, after: VideoRecord) -> str | None:
    """Return why an older layout may not fit; None if frames and pictures are unchanged."""
    reasons = []
    if before.frame_count != after.frame_count:
        reasons.append(f"the video had {before.frame_count} frames, of which a player shows {after.frame_count}")
    elif after.notes.keys() & {"timed", "restarted", "lost", "hidden"}:
        reasons.append("frames are in another order now")
    if before.frame_size != after.frame_size:
        old, new = ("x".join(map(str, r.frame_size)) for r in (before, after))
        reasons.append(f"its pictures were {old} and are {new}")
    if "mirrored" in after.notes:
        reasons.append("its pictures are mirrored now, as a player shows them")
    return "; ".join(reasons) or None


def _rescaled(layout: Layout, size: tuple[int, int], moved: str) -> Layout:
    if size == layout.frame_size:
        return replace(layout, moved=moved)
    scale = (size[0] / layout.frame_size[0], size[1] / layout.frame_size[1])
    return replace(
        layout, frame_size=size, segments=tuple(_scaled(s, scale, size) for s in layout.segments), moved=moved
    )


def _scaled(segment: Segment, scale: tuple[float, float], size: tuple[int, int]) -> Segment:
    def box(old: Sequence[float]) -> Box:
        x0, y0, x1, y1 = (v * scale[i % 2] for i, v in enumerate(old))
        return (x0, y0, min(x1, float(size[0])), min(y1, float(size[1])))

    return replace(
        segment,
        trigger_regions=tuple(replace(r, box=box(r.box)) for r in segment.trigger_regions),
        people=tuple(
            replace(p, box=box(p.box), panel=None if p.panel is None else box(p.panel)) for p in segment.people
        ),
    )
