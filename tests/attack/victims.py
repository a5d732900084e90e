"""Runs commands of `rmset` in processes that can be killed: a line of JSON in, a line of JSON out.

Started as a program of its own, with everything imported and no thread begun, so that a process forked from it is at
work at once.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def child(words: list[str], errors: str) -> None:
    """Become the command."""
    os.setpgrp()
    with Path(errors).open("wb") as stream:
        os.dup2(stream.fileno(), 2)
        os.dup2(stream.fileno(), 1)
    sys.argv = ["rmset", *words]
    from rmset_cli.rmset.app import main

    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    # What a program does at its end would tear down the parent's modules, too.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(words: list[str], errors: str, delay: float | None, name: str) -> dict[str, object]:
    """Start a command and send it a signal after so many seconds, unless it has ended."""
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        child(words, errors)
    hit = False
    if delay is not None:
        while time.monotonic() - began < delay:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            time.sleep(0.002)
        else:
            hit = True
            os.kill(pid, signal.Signals[name])
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began, "hit": hit, "pid": pid}


if __name__ == "__main__":
    import av  # noqa: F401
    import cv2
    import duckdb  # noqa: F401
    import openvino  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import rmset_cli.rmset.app  # noqa: F401

    cv2.setNumThreads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
