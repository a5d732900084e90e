"""`rmset.add`, `propose`, `track`, `export` and `build`: the stages as functions, with progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from rmset._dataset import AnyRoot, Dataset, root_of
from rmset.engine import build as run_stages
from rmset.errors import IncompleteError, RmsetError, UsageError
from rmset.parts import identity
from rmset.pipeline import Config, Outcome
from rmset.progress import Progress, bars
from rmset.records import VideoRecord
from rmset.stages import audit, fetch, layout
from rmset.stages import export as _export
from rmset.stages import track as _track
from rmset.stages.audit import AuditConfig
from rmset.stages.export import ExportConfig
from rmset.stages.layout import ProposeConfig
from rmset.stages.track import TrackConfig

__all__ = ["add", "build", "export", "propose", "track"]

Settings = TypeVar("Settings", ProposeConfig, TrackConfig, ExportConfig)


def add(
    root: AnyRoot,
    files: Path | str | Iterable[Path | str],
    *,
    copy: bool = False,
    allow_copies_of: Sequence[str] = (),
    progress: Progress | bool | None = None,
) -> list[VideoRecord]:
    """Add video files to a data set: probe, hash, link or copy. Adding the same file again changes nothing.

    Args:
        root: the data set; None is `$RMSET_ROOT`, else `data/rmset`.
        files: a file, a folder of them, or several of both.
        copy: copy even if a hard link is possible.
        allow_copies_of: ids of removed videos that a file may look like.
        progress: None for a bar in a terminal or notebook, False for none, or a callback.

    Returns:
        The record of each video.

    Raises:
        UsageError: there is no video file.
        IncompleteError: a file cannot be added; the others were, and are its `done`.

    >>> [video.frame_count for video in rmset.add("data/new", "mashup.mp4")]
    [48]
    """
    place = root_of(root)
    given = [files] if isinstance(files, (str, Path)) else list(files)
    paths = [path for each in given for path in fetch.videos_below(Path(each))]
    if not paths:
        raise UsageError(f"expected video files, found none in {', '.join(map(str, given)) or 'an empty list'}")
    taken: list[VideoRecord] = []
    failed: list[str] = []
    with bars(progress) as report:
        for number, path in enumerate(paths):
            report("add", number, len(paths))
            try:
                taken.append(fetch.add(place, path, copy=copy, allow_copies_of=allow_copies_of))
            except RmsetError as error:
                failed.append(str(error))
            except (ValueError, OSError) as error:
                failed.append(f"{path}: {type(error).__name__}: {error}")
    _forget(root)
    if failed:
        raise IncompleteError(_several("files", failed, len(paths)), taken)
    return taken


def propose(
    root: AnyRoot = None,
    videos: str | Sequence[str] | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    progress: Progress | bool | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Propose layouts: trigger regions and people. Reviewed layouts are kept.

    Args:
        root: as in `build`, like `videos`, `jobs`, `force` and `progress`.
        videos: ids.
        jobs: videos at once.
        force: run again.
        progress: bars.
        settings: fields of `rmset.ProposeConfig`.

    >>> [outcome.status for outcome in rmset.propose("data/rmset")]
    ['kept']
    """
    return _run(root, videos, [(layout.NAME, _config(ProposeConfig, settings))], jobs, force, 0, progress)


def track(
    root: AnyRoot = None,
    videos: str | Sequence[str] | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    check: int = 0,
    progress: Progress | bool | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Find every person's face in every frame.

    Args:
        root: as in `build`, like `videos`, `jobs`, `force`, `check` and `progress`.
        videos: ids.
        jobs: videos at once.
        force: run again.
        check: whole frames per video to compare with the exact detector.
        progress: bars.
        settings: fields of `rmset.TrackConfig`.

    >>> [outcome.status for outcome in rmset.track("data/rmset")]
    ['already done', 'already done']
    """
    steps: list[tuple[str, Config]] = [(_track.NAME, _config(TrackConfig, settings)), _audit_step()]
    return _run(root, videos, steps, jobs, force, check, progress)


def _audit_step(embedder: str = identity.AUTO) -> tuple[str, AuditConfig]:
    """Return the audit that follows tracking."""
    return audit.NAME, AuditConfig(embedder=identity.resolve(embedder))


def export(
    root: AnyRoot = None,
    videos: str | Sequence[str] | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    progress: Progress | bool | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Write face crops into Parquet shards.

    Args:
        root: as in `build`, like `videos`, `jobs`, `force` and `progress`.
        videos: ids.
        jobs: videos at once.
        force: run again.
        progress: bars.
        settings: fields of `rmset.ExportConfig`.

    >>> [outcome.counts["crops"] > 100 for outcome in rmset.export("data/rmset", size=64)]
    [True]
    """
    return _run(root, videos, [(_export.NAME, _config(ExportConfig, settings))], jobs, force, 0, progress)


def build(
    root: AnyRoot = None,
    videos: str | Sequence[str] | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    check: int = 0,
    propose: ProposeConfig | Mapping[str, Any] | None = None,
    track: TrackConfig | Mapping[str, Any] | None = None,
    export: ExportConfig | Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> list[Outcome]:
    """Run all stages, video by video: layout, track, audit, export. Finished stages are not repeated.

    Args:
        root: the data set; None is `$RMSET_ROOT`, else `data/rmset`.
        videos: ids; all if omitted.
        jobs: videos processed in parallel, each in its own process.
        force: run again even if nothing changed.
        check: whole frames per video on which tracks are compared with the exact detector.
        propose: settings of the layout stage, as a `ProposeConfig` or by name.
        track: settings of tracking, as a `TrackConfig` or by name.
        export: settings of the crops, as an `ExportConfig` or by name.
        progress: None for bars in a terminal or notebook, False for none, or a callback.

    Returns:
        The outcome of each stage of each video.

    Raises:
        RootError: the data set has no video, or none with such an id.
        UsageError: an unknown or invalid setting.
        IncompleteError: a stage failed for some video; the others continued, and all outcomes are its `done`.

    >>> [(outcome.stage, outcome.status) for outcome in rmset.build("data/rmset", export={"size": 64})]
    [('layout', 'kept'), ('track', 'already done'), ('audit', 'done'), ('export', 'already done')]
    """
    steps: list[tuple[str, Config]] = [
        (layout.NAME, _config(ProposeConfig, propose)),
        (_track.NAME, _config(TrackConfig, track)),
        _audit_step(),
        (_export.NAME, _config(ExportConfig, export)),
    ]
    return _run(root, videos, steps, jobs, force, check, progress)


def _run(
    root: AnyRoot,
    videos: str | Sequence[str] | None,
    steps: Sequence[tuple[str, Config]],
    jobs: int,
    force: bool,
    check: int,
    progress: Progress | bool | None,
) -> list[Outcome]:
    if jobs < 1 or check < 0:
        raise UsageError(f"expected jobs of 1 or more and check of 0 or more, found {jobs} and {check}")
    place = root_of(root)
    ids = place.select([videos] if isinstance(videos, str) else None if videos is None else list(videos))
    with bars(progress) as report:
        outcomes = list(run_stages(place, ids, steps, jobs=jobs, force=force, check=check, progress=report))
    _forget(root)
    failed = [f"{o.stage} {o.video_id}: {o.error}" for o in outcomes if o.status == "failed"]
    if failed:
        raise IncompleteError(_several("videos", failed, len(ids)), outcomes)
    return outcomes


def _config(kind: type[Settings], given: Settings | Mapping[str, Any] | None) -> Settings:
    """Return a stage's settings from the caller's arguments.

    Raises:
        UsageError: an unknown or invalid setting.
    """
    if isinstance(given, kind):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"expected {kind.__name__} or its settings by name, found {given!r}")
    values = dict(given or {})
    known = list(kind.__dataclass_fields__)
    for name in values:
        if name not in known:
            close = get_close_matches(name, known, n=2) or known
            raise UsageError(f"expected a setting of {kind.__name__}, found '{name}'; it has {', '.join(close)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"expected values of {kind.__name__} of the right types, found {values}: {error}") from None


def _forget(root: AnyRoot) -> None:
    """Reload an opened data set after changes."""
    if isinstance(root, Dataset):
        root.reload()


def _several(what: str, failed: Sequence[str], total: int) -> str:
    """Summarize failures in one line."""
    if len(failed) == 1:
        return failed[0]
    return f"{len(failed)} failures in {total} {what}, the first: {failed[0]}; `.done` has the outcomes of the others"
