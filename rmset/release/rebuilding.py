"""Rebuild: the same crops from a release and the videos, whatever their hosts have made of them since."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from rmset.errors import RmsetError, RootError
from rmset.files import hash_of, sha256_of
from rmset.layout_record import Layout
from rmset.manifest import Entry
from rmset.parts.numbering import VERSION
from rmset.parts.probe import VIDEO_SUFFIXES, Probe, probe
from rmset.parts.shards import keys_of, write_faces
from rmset.pipeline import STAGES, run_stage
from rmset.progress import Progress, silent
from rmset.read.fingerprints import refuse_copy
from rmset.read.video import index_of
from rmset.records import StageRecord
from rmset.release.align import Alignment
from rmset.release.mapping import Placing, here_of, map_faces, map_layout
from rmset.release.matching import Candidate
from rmset.release.opened import Release, ReleasedVideo
from rmset.release.pull import apply, place, removed_since
from rmset.release.rebuilt import WHOLE, Rebuilt, read_outcome, write_outcome, write_rows
from rmset.release.sources import Folder
from rmset.removal.carry_out import current_stages
from rmset.root import Root
from rmset.stages import export, layout, track
from rmset.stages.export import ExportConfig
from rmset.stages.fetch.causes import RULES, Cause
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.cut import suffix_of
from rmset.stages.fetch.pace import Tell
from rmset.stages.fetch.run import Fetched, Fetching
from rmset.stages.fetch.take import publish
from rmset.stages.fetch.targets import Target

CHANGED = "changed"
"""cause of a video that is another one now, or hardly any of it"""
_LEAST_FRAMES = 0.1
"""least share of the released frames that a video must still show"""


def rebuild(
    root: Root,
    release: Path | str,
    *,
    folder: Path | str | None = None,
    fetching: FetchConfig | None = None,
    retry: frozenset[Cause] = frozenset(),
    tell: Tell | None = None,
    progress: Progress = silent,
) -> Iterator[Rebuilt]:
    """Rebuild a release in a root, video by video; yield how each ended. Finished videos are not done again.

    Args:
        root: the data set, new or of an earlier run.
        release: folder that `rmset publish` wrote.
        folder: folder with the videos; None: they are fetched from their addresses.
        fetching: settings of fetching.
        retry: final causes of failed downloads that are tried again.
        tell: called when a host asks for silence.
        progress: progress callback.

    Raises:
        RootError: the release is damaged, or the root cannot be written to.
    """
    opened = Release(Path(release))
    gone = {r.video_id for r in opened.removed if r.what == "video"}
    apply(root, opened.removed)
    work = _Rebuilding(root, opened, progress)
    todo: list[ReleasedVideo] = []
    for video_id, video in sorted(opened.videos.items()):
        if video_id in gone or root.removed().video(video_id, video.sha256, video.source_url) is not None:
            yield Rebuilt(video_id, "removed", released=video.faces, cause="by its publisher, or here")
        elif (before := work.before(video)) is not None:
            yield before
        else:
            todo.append(video)
    files = Folder(Path(folder), progress).matches(opened, todo) if folder is not None else None
    if files is not None:
        for video, path in files:
            yield work.from_file(video, path)
        return
    yield from work.fetched(todo, fetching or FetchConfig(min_height=1), retry, tell)


class _Rebuilding:
    """One run of `rebuild`."""

    def __init__(self, root: Root, release: Release, progress: Progress) -> None:
        self.root, self.release, self.progress = root, release, progress

    def before(self, video: ReleasedVideo) -> Rebuilt | None:
        """Return the outcome of an earlier run, if its files are still there."""
        found = read_outcome(self.root, video.video_id)
        if found is None or found.state not in WHOLE or found.release != self.release.digest:
            return None
        try:
            self.root.video_path(video.video_id)
            is_same = self.root.record(video.video_id).sha256 == found.sha256
            return found if is_same and export.NAME in current_stages(self.root, video.video_id) else None
        except RmsetError:
            return None

    def from_file(self, video: ReleasedVideo, path: Path | None) -> Rebuilt:
        """Rebuild a video from a file of the user's."""
        if path is None:
            return self._ended(
                Rebuilt(video.video_id, "rotted", cause="missing: no file of the folder shows it"), video
            )
        try:
            self._take(video, path)
        except (RmsetError, OSError) as error:
            return self._ended(Rebuilt(video.video_id, "failed", cause=_line(error)), video)
        return self._rebuilt(video)

    def _take(self, video: ReleasedVideo, path: Path) -> None:
        """Put a file into the root under the id of the release."""
        sha256 = sha256_of(path)
        with suppress(RmsetError):
            if self.root.record(video.video_id).sha256 == sha256 and self.root.video_path(video.video_id).exists():
                return
        found: Probe = probe(path, self.progress)
        refuse_copy(self.root, video.video_id, path, found.index, (), self.progress)
        suffix = path.suffix.lower() if path.suffix.lower() in VIDEO_SUFFIXES else suffix_of(path)
        known = {"license": video.license, "source_url": video.source_url}
        with self.root.files.lock(video.video_id):
            publish(self.root, path, video.video_id, found, sha256, suffix=suffix, copy=False, known=known)

    def fetched(
        self, videos: list[ReleasedVideo], config: FetchConfig, retry: frozenset[Cause], tell: Tell | None
    ) -> Iterator[Rebuilt]:
        """Fetch videos and rebuild each as it arrives."""
        named: dict[str, ReleasedVideo] = {}
        wanted: list[Target] = []
        for video in videos:
            if video.source_url is None:
                cause = "missing: no address is known; give a folder with --from"
                yield self._ended(Rebuilt(video.video_id, "rotted", cause=cause), video)
                continue
            named[video.video_id] = video
            wanted.append(Target(video.video_id, video.source_url, Entry(video.source_url)))
        run = Fetching(self.root, config, retry=retry, tell=tell, progress=self.progress)
        for outcome in run.visits(wanted):
            found = named.pop(outcome.record.video_id, None)
            if found is not None:
                yield self._rebuilt(found) if outcome.video is not None else self._ended(_unfetched(outcome), found)
        for video in named.values():
            yield self._ended(Rebuilt(video.video_id, "failed", cause="not fetched: run again"), video)

    def _ended(self, outcome: Rebuilt, video: ReleasedVideo) -> Rebuilt:
        released = outcome.released or video.faces
        outcome = replace(outcome, released=released, release=self.release.digest)
        with suppress(RootError):
            write_outcome(self.root, outcome)
        return outcome

    def _rebuilt(self, video: ReleasedVideo) -> Rebuilt:
        """Rebuild a video whose file is in the root; a failure is its outcome."""
        try:
            return self._ended(self._work(video), video)
        except (RmsetError, OSError, ValueError) as error:
            return self._ended(Rebuilt(video.video_id, "failed", cause=_line(error)), video)

    def _work(self, video: ReleasedVideo) -> Rebuilt:
        root, video_id = self.root, video.video_id
        if read_outcome(root, video_id) is None and (
            root.has_layout(video_id) or root.files.exists(root.tracks_key(video_id))
        ):
            raise RootError(
                f"video {video_id}: expected one that was rebuilt from a release, found layout or tracks of your own; "
                "rebuild in another --root"
            )
        record, faces = root.record(video_id), self.release.faces(video_id)
        drawn = self.release.layout(video_id)
        config, mapped = video.export, faces
        here = faces["frame_idx"].to_numpy()
        outcome = Rebuilt(video_id, "identical", frames=1.0, sha256=record.sha256)
        if (record.sha256, record.numbering) != (video.sha256, video.numbering) or record.numbering != VERSION:
            found = self._aligned(video)
            if found is None:
                return replace(outcome, state="rotted", cause=f"{CHANGED}: its frames are others", frames=0.0)
            at, placing = found
            share = at.frames / video.frame_count
            outcome = replace(
                outcome, state="equivalent", offset_s=round(at.offset_ms / 1000, 4), tempo=at.tempo,
                scale=round(math.sqrt(placing.scale[0] * placing.scale[1]), 5), bits=round(at.bits, 3),
                margin=round(at.margin, 3), frames=round(share, 5),
            )  # fmt: skip
            if share < _LEAST_FRAMES:
                return replace(outcome, state="rotted", cause=f"{CHANGED}: {share:.1%} of its frames are left")
            faces, config = _selected(faces, config)
            config = replace(config, grid=placing.grid(video.frame_size, config.grid))
            index = index_of(root, video_id)
            assert index is not None
            drawn, segments = map_layout(drawn, at, placing, record.frame_size)
            mapped = map_faces(faces, at, placing, index.time_ms, segments)
            here = here_of(at, faces["frame_idx"].to_numpy())
            since = removed_since(root, video_id, faces)
            gone = {n: map_faces(faces.filter(mask), at, placing, index.time_ms, segments) for n, _, mask in since}
        else:
            since = removed_since(root, video_id, faces)
            gone = {n: faces.filter(mask) for n, _, mask in since}
        people = {each.person_id for _, each, _ in since if each.what == "person"}
        with root.files.lock(video_id):
            # After a kill, layout and tracks are known to come from a release.
            write_outcome(root, replace(outcome, state="failed", cause="interrupted: run again"))
            write_rows(root, video_id, faces, here)
            if gone:
                place(root, video_id, gone)
                mapped = _without(mapped, pa.concat_tables(gone.values()))
                drawn = _without_people(drawn, people)
            self._write(video, drawn, mapped)
        done = run_stage(root, video_id, export.NAME, config, progress=self.progress)
        if done.status == "failed":
            raise RootError(done.error or "the export failed")
        released = len(faces) - sum(int(mask.sum()) for _, _, mask in since)
        return replace(outcome, faces=len(mapped), released=released, crops=int(done.counts.get("crops", 0)))

    def _aligned(self, video: ReleasedVideo) -> tuple[Alignment, Placing] | None:
        """Return the best alignment of the file in the root, with the whole frame or inside black bars."""
        root = self.root
        index = index_of(root, video.video_id)
        assert index is not None
        file = Candidate(root.video_path(video.video_id), index, self.progress)
        return file.match(self.release.frames(video.video_id), video.frame_size)

    def _write(self, video: ReleasedVideo, drawn: Layout, faces: pa.Table) -> None:
        """Write layout and tracks, and what the ledger says of them; the caller holds the video's lock."""
        root, video_id = self.root, video.video_id
        root.write_layout(drawn)
        with root.files.publish(root.tracks_key(video_id)) as path:
            write_faces(path, faces)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        counts = {"faces": faces.num_rows, "people": len(np.unique(faces["person_id"].to_numpy()))}
        for name in (layout.NAME, track.NAME):
            settings = video.configs[name]
            outputs = {key: root.files.sha256(key) for key in STAGES[name].writes(root, video_id)}
            entry = StageRecord(
                name, video_id, "done", hash_of(settings), STAGES[name].reads(root, video_id), outputs,
                counts if name == track.NAME else {}, settings, finished=now,
            )  # fmt: skip
            root.write_stage_record(entry)


def _selected(faces: pa.Table, config: ExportConfig) -> tuple[pa.Table, ExportConfig]:
    """Return the faces that the release exported, and settings that export all of them.

    Strides and sizes are of the released frames: in another encoding they would choose other faces.
    """
    neutral = replace(config, stride=1, min_size=0, min_score=0, max_per_person=0)
    if neutral == config:
        return faces, config
    return faces.filter(export.chosen(faces, config)), neutral


def _without(faces: pa.Table, gone: pa.Table) -> pa.Table:
    return faces.filter(~np.isin(keys_of(faces), keys_of(gone)))


def _without_people(drawn: Layout, people: set[int | None]) -> Layout:
    segments = (replace(s, people=tuple(p for p in s.people if p.person_id not in people)) for s in drawn.segments)
    return replace(drawn, segments=tuple(segments))


def _unfetched(outcome: Fetched) -> Rebuilt:
    """Return the outcome of a video that its host did not give."""
    record = outcome.record
    cause = record.cause or Cause.UNKNOWN
    state = "removed" if cause is Cause.TAKEN_OUT else "failed" if RULES[cause].next_run else "rotted"
    return Rebuilt(record.video_id, state, cause=f"{cause}: {record.error or 'no reason'}")  # type: ignore[arg-type]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
