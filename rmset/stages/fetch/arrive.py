"""From a visit that found a video to a video of the root: download, check, copy if it must be, publish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmset.bounded import read_text
from rmset.errors import FetchError, LayoutError, RemovedError, RootError, UnreadableError
from rmset.files import sha256_of
from rmset.layout_record import Layout
from rmset.read.fingerprints import refuse_copy
from rmset.records import VideoRecord
from rmset.root import Root
from rmset.stages.fetch import cut
from rmset.stages.fetch.causes import Cause, one_line
from rmset.stages.fetch.check import check
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.take import publish
from rmset.stages.fetch.targets import Target

if TYPE_CHECKING:
    from rmset.stages.fetch.visit import Visitor

DOWNLOADS = "state/downloads"
"""where files arrive, one folder a video; not yet part of the data set"""


def has_begun(root: Root, video_id: str) -> bool:
    """Whether something of a video has arrived already, from an earlier try or run."""
    return bool(root.files.keys(f"{DOWNLOADS}/{video_id}/*"))


def forget(root: Root, video_id: str) -> None:
    """Delete the partial download of a video."""
    with suppress(RootError, OSError):
        root.files.remove(f"{DOWNLOADS}/{video_id}")


def bring(
    root: Root,
    config: FetchConfig,
    visitor: Visitor,
    target: Target,
    found: dict[str, Any],
    on_bytes: Callable[[int], None],
) -> VideoRecord:
    """Bring a video that a visit found into the root.

    Raises:
        Exception: whatever `Visitor.download` raises.
        FetchError: the file differs from its announcement.
        RootError: the root cannot be written to.
    """
    folder, entry = root.files.scratch(f"{DOWNLOADS}/{target.video_id}"), target.entry
    min_height = entry.min_height or config.min_height
    if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchError(f"the video is still being aired ({found.get('live_status') or 'is_live'})", Cause.NOT_YET)
    # A playlist's line in the manifest has no lengths of its videos.
    own_line = target.url == entry.url
    declared = (found.get("duration"), entry.duration_s if own_line else None)
    lengths = [float(s) for s in declared if isinstance(s, (int, float)) and 0 < s < 1e9]
    got = visitor.download(found, folder, min_height, on_bytes, min(lengths, default=None))
    promised = {"the host": got.info.get("duration"), "the manifest": entry.duration_s if own_line else None}
    probe = check(got.path, min_height=min_height, promised=promised, max_bytes=config.max_bytes)
    path, suffix = got.path, cut.suffix_of(got.path)
    if config.section is not None or suffix == ".ts":
        # HLS arrives as a transport stream, which tells neither its length nor where its key frames are.
        suffix = ".mp4" if suffix == ".ts" else suffix
        path = folder / f"copied{suffix}"
        cut.copy(got.path, path, config.section, config.audio)
        probe = check(path, min_height=min_height, max_bytes=config.max_bytes)
    sha256 = sha256_of(path)
    if (stone := root.removed().video(target.video_id, sha256)) is not None:
        # Nothing of a removed video stays, not even its download.
        forget(root, target.video_id)
        raise FetchError(f"removed from this data set on {stone.time[:10]}: {stone.reason}", Cause.TAKEN_OUT)
    try:
        refuse_copy(root, target.video_id, path, probe.index, config.allow_copies_of)
    except RemovedError as error:
        forget(root, target.video_id)
        raise FetchError(str(error), Cause.TAKEN_OUT) from error
    with root.files.lock(target.video_id):
        known = _known(target, got.info, config)
        video = publish(root, path, target.video_id, probe, sha256, suffix=suffix, copy=False, known=known)
    forget(root, target.video_id)
    return video


def _known(target: Target, info: dict[str, Any], config: FetchConfig) -> dict[str, Any]:
    """Return what goes into the record beside the probe: the host's words, else the manifest's."""
    from rmset.stages.fetch.visit import VERSION

    def text(*values: object) -> str | None:
        return next((one_line(str(v)) for v in values if v not in (None, "")), None)

    return {
        "title": text(info.get("title"), target.entry.title),
        "uploader": text(info.get("uploader"), info.get("uploader_id")),
        "channel": text(info.get("channel"), info.get("channel_id")),
        "license": text(info.get("license"), target.entry.license),
        "source_url": one_line(str(info.get("webpage_url") or target.url), 2000),
        "query": target.entry.query,
        "split": target.entry.split,
        "section": config.section,
        "format_id": text(info.get("format_id")),
        "yt_dlp": VERSION,
        "downloaded": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def place_layout(root: Root, video_id: str, path: Path) -> bool:
    """Give a video the layout file that its manifest names, unless it has one; return whether it was placed.

    Raises:
        LayoutError: the file is missing, is no layout, or does not fit the video.
    """
    if root.has_layout(video_id):
        return False
    try:
        layout = Layout.from_json(read_text(path), name=str(path))
    except (FileNotFoundError, UnreadableError) as error:
        raise LayoutError(f"{path}: expected a layout file, found none ({error}); correct the manifest") from error
    size = root.record(video_id).frame_size
    if layout.frame_size != size:
        raise LayoutError(f"{path}: expected a layout for {size[0]}x{size[1]}, found {layout.frame_size}; redo it")
    root.write_layout(replace(layout, video_id=video_id))
    return True
