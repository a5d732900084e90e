"""Files of released videos in a folder: found by hash, by name, or by what their frames look like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rmset.errors import RmsetError
from rmset.files import sha256_of
from rmset.parts.survey import survey
from rmset.progress import Progress, silent
from rmset.release.matching import Candidate
from rmset.release.opened import Release, ReleasedVideo
from rmset.stages.fetch import videos_below

_SHORTEST_NAME = 8
"""characters of an id that is looked for inside names"""


class Folder:
    """The video files of a folder and its subfolders."""

    def __init__(self, path: Path, progress: Progress = silent) -> None:
        self._paths = sorted(videos_below(path))
        self._progress = progress
        self._sizes = {path: path.stat().st_size for path in self._paths}
        self._hashes: dict[Path, str] = {}
        self._files: dict[Path, Candidate | None] = {}

    def sha256(self, path: Path) -> str:
        """Hash of a file's bytes, computed once."""
        if path not in self._hashes:
            self._hashes[path] = sha256_of(path)
        return self._hashes[path]

    def matches(self, release: Release, videos: Iterable[ReleasedVideo]) -> Iterator[tuple[ReleasedVideo, Path | None]]:
        """Yield each video with its file, or None if the folder has none.

        The same bytes count most, then a name that is or holds the id; files left over are compared by their frames.
        """
        taken: set[Path] = set()
        rest: list[ReleasedVideo] = []
        for video in videos:
            path = self._same(video) or self._named(video, taken)
            if path is None:
                rest.append(video)
                continue
            taken.add(path)
            yield video, path
        for video in rest:
            path = self._alike(release, video, [p for p in self._paths if p not in taken])
            taken |= {path} if path is not None else set()
            yield video, path

    def _same(self, video: ReleasedVideo) -> Path | None:
        # Only files of the same size are read.
        same = (p for p in self._paths if self._sizes[p] == video.bytes)
        return next((p for p in same if self.sha256(p) == video.sha256), None)

    def _named(self, video: ReleasedVideo, taken: set[Path]) -> Path | None:
        paths = [p for p in self._paths if p not in taken]
        exact = [p for p in paths if p.stem == video.video_id or f"[{video.video_id}]" in p.name]
        part = [p for p in paths if len(video.video_id) >= _SHORTEST_NAME and video.video_id in p.name]
        return next(iter(exact or part), None)

    def _alike(self, release: Release, video: ReleasedVideo, paths: list[Path]) -> Path | None:
        if not paths:
            return None
        released = release.frames(video.video_id)
        best: tuple[float, Path] | None = None
        for path in paths:
            file = self._file(path)
            try:
                found = file.match(released, video.frame_size) if file is not None else None
            except RmsetError:
                continue
            if found is not None and (best is None or found[0].bits < best[0]):
                best = (found[0].bits, path)
        return best[1] if best is not None else None

    def _file(self, path: Path) -> Candidate | None:
        if path not in self._files:
            try:
                self._files[path] = Candidate(path, survey(path, progress=self._progress), self._progress)
            except RmsetError:
                self._files[path] = None
        return self._files[path]
