"""Many videos at once: stages run on each, in processes of their own, and outcomes arrive as videos end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import Pipe
from queue import SimpleQueue
from threading import Thread

from rmset.errors import RmsetError
from rmset.pipeline import Config, Outcome, run_stages
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.workers import WorkerContext, end_with

_DEATH = "the worker process died (killed, out of memory, or a crash in a decoder); run it alone with --jobs 1"


def build(
    root: Root,
    video_ids: Iterable[str],
    steps: Sequence[tuple[str, Config]],
    *,
    jobs: int = 1,
    force: bool = False,
    check: int = 0,
    progress: Progress = silent,
) -> Iterator[Outcome]:
    """Run stages on many videos, `jobs` of them at once, and yield outcomes as videos end.

    The ids may arrive over time, from downloads that are still under way: work begins with the first.

    A video that kills its worker process fails alone: the videos that shared the pool with it are run again, one by
    one, so that only the guilty one is blamed.
    """
    total = len(video_ids) if isinstance(video_ids, Sequence) else 0
    done = 0
    if jobs <= 1:
        for video_id in video_ids:
            progress("videos", done, total)
            yield from run_stages(root, video_id, steps, force=force, check=check, progress=progress)
            done += 1
        progress("videos", done, total)
        return
    suspects: list[str] = []
    for video_id, outcomes in _in_pool(root, video_ids, steps, jobs, force, check):
        if outcomes is None:
            suspects.append(video_id)
            continue
        done += 1
        progress("videos", done, total)
        yield from outcomes
    for suspect in suspects:
        for video_id, outcomes in _in_pool(root, [suspect], steps, 1, force, check):
            done += 1
            progress("videos", done, total)
            yield from outcomes or [died(root, video_id, steps)]


def _in_pool(
    root: Root, video_ids: Iterable[str], steps: Sequence[tuple[str, Config]], jobs: int, force: bool, check: int
) -> Iterator[tuple[str, list[Outcome] | None]]:
    """Each video with its outcomes, or with None where a worker died."""
    events: SimpleQueue[tuple[str, Future[list[Outcome]] | None] | BaseException | None] = SimpleQueue()
    fed: list[str] = []

    def feed() -> None:
        # In a thread of its own: ids may arrive slowly, and results must not wait for them.
        try:
            for video_id in video_ids:
                fed.append(video_id)
                try:
                    future = pool.submit(_worker, root, video_id, list(steps), force, check)
                except BrokenProcessPool:
                    events.put((video_id, None))
                else:
                    future.add_done_callback(partial(lambda name, ended: events.put((name, ended)), video_id))
            events.put(None)
        except BaseException as error:
            # Raised again where the results are read.
            events.put(error)

    done, complete = 0, False
    ended, alive = Pipe(duplex=False)
    with (
        alive,
        ended,
        ProcessPoolExecutor(jobs, mp_context=WorkerContext(), initializer=end_with, initargs=(ended,)) as pool,
    ):
        Thread(target=feed, name="feed", daemon=True).start()
        try:
            while not (complete and done == len(fed)):
                event = events.get()
                if event is None:
                    complete = True
                    continue
                if isinstance(event, BaseException):
                    raise event
                done += 1
                video_id, future = event
                try:
                    yield video_id, None if future is None else future.result()
                except BrokenProcessPool:
                    yield video_id, None
        except BaseException:
            # A signal, or a caller that has seen enough: workers end now, not with the videos that they are at.
            alive.close()
            raise


def _worker(root: Root, video_id: str, steps: list[tuple[str, Config]], force: bool, check: int) -> list[Outcome]:
    return run_stages(root, video_id, steps, force=force, check=check)


def died(root: Root, video_id: str, steps: Sequence[tuple[str, Config]], error: str = _DEATH) -> Outcome:
    """Blame the stage that was running when a worker process died."""
    try:
        with root.files.lock(video_id):
            for name, _ in steps:
                entry = root.stage_record(name, video_id)
                if entry is not None and entry.status == "running":
                    now = datetime.now(UTC).isoformat(timespec="seconds")
                    root.write_stage_record(replace(entry, status="failed", error=error, finished=now))
                    return Outcome(video_id, name, "failed", {}, 0.0, error)
    except RmsetError as refusal:
        error = f"{error}; {refusal}"
    # It died before any stage began: no config was run, so none is recorded.
    return Outcome(video_id, steps[0][0], "failed", {}, 0.0, error)
