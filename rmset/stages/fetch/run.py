"""Fetching many videos: workers, tries, the ledger, and an outcome for each as it ends."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from rmset.errors import FetchError, RootError
from rmset.manifest import Entry
from rmset.progress import Progress, silent
from rmset.records import VideoRecord
from rmset.root import Root
from rmset.stages.fetch import arrive, ledger, targets
from rmset.stages.fetch.causes import RULES, Cause, classify, one_line, own_words
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.ledger import FetchRecord
from rmset.stages.fetch.pace import HostSilent, Pace, Stopped, Tell, host_of
from rmset.stages.fetch.targets import Target
from rmset.tombstones import Tombstone

_EXPLAINED_BY_WARNINGS = {Cause.NO_VIDEO, Cause.FORBIDDEN, Cause.TOO_SMALL}
"""causes that may come from, say, a missing JavaScript runtime"""
_MOST_DEPTH = 6
"""most nested pages, feeds and playlists; a channel has 3 levels"""
_MOST_VIDEOS = 20_000
"""videos and pages that one line of a manifest may turn out to name"""
_MOST_REFUSALS = 8
"""refused visits of one video before it is left to the next run"""


@dataclass(frozen=True)
class Fetched:
    """Outcome of one target."""

    record: FetchRecord
    video: VideoRecord | None = None
    seconds: float = 0.0
    fresh: bool = True
    """whether anything was done for it in this run"""
    entry: Entry | None = None
    """the manifest entry that requested it"""


def fetch(
    root: Root,
    entries: Sequence[Entry],
    config: FetchConfig,
    *,
    retry: Collection[Cause] = (),
    tell: Tell | None = None,
    progress: Progress = silent,
) -> Iterator[Fetched]:
    """Fetch the entries' videos that the root lacks; yield an outcome for each as it ends.

    Failures of one video are recorded and yielded, not raised; a full disk ends the run and leaves the rest waiting.
    Closing the iterator ends the run; partial downloads resume next time.

    Raises:
        ManifestError: an entry names a local file.
        RootError: another process is fetching into this root, or it cannot be written to.
    """
    return Fetching(root, config, retry=retry, tell=tell, progress=progress).outcomes(entries)


class Fetching:
    """One run of `fetch`, which another thread may end; the state that its workers share."""

    def __init__(
        self,
        root: Root,
        config: FetchConfig,
        *,
        retry: Collection[Cause] = (),
        tell: Tell | None = None,
        progress: Progress = silent,
    ) -> None:
        self.root, self.config, self.retry, self.progress = root, config, frozenset(retry), progress
        self.visitors: SimpleQueue[Any] = SimpleQueue()
        self.lock = Lock()
        self.bytes = 0

        def keep_and_tell(host: str, until: float, why: str) -> None:
            with self.lock:
                ledger.write_silences(root, self.pace.silences())
            if tell is not None:
                tell(host, until, why)

        self.pace = Pace(sleep=config.sleep, backoff=config.backoff, patience=config.patience, tell=keep_and_tell)
        self.pace.restore(ledger.read_silences(root))

    def stop(self) -> None:
        """End the run: workers that wait are woken, downloads end at their next block."""
        self.pace.stop()

    def outcomes(self, entries: Sequence[Entry]) -> Iterator[Fetched]:
        """See `fetch`."""
        yield from self.visits([targets.of_entry(e) for e in entries])

    def visits(self, wanted: Sequence[Target]) -> Iterator[Fetched]:
        """Fetch videos whose ids are known; see `fetch`."""
        with self.root.files.lock("fetch"):
            yield from self._outcomes(wanted)

    def _outcomes(self, wanted: Sequence[Target]) -> Iterator[Fetched]:
        seen: set[str] = set()
        todo = deque(targets.unique(wanted, seen))
        for target in todo:
            if ledger.read(self.root, target.video_id) is None:
                ledger.write(self.root, _record(target, "waiting", self.config))
        total, done, full = len(todo), 0, False
        named: Counter[str] = Counter()
        running: set[Future[tuple[Fetched, list[Target]]]] = set()
        with ThreadPoolExecutor(self.config.jobs, thread_name_prefix="fetch") as pool:
            try:
                while running or (todo and not full):
                    while todo and len(running) < self.config.jobs and not full:
                        target = todo.popleft()
                        if (stone := self.root.removed().video(target.video_id, url=target.url)) is not None:
                            done += 1
                            yield self._taken_out(target, stone)
                            continue
                        if ledger.is_due(self.root, target.video_id, target.entry, self.config, self.retry):
                            running.add(pool.submit(self._fetch_one, target))
                            continue
                        done += 1
                        yield _kept(self.root, target, self.config)
                    self.progress("videos", done, total)
                    if not running:
                        continue
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        outcome, children = future.result()
                        asked = outcome.entry.video if outcome.entry else ""
                        fresh = targets.unique(children, seen)[: _MOST_VIDEOS - named[asked]]
                        named[asked] += len(fresh)
                        todo.extend(fresh)
                        total += len(fresh)
                        done += 1
                        full = full or outcome.record.cause is Cause.DISK
                        self.progress("videos", done, total)
                        yield outcome
            finally:
                # Also when the caller closes the iterator.
                self.stop()
                wait(running)
                while not self.visitors.empty():
                    self.visitors.get().close()

    def _taken_out(self, target: Target, stone: Tombstone) -> Fetched:
        """Return the outcome of a video that was removed from the root: its host is not asked."""
        why = f"removed from this data set on {stone.time[:10]}: {stone.reason}"
        record = replace(_record(target, "failed", self.config), cause=Cause.TAKEN_OUT, error=why)
        ledger.write(self.root, record)
        return Fetched(record, fresh=False, entry=target.entry)

    def _visitor(self) -> Any:
        from rmset.stages.fetch.visit import Visitor

        try:
            return self.visitors.get_nowait()
        except Empty:
            # yt-dlp loads plugins on first use, which is not thread-safe.
            with self.lock:
                return Visitor(self.config, self.pace)

    def _fetch_one(self, target: Target) -> tuple[Fetched, list[Target]]:
        """Fetch one target, with retries; raises only for program errors."""
        began = datetime.now(UTC)
        before = ledger.read(self.root, target.video_id)
        record = replace(_record(target, "waiting", self.config), tries=before.tries if before else 0)
        visitor = self._visitor()
        host = host_of(target.url)
        tries = 0
        while True:
            tries += 1
            # A partial file of an earlier run may not fit; a broken file is then not the host's fault.
            resumed = arrive.has_begun(self.root, target.video_id)
            record = replace(record, tries=record.tries + 1)
            try:
                self.pace.begin_visit(host)
                found = dict(target.info) if target.info else visitor.look(target.url, target.extractor)
                if found.get("_type", "video") != "video" or _belongs_elsewhere(target, found):
                    children = self._children(visitor, target, found)
                    self.pace.answered(host, visited=True)
                    record = replace(record, status="done", children=tuple(c.video_id for c in children))
                    video = None
                else:
                    children = []
                    video = arrive.bring(self.root, self.config, visitor, target, found, self._count)
                    record = replace(record, status="done")
                self.pace.answered(host, visited=True)
                break
            except Stopped:
                self.visitors.put(visitor)
                return Fetched(record, entry=target.entry), []
            except Exception as error:
                # yt-dlp can raise anything; it must not stop the other videos.
                cause = classify(error)
                words = own_words(error)
                if cause in _EXPLAINED_BY_WARNINGS and visitor.warning:
                    words = one_line(f"{words}; yt-dlp warned: {visitor.warning}", 600)
                record = replace(record, status="failed", cause=cause, error=words)
                tries -= cause is Cause.BROKEN and resumed
                again = self._may_try_again(error, cause, host, tries, target)
                if again:
                    continue
                children, video = [], None
                break
            finally:
                self.pace.left()
        self.visitors.put(visitor)
        if record.status == "done":
            record = replace(record, cause=None, error=None)
        record = replace(record, updated=datetime.now(UTC).isoformat(timespec="seconds"))
        # A full disk fails the video and then its ledger entry; the first cause is the one to tell.
        with suppress(RootError):
            ledger.write(self.root, record)
        return Fetched(record, video, (datetime.now(UTC) - began).total_seconds(), entry=target.entry), children

    def _may_try_again(self, error: Exception, cause: Cause, host: str, tries: int, target: Target) -> bool:
        """Handle a failed try: update the pace, wait if useful, and return whether to retry."""
        if cause is Cause.RATE_LIMITED:
            if isinstance(error, HostSilent):
                return False
            # Status 429 is handled in the request loop; this is a refusal inside a page.
            self.pace.refused(host, own_words(error), whole_visit=True)
            return tries <= _MOST_REFUSALS
        if cause not in (Cause.NETWORK, Cause.UNKNOWN):
            # The host answered, even if negatively.
            self.pace.answered(host, visited=True)
        if cause is Cause.BROKEN:
            # The file may mix two versions, so the next try starts from zero.
            arrive.forget(self.root, target.video_id)
        if tries >= (RULES[cause].tries or self.config.retries):
            return False
        try:
            self.pace.left()
            self.pace.pause(min(60.0, self.config.pause * 2.0 ** (tries - 1)))
        except Stopped:
            return False
        return True

    def _children(self, visitor: Any, target: Target, found: dict[str, Any]) -> list[Target]:
        if found.get("_type", "video") == "video":
            return [targets.of_child(target, 0, {**found, "_type": "url", "url": found.get("webpage_url"),
                                                 "ie_key": found.get("extractor_key")})]  # fmt: skip
        if target.depth >= _MOST_DEPTH:
            raise FetchError(f"more than {_MOST_DEPTH} pages, feeds or playlists inside each other", Cause.NO_VIDEO)
        children = [targets.of_child(target, n, child) for n, child in enumerate(visitor.children(found))]
        if not children:
            raise FetchError("no video in this page or playlist", Cause.NO_VIDEO)
        return children

    def _count(self, more: int) -> None:
        with self.lock:
            self.bytes += more
            self.progress("MB", self.bytes // 1_000_000, 0)


def _record(target: Target, status: Any, config: FetchConfig) -> FetchRecord:
    height = target.entry.min_height or config.min_height
    return FetchRecord(target.video_id, one_line(target.url, 2000), status, min_height=height)


def _kept(root: Root, target: Target, config: FetchConfig) -> Fetched:
    """Return the outcome of a target without work."""
    before = ledger.read(root, target.video_id)
    if root.files.exists(root.record_key(target.video_id)):
        # After a kill between record and ledger entry, the record is right.
        if before is None or before.status != "done":
            before = replace(before or _record(target, "done", config), status="done", cause=None, error=None)
            ledger.write(root, before)
        return Fetched(before, root.record(target.video_id), fresh=False, entry=target.entry)
    return Fetched(before or _record(target, "waiting", config), fresh=False, entry=target.entry)


def _belongs_elsewhere(target: Target, found: dict[str, Any]) -> bool:
    """Whether a URL led to a video of YouTube, which is stored under YouTube's id."""
    return found.get("extractor_key") == "Youtube" and found.get("id") not in (None, target.video_id)
