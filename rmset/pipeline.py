"""Stages and their dependencies: decide by the ledger which stage runs, and run it.

The unit of work is `(root, video_id, stage config) -> record`, a pure function of its inputs, so any engine can map it.
Running a finished stage again does nothing; a changed config or input runs it again.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import cv2

from rmset.bounded import SMALL
from rmset.code_versions import code_version
from rmset.errors import LayoutError, RmsetError, RootError
from rmset.fields import settings_of
from rmset.files import hash_of
from rmset.inspect import agreement
from rmset.inspect.verify import Finding
from rmset.parts.early import EarlyCrops
from rmset.progress import Progress, silent
from rmset.records import StageRecord, VideoRecord
from rmset.root import Root
from rmset.stages import audit, export, layout, track
from rmset.stages.audit import AuditConfig
from rmset.stages.export import ExportConfig
from rmset.stages.fetch import renumber
from rmset.stages.layout import ProposeConfig
from rmset.stages.track import TrackConfig

Config = ProposeConfig | TrackConfig | AuditConfig | ExportConfig
# Most characters of a traceback in the ledger; the end is kept.
_LONGEST_TRACE = 20_000
# Most corrections of a layout's ids by the audit; each costs another tracking.
_ROUNDS = 3

Work = Callable[..., Mapping[str, float | str]]
"""(root, video_id, config, progress), and for a stage that shares crops: `early`"""


@dataclass(frozen=True)
class Stage:
    """One stage: inputs, outputs, and how to run it."""

    name: str
    work: Work
    reads: Callable[[Root, str], str]
    """hash of everything except the config that determines the result"""
    writes: Callable[[Root, str], list[str]]
    """keys of the files written by the stage"""
    keeps: Callable[[Root, str], bool] | None = None
    """whether there is a result that the stage must not replace"""
    shares_crops: bool = False
    """whether it cuts crops for a later stage, or uses those of an earlier one"""


def _file_hash(root: Root, key: str, most: int | None = None) -> str:
    return root.files.sha256(key, most) if root.files.exists(key) else "missing"


def _layout_hash(root: Root, video_id: str) -> str:
    # One that is no small file is refused: hashing a terabyte takes hours.
    return _file_hash(root, root.layout_key(video_id), SMALL)


def _code(stage: str, record: VideoRecord) -> list[int]:
    """Return the version of the program that counts for a video; version 1 had none in its hashes."""
    return [version] if (version := code_version(stage, record)) > 1 else []


def _layout_reads(root: Root, video_id: str) -> str:
    record = root.record(video_id)
    return hash_of([record.sha256, *_code(layout.NAME, record)])


def _removals(root: Root, video_id: str) -> list[str]:
    """Hash of a video's removals, in a list; empty for videos without removals."""
    stones = [(t.what, t.person_id, t.time) for _, t in root.removed().of(video_id)]
    return [hash_of([*stones, _file_hash(root, root.removed_key(video_id))])] if stones else []


def _track_reads(root: Root, video_id: str) -> str:
    record = root.record(video_id)
    inputs = [record.sha256, _layout_hash(root, video_id), *_code(track.NAME, record), *_removals(root, video_id)]
    return hash_of(inputs)


def _export_reads(root: Root, video_id: str) -> str:
    tracked, record = _track_reads(root, video_id), root.record(video_id)
    return hash_of([tracked, _file_hash(root, root.tracks_key(video_id)), *_code(export.NAME, record)])


STAGES: dict[str, Stage] = {
    layout.NAME: Stage(
        layout.NAME, layout.propose, _layout_reads, lambda r, v: r.files.keys(r.layout_key(v)), layout.is_manual
    ),
    track.NAME: Stage(
        track.NAME, track.run, _track_reads, lambda r, v: r.files.keys(r.tracks_key(v)), shares_crops=True
    ),
    audit.NAME: Stage(audit.NAME, audit.run, _export_reads, lambda r, v: r.files.keys(r.audit_key(v))),
    export.NAME: Stage(
        export.NAME,
        export.run,
        _export_reads,
        lambda r, v: r.files.keys(f"{r.crops_key(v)}/*.parquet"),
        shares_crops=True,
    ),
}


# In the order in which stages follow one another.
_CONFIGS: dict[str, type[ProposeConfig] | type[TrackConfig] | type[AuditConfig] | type[ExportConfig]] = {
    layout.NAME: ProposeConfig,
    track.NAME: TrackConfig,
    audit.NAME: AuditConfig,
    export.NAME: ExportConfig,
}


@dataclass(frozen=True)
class Outcome:
    """Outcome of one stage of one video."""

    video_id: str
    stage: str
    status: str
    """`done`, `already done`, `kept` or `failed`"""
    counts: dict[str, Any]
    seconds: float
    error: str | None = None


def check_tracks(root: Root, video_id: str, frames: int, progress: Progress = silent) -> Outcome:
    """Compare a video's tracks with the exact detector on `frames` whole frames, and record the agreement.

    The agreement is part of the track record, and is removed when the video is tracked again.
    """
    began = time.monotonic()
    try:
        with root.files.lock(video_id):
            record = root.stage_record(track.NAME, video_id)
            if record is None or record.status != "done":
                raise RootError(f"video {video_id}: has no tracks to check; run `rmset track {video_id}` first")
            found = agreement.agreement(root, video_id, frames, progress)
            root.write_stage_record(replace(record, counts=record.counts | {agreement.KEY: found.as_counts()}))
    except Exception as failure:
        return Outcome(video_id, agreement.KEY, "failed", {}, time.monotonic() - began, _cause(failure))
    return Outcome(video_id, agreement.KEY, "done", found.as_counts(), time.monotonic() - began)


PROBE = "probe"


def probe_again(root: Root, video_id: str, progress: Progress = silent) -> Outcome | None:
    """Add frame numbers to a video of an earlier version; None if that is done already, or impossible.

    If it is impossible, the next stage fails with the reason.
    """
    began = time.monotonic()
    try:
        with root.files.lock(video_id):
            if renumber.is_current(root, video_id):
                return None
            before, after = renumber.renumber(root, video_id, progress)
            moved = root.layout(video_id).moved if root.has_layout(video_id) else None
    except Exception:
        return None
    counts: dict[str, Any] = {"frames": after.frame_count}
    if before.frame_count != after.frame_count:
        counts["frames before"] = before.frame_count
    counts |= after.notes
    if moved:
        counts["layout"] = f"kept; check it: {moved}"
    return Outcome(video_id, PROBE, "done", counts, time.monotonic() - began)


def run_stage(
    root: Root,
    video_id: str,
    name: str,
    config: Config,
    *,
    force: bool = False,
    progress: Progress = silent,
    early: EarlyCrops | None = None,
) -> Outcome:
    """Run one stage on one video, unless the ledger shows that nothing has changed since it was done.

    With `early`, tracking cuts crops for an export that follows, which then need not decode the video.

    Whatever goes wrong with the video is recorded and returned, not raised: other videos go on. The ledger is written
    under the video's lock only: a run that was refused the lock leaves no trace.
    """
    began = time.monotonic()
    try:
        with root.files.lock(video_id), _one_opencv_thread():
            return _run_locked(root, video_id, STAGES[name], config, force, progress, early)
    except RmsetError as refusal:
        return Outcome(video_id, name, "failed", {}, time.monotonic() - began, str(refusal))


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Let OpenCV work in the thread that calls it: small pictures cost up to a fifth more in several."""
    usual = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(usual)


def _run_locked(
    root: Root, video_id: str, stage: Stage, config: Config, force: bool, progress: Progress, early: EarlyCrops | None
) -> Outcome:
    began = time.monotonic()
    before = root.stage_record(stage.name, video_id)
    standing = before.standing if before is not None else None
    settings = settings_of(config)
    entry = StageRecord(stage.name, video_id, "running", hash_of(settings), "", config=settings, last_done=standing)
    try:
        if not renumber.is_current(root, video_id):
            renumber.renumber(root, video_id, progress)
        if _is_kept(root, video_id, stage, force):
            return Outcome(video_id, stage.name, "kept", {}, 0.0)
        entry = replace(entry, input_hash=stage.reads(root, video_id))
        if before and standing and not force and _still_holds(root, before, entry):
            if before is not standing:
                root.write_stage_record(standing)
            return Outcome(video_id, stage.name, "already done", standing.counts, 0.0)
        if stage.name in (layout.NAME, track.NAME):
            root.removed().refuse_unplaced(video_id)
        # After a kill between new files and new entry, the old entry must not confirm the new files.
        root.write_stage_record(entry)
        shared = {"early": early} if stage.shares_crops else {}
        counts = dict(stage.work(root, video_id, config, progress, **shared))
        outputs = {key: root.files.sha256(key) for key in stage.writes(root, video_id)}
        entry = replace(entry, status="done", outputs=outputs, counts=counts, last_done=None)
    except Exception as failure:
        # Whatever one video provokes must not stop the others; the cause is kept as it was.
        entry = replace(entry, status="failed", error=_cause(failure), traceback=_trace(failure))
    seconds = time.monotonic() - began
    entry = replace(entry, finished=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(seconds, 3))
    try:
        root.write_stage_record(entry)
    except RootError as failure:
        # A full disk fails the stage and then its ledger entry; the first cause is the one to tell.
        entry = replace(entry, status="failed", error=entry.error or str(failure))
    return Outcome(video_id, stage.name, entry.status, entry.counts, seconds, entry.error)


def _is_kept(root: Root, video_id: str, stage: Stage, force: bool) -> bool:
    """Whether there is a result that the stage must not touch; with `force`, one that cannot be read is none."""
    if stage.keeps is None:
        return False
    try:
        return stage.keeps(root, video_id)
    except LayoutError:
        if not force:
            raise
        return False


def _cause(failure: Exception) -> str:
    """Return the cause as one line; the program's own errors name themselves."""
    text = " ".join(str(failure).split())
    if isinstance(failure, RmsetError):
        return text
    return f"{type(failure).__name__}: {text}" if text else type(failure).__name__


def _trace(failure: Exception) -> str:
    return "".join(traceback.format_exception(failure))[-_LONGEST_TRACE:]


def _still_holds(root: Root, before: StageRecord, wanted: StageRecord) -> bool:
    """Whether the finished run that the files come from is the one that is wanted.

    After a run that was killed or failed, files are compared by their bytes: it may have replaced them.
    """
    done = before.standing
    if done is None or (done.config_hash, done.input_hash) != (wanted.config_hash, wanted.input_hash):
        return False
    if before is done or done.stage == layout.NAME:
        return all(root.files.exists(key) for key in done.outputs)
    return all(_file_hash(root, key) == known for key, known in done.outputs.items())


def repair(root: Root, findings: Sequence[Finding], *, progress: Progress = silent) -> Iterator[Outcome]:
    """Repeat exactly the stages whose results `verify` found broken, with the config of their last finished run.

    If no run has finished, the config of the failed or killed run is used. Findings that no stage can repair, or of
    stages without a ledger entry, are left as they are. A reviewed layout is never changed.
    """
    wanted = {(f.video_id, f.stage) for f in findings if f.stage is not None}
    for video_id in sorted({v for v, _ in wanted}):
        for name, kind in _CONFIGS.items():
            entry = root.stage_record(name, video_id)
            if (video_id, name) not in wanted or entry is None:
                continue
            run = entry.standing or entry
            if not run.was_run:
                continue
            known = {k: v for k, v in run.config.items() if k in kind.__dataclass_fields__}
            # After a killed or failed run the files may still be those of the finished one: then nothing is redone.
            force = entry.status == "done"
            yield run_stage(root, video_id, name, kind(**known), force=force, progress=progress)


def run_stages(
    root: Root,
    video_id: str,
    steps: Sequence[tuple[str, Config]],
    *,
    force: bool = False,
    check: int = 0,
    progress: Progress = silent,
) -> list[Outcome]:
    """Run stages on one video in order, up to the first that fails; tracks are checked on `check` frames, if any."""
    again = probe_again(root, video_id, progress)
    outcomes = [again] if again is not None else []
    early, left = _early(root, steps), list(steps)
    try:
        while left:
            name, config = left.pop(0)
            outcomes.append(run_stage(root, video_id, name, config, force=force, progress=progress, early=early))
            if outcomes[-1].status == "failed":
                break
            if name == track.NAME and check and agreement.KEY not in outcomes[-1].counts:
                outcomes.append(check_tracks(root, video_id, check, progress))
            if isinstance(config, AuditConfig) and _mend(root, video_id, steps, config):
                # The second audit judges the result.
                left = [step for step in steps if step[0] in (track.NAME, audit.NAME)] + left
    finally:
        if early is not None:
            early.close()
    return outcomes


def _mend(root: Root, video_id: str, steps: Sequence[tuple[str, Config]], config: AuditConfig) -> bool:
    """Correct ids of a proposed layout by the audit, if it is to be tracked again; return whether any were.

    A correction can bring to light what it did not see, so there are up to `_ROUNDS` of them. A layout that somebody
    has looked at is never changed. Removed people are found by their ids, so a video that has some keeps its ids.
    """
    if not config.mend or track.NAME not in dict(steps):
        return False
    with root.files.lock(video_id):
        found = root.audit(video_id)
        if found is None or not found.renames or layout.is_manual(root, video_id) or root.removed().of(video_id):
            return False
        before = root.layout(video_id)
        after = audit.mended(before, found.renames)
        if before.corrected >= _ROUNDS or after.segments == before.segments:
            return False
        root.write_layout(after)
    return True


def _early(root: Root, steps: Sequence[tuple[str, Config]]) -> EarlyCrops | None:
    """Return where tracking puts crops for the export that follows it; None if they are not worth it."""
    configs = dict(steps)
    tracked, exported = configs.get(track.NAME), configs.get(export.NAME)
    if not (isinstance(tracked, TrackConfig) and isinstance(exported, ExportConfig)):
        return None
    if exported.max_per_person or exported.grid is not None:
        return None
    return EarlyCrops(exported.cut, root.files.workspace())
