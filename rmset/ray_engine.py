"""Many videos on a Ray cluster: a task per video, with the outcomes of the process pool (`rmset.engine`).

Through Ray go ids, settings and outcomes, never files: a node reads and writes the root itself. So the root is on an
object store, or in a folder that all nodes share.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from rmset.engine import died
from rmset.errors import RmsetError, RootError, UsageError
from rmset.pipeline import Config, Outcome, run_stages
from rmset.progress import Progress, silent
from rmset.root import Root

MOST_DEATHS = 3
"""a video whose worker died this often has failed"""
# Nodes come and go without fault of the video that they work on.
_MOST_LOSSES = 20
# Memory of a worker: the program with its nets, and the frames that it holds, bytes.
_PROGRAM, _PER_PIXEL = 1_300_000_000, 150
# Tasks that wait at the cluster, beyond those that its processors can do at once.
_WAITING = 8
# How long a task that is done again waits for the lock of the one that died, s.
_PATIENCE = 90.0
_POLL = 0.5
# How often the cluster's size is asked for, s.
_ASK = 5.0
# How long the head of the cluster may take to answer, s.
_ANSWER = 10.0
# Names of this machine in an address.
_HERE = ("127.0.0.1", "localhost", "::1")
_AUTH = "RAY_AUTH_MODE"


def build_on_ray(
    root: Root,
    video_ids: Iterable[str],
    steps: Sequence[tuple[str, Config]],
    *,
    address: str | None = None,
    jobs: int = 0,
    force: bool = False,
    check: int = 0,
    progress: Progress = silent,
) -> Iterator[Outcome]:
    """Run stages on many videos on a cluster, and yield outcomes as videos end.

    A video that kills its worker three times fails, and the others go on. A task that disappears with its node is done
    again; finished stages are not repeated. If this process dies, its tasks end; started again, it goes on.

    Args:
        root: the data set, where every node finds it.
        video_ids: ids; they may arrive over time.
        steps: stages and their configs.
        address: of the cluster's head, as in `ray.init`; None starts Ray on this machine.
        jobs: most videos at once; 0 for as many as the cluster takes.
        force: run again even if nothing changed.
        check: frames on which tracks are compared with the exact detector.
        progress: progress callback.

    Raises:
        UsageError: Ray is not installed.
        RootError: the cluster cannot be reached, or its nodes have other versions.
    """
    with _cluster(address) as ray:
        yield from _Driver(ray, _everywhere(root), list(steps), jobs, force, check, progress).run(video_ids)


class _Driver:
    """One build: which videos are at work, and how often their workers died."""

    def __init__(
        self,
        ray: Any,
        root: Root,
        steps: list[tuple[str, Config]],
        jobs: int,
        force: bool,
        check: int,
        progress: Progress,
    ) -> None:
        self.ray, self.root, self.steps, self.jobs = ray, root, steps, jobs
        self.force, self.check, self.progress = force, check, progress
        self.pending: dict[Any, str] = {}
        self.deaths, self.losses = Counter[str](), Counter[str]()
        versions, run = _for_nodes()
        self.task, self.versions = ray.remote(run), versions()
        self._ask, self._known = 0.0, (1, 0)

    def run(self, video_ids: Iterable[str]) -> Iterator[Outcome]:
        """Yield the outcomes of all videos."""
        arrived: SimpleQueue[str | BaseException | None] = SimpleQueue()
        total, done, complete = len(video_ids) if isinstance(video_ids, Sequence) else 0, 0, False

        def feed() -> None:
            # In a thread of its own: ids may arrive slowly, and results must not wait for them.
            try:
                for video_id in video_ids:
                    arrived.put(video_id)
                arrived.put(None)
            except BaseException as error:
                arrived.put(error)

        Thread(target=feed, name="feed", daemon=True).start()
        try:
            while not complete or self.pending:
                while not complete and len(self.pending) < self._most():
                    try:
                        event = arrived.get(timeout=0 if self.pending else _POLL)
                    except Empty:
                        break
                    if isinstance(event, BaseException):
                        raise event
                    complete = event is None
                    if event is not None:
                        self._submit(event)
                for outcomes in self._ended():
                    done += 1
                    self.progress("videos", done, total)
                    yield from outcomes
        finally:
            for task in self.pending:
                self.ray.cancel(task, force=True)

    def _most(self) -> int:
        return self.jobs or self._cluster()[0] + _WAITING

    def _cluster(self) -> tuple[int, int]:
        """Processors of the cluster, and memory of its largest node; asked now and then, because nodes come and go."""
        if time.monotonic() >= self._ask:
            nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            largest = max((int(node.get("memory", 0)) for node in nodes), default=0)
            self._known = int(sum(node.get("CPU", 0) for node in nodes)) or 1, largest
            self._ask = time.monotonic() + _ASK
        return self._known

    def _submit(self, video_id: str) -> None:
        again = self.deaths[video_id] + self.losses[video_id] > 0
        call = partial(_work, self.root.place, video_id, self.steps, self.force, self.check, again)
        task = self.task.options(
            num_cpus=1, memory=self._memory(video_id), max_retries=0, name=f"rmset {video_id}"
        ).remote(self.versions, pickle.dumps(call))
        self.pending[task] = video_id

    def _memory(self, video_id: str) -> int:
        """Memory to ask for: a video of larger frames needs more, but no more than the largest node has."""
        try:
            record = self.root.record(video_id)
            pixels = record.width * record.height
        except RmsetError:
            # The task says what is wrong with it.
            pixels = 0
        return min(_PROGRAM + _PER_PIXEL * pixels, self._cluster()[1] or _PROGRAM)

    def _ended(self) -> Iterator[list[Outcome]]:
        """Yield the outcomes of each video whose task has ended; those of dead workers are submitted again."""
        if not self.pending:
            return
        ready, _ = self.ray.wait(list(self.pending), num_returns=1, timeout=_POLL)
        for task in ready:
            video_id = self.pending.pop(task)
            try:
                answer = self.ray.get(task)
                if isinstance(answer, dict):
                    raise RootError(_other_versions(self.versions, answer))
                yield answer
            except self.ray.exceptions.RayTaskError as error:
                cause = error.cause
                yield [Outcome(video_id, self.steps[0][0], "failed", {}, 0.0, f"{type(cause).__name__}: {cause}")]
            except self.ray.exceptions.RayError as error:
                yield from self._lost(video_id, error)

    def _lost(self, video_id: str, error: Exception) -> Iterator[list[Outcome]]:
        node = isinstance(error, (self.ray.exceptions.NodeDiedError, self.ray.exceptions.ObjectLostError))
        (self.losses if node else self.deaths)[video_id] += 1
        if self.deaths[video_id] < MOST_DEATHS and self.losses[video_id] < _MOST_LOSSES:
            self._submit(video_id)
            return
        memory = isinstance(error, self.ray.exceptions.OutOfMemoryError)
        why = (
            "out of memory" if memory else "with its node" if node else "killed, out of memory, or a crash in a decoder"
        )
        times = self.losses[video_id] if node else self.deaths[video_id]
        yield [died(self.root, video_id, self.steps, f"the worker process died {times} times ({why}); run it alone")]


def _for_nodes() -> tuple[Callable[[], dict[str, str]], Callable[[dict[str, str], bytes], Any]]:
    """Return what nodes run: `versions() -> name: version` and `run(expected, call) -> outcomes or other versions`.

    They are nested so that Ray sends their code, not their names: a node needs no rmset, or another one, to compare.
    """

    def versions() -> dict[str, str]:
        import importlib.metadata
        import platform

        try:
            rmset = importlib.metadata.version("rmset")
        except importlib.metadata.PackageNotFoundError:
            rmset = "(not installed)"
        return {"rmset": rmset, "Python": ".".join(platform.python_version_tuple()[:2])}

    def run(expected: dict[str, str], call: bytes) -> Any:
        import pickle
        import platform

        found = versions()
        if found != expected:
            return found | {"node": platform.node()}
        return pickle.loads(call)()  # noqa: S301 - from the driver, as all that Ray itself unpickles

    return versions, run


def _work(
    place: str, video_id: str, steps: list[tuple[str, Config]], force: bool, check: int, again: bool
) -> list[Outcome]:
    """Run the stages of one video on a node, with the node's own cache and credentials."""
    root = Root(place)
    until = time.monotonic() + _PATIENCE
    while again and root.files.is_locked(video_id) and time.monotonic() < until:
        # The lock of the task that died has not expired yet.
        time.sleep(_POLL)
    return run_stages(root, video_id, steps, force=force, check=check)


def _other_versions(expected: dict[str, str], found: dict[str, str]) -> str:
    """Message about a node with other versions."""
    here, there = (", ".join(f"{name} {versions[name]}" for name in expected) for versions in (expected, found))
    return f"node {found['node']}: expected the versions of the driver ({here}), found {there}; install the same there"


def _everywhere(root: Root) -> Root:
    """Return a root by an address that does not depend on the current folder."""
    return Root(Path(root.place).resolve()) if Path(root.place).exists() else root


def _check_address(address: str | None) -> None:
    """Check that something listens at an address; Ray itself would try for minutes.

    Raises:
        UsageError: it is no address.
        RootError: nothing answers there.
    """
    if address in (None, "auto"):
        return
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UsageError(
            f"--address {address}: expected HOST:6379, the port of the cluster's head, or auto; correct it"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise RootError(
            f"--address {address}: expected the head of a Ray cluster, found none ({why}); start it, or correct "
            "the address"
        ) from None


def _show_token(address: str | None) -> None:
    """Let Ray show this user's token to a cluster at an address of this machine.

    Since Ray 2.59 `ray start` asks for the token in ~/.ray where one is, while a driver that is given an address shows
    it only when told to. To other machines it goes only if the user sets RAY_AUTH_MODE.
    """
    host = (address or "").rpartition(":")[0].strip("[]")
    configured = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if host in _HERE and (configured or (Path.home() / ".ray" / "auth_token").is_file()):
        # Ray reads it once, when it is imported.
        os.environ.setdefault(_AUTH, "token")


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine; of one that was started nothing stays."""
    # Ray sends statistics of its use elsewhere unless told not to.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    _show_token(address)
    try:
        import ray
    except ImportError:
        raise UsageError(
            "--engine ray: expected the extra `ray`, found it missing; pip install 'rmset[ray]', or use --engine local"
        ) from None
    _check_address(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    # "local" starts one, whatever cluster ran here before; it listens here only.
    alone: dict[str, Any] = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(**(alone if address is None else {"address": address}), **quiet)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        where = address or "this machine"
        token = "" if _AUTH in os.environ else f", set {_AUTH}=token where it asks for a token"
        raise RootError(
            f"--engine ray: expected a Ray cluster at {where}, found none that fits ({text}); start it, install "
            f"the same versions{token}, or use --engine local"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
