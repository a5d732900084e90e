"""Server that runs commands in processes that can be killed: a line of JSON in, a line of JSON out.

A separate program that imports all libraries. Each command is forked from it, so that it starts working at once; it is
the real command in a real process, which can really die. The first undisturbed run of a command reports late imports,
which are then imported here too, so that later runs start warm.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"}
"""Python's own audit events that change a file system, beside `open` for writing."""
SHARED = mmap.mmap(-1, 8)
"""counts the events of the command that runs"""


def watch(die_at: int | None) -> None:
    """Count the events that change the file system; end by SIGKILL just before a given one."""
    seen, own = 0, os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in WRITES and not (event == "open" and _writes(arguments)):
            return
        if os.getpid() != own:  # a process that the command forked
            return
        seen += 1
        SHARED[:8] = struct.pack("q", seen)
        if seen == die_at:
            os.kill(own, signal.SIGKILL)

    sys.addaudithook(hook)


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    if isinstance(path, int) or str(path).startswith(("/dev/", "/proc/")):
        return False
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


_ASKED = {signal.SIGINT, signal.SIGTERM}


def become(ask: dict[str, Any], modules: int) -> None:
    """Run the command in this process; never return."""
    # A signal before the command's own code runs would stop the harness instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKED)
    os.setpgrp()
    os.chdir(ask["place"])
    os.environ.update(ask.get("environment", {}))
    with Path(ask["said"]).open("wb") as stream:
        os.dup2(stream.fileno(), 2)
        os.dup2(stream.fileno(), 1)
    known = set(sys.modules)
    if ask.get("cpu_s"):
        resource.setrlimit(resource.RLIMIT_CPU, (ask["cpu_s"], ask["cpu_s"] + 5))
    watch(ask.get("at_event"))
    program, *words = ask["words"]
    sys.argv = [program, *words]
    main = importlib.import_module(f"rmset_cli.{program}.app").main
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKED)
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except KeyboardInterrupt:
        # It came before the command's own handlers, or between two of its lines.
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    with contextlib.suppress(OSError):
        os.write(modules, "\n".join(sorted(set(sys.modules) - known)).encode())
    # What a program does at its end would tear down the parent's modules, too.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def gone(group: int, patience: float) -> bool:
    """Wait until all processes of a group have ended: workers end with their parent."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return True
        time.sleep(0.002)
    os.killpg(group, signal.SIGKILL)
    return False


def run(ask: dict[str, Any]) -> dict[str, Any]:
    """Run a command; send it a signal after so many seconds, unless it has ended."""
    SHARED[:8] = bytes(8)
    read, write = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        become(ask, write)
    os.close(write)
    hit, hung = False, False
    until = began + ask.get("delay", 1e9) if ask.get("delay") is not None else None
    last = began + ask.get("patience_s", 600)
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        now = time.monotonic()
        if until is not None and now >= until and not hit:
            hit = True
            os.kill(pid, signal.Signals[ask["signal"]])
        if now >= last:
            hung = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.001)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    told = b""
    while piece := os.read(read, 1 << 16):
        told += piece
        if len(piece) < 1 << 16:
            break
    os.close(read)
    if ask.get("learn"):
        learn(told.decode().split())
    if ask["signal"] == "SIGKILL":
        # It may have ended just before it was sent.
        hit = code == -signal.SIGKILL
    return {
        "code": code, "seconds": seconds, "hit": hit, "hung": hung,
        "orphans": not gone(pid, 20.0), "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss >> 10,
        "events": struct.unpack("q", SHARED[:8])[0],
    }  # fmt: skip


def learn(names: list[str]) -> None:
    """Import the modules that a command imported late."""
    for name in names:
        if name.startswith(("__main__", "__mp_main__")):
            continue
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


if __name__ == "__main__":
    import av  # noqa: F401
    import cv2
    import duckdb  # noqa: F401
    import openvino  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch

    import rmset_cli.fertrain.app
    import rmset_cli.rmset.app  # noqa: F401

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    # Shells start background jobs with Ctrl-C ignored, and children inherit this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
