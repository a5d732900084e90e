"""Runs of a grid, done by several processes at once.

Small networks on small images do not fill the cores: two runs with a thread each are faster than one after the other
with two. Each run has a lock, so the same command may also be started twice by hand, or on two machines that share a
disk.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from rmset.errors import RmsetError, RootError
from rmset.locks import hold

from ...allocator import keep_freed_memory

T = TypeVar("T", bound=Hashable)

# Pause before looking again at work that others hold, s.
_PAUSE = 0.5


def share(items: Iterable[T], lock: Callable[[T], Path], work: Callable[[T], object]) -> None:
    """Do all work that no other process does, and wait until the others have done theirs.

    Args:
        items: the work. What is finished is given to `work` again, by each process, and must return at once.
        lock: file by which processes agree who does an item; its folder is made.
        work: does one item, unless it is finished.
    """
    waiting, passed = deque(items), 0
    while waiting:
        item = waiting.popleft()
        with ExitStack() as held:
            path = lock(item)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(hold(path, path.stem))
            except RootError:
                waiting.append(item)
                passed += 1
            else:
                work(item)
                passed = 0
        if passed and passed >= len(waiting):
            time.sleep(_PAUSE)
            passed = 0


@contextmanager
def helpers(jobs: int, say: Callable[[str], None], call: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Let `jobs` − 1 other processes make the same call while the body runs; all share the cores evenly.

    What a helper leaves, if it fails, the body does, or it meets the same error.

    Args:
        jobs: processes, this one counted.
        say: callback for a line about a helper that failed.
        call: a function of a module, given to each helper.
        *arguments: its arguments, which can be pickled.
    """
    threads = torch.get_num_threads()
    own = max(1, threads // jobs)
    context = multiprocessing.get_context("spawn")
    # no daemons: those may not start the workers of a loader
    others = [context.Process(target=_help, args=(own, call, arguments)) for _ in range(jobs - 1)]
    for other in others:
        other.start()
    torch.set_num_threads(own)
    try:
        yield
        for other in others:
            other.join()
            if other.exitcode:
                say(f"a process that helped ended with exit code {other.exitcode}; its runs were done without it")
    finally:
        torch.set_num_threads(threads)
        for other in others:
            other.terminate()


def _help(threads: int, call: Callable[..., object], arguments: tuple[object, ...]) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)
    try:
        call(*arguments)
    except (RmsetError, KeyboardInterrupt):
        # the first process meets it too, and says it
        raise SystemExit(1) from None
