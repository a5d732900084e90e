"""Commands of both programs in warm processes: start, kill, signal, and outcome."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VICTIMS = Path(__file__).with_name("victims.py")
COLLECT = VICTIMS.parents[1] / "collect"
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
CPU_S = 20
"""no command of these tiny worlds may take longer"""
MOST_MB = 2048
"""of one process; what it shares with the warm one is counted too"""


@dataclass(frozen=True)
class Ended:
    """Outcome of a command."""

    code: int
    seconds: float
    cpu: float
    peak_mb: int
    events: int
    """how often it changed the file system, as far as Python sees"""
    hit: bool
    """whether the signal found it alive"""
    said: str

    @property
    def lines(self) -> list[str]:
        return self.said.strip().splitlines()


class Victims:
    """Warm process from which commands are forked one by one."""

    def __init__(self, folder: Path) -> None:
        self.said = folder / "said.txt"
        self.folder = folder
        own = os.environ | ALONE | {
            "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder), "RMSET_RECORDED_SEARCH": str(COLLECT / "recorded_search.json"),
            "PYTHONPATH": str(COLLECT / "plugins/recorded"), "MPLCONFIGDIR": str(folder / "mpl"),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIMS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own
        )
        assert self._reply() == "ready\n"

    def _reply(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def run(
        self, place: Path, words: Sequence[object], *, delay: float | None = None, signal: str = "SIGKILL",
        at_event: int | None = None, learn: bool = False, environment: Mapping[str, str] | None = None,
        cpu_s: int = CPU_S,
    ) -> Ended:  # fmt: skip
        """Run a command in a folder, and return its outcome.

        Args:
            place: its working folder.
            words: program and arguments.
            delay: seconds after which the signal is sent.
            signal: which.
            at_event: die just before so-manieth change of the file system.
            learn: keep what it imported for later commands.
            environment: more of it.
            cpu_s: seconds of processor time that it may take.
        """
        ask: dict[str, Any] = {
            "place": str(place), "words": [str(word) for word in words], "said": str(self.said), "delay": delay,
            "signal": signal, "at_event": at_event, "learn": learn, "environment": dict(environment or {}),
            "cpu_s": cpu_s,
        }  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self._reply())
        said = self.said.read_text(errors="replace")
        shown = " ".join(map(str, words))
        assert "Traceback" not in said, f"{shown}: {said}"
        assert answer["code"] != -24, f"{shown}: more than {cpu_s} s of the processor; {said}"
        assert not answer.pop("hung"), f"{shown}: hangs; {said}"
        assert not answer.pop("orphans"), f"{shown}: a worker outlived its parent; {said}"
        assert answer["peak_mb"] < MOST_MB, f"{shown}: {answer['peak_mb']} MB"
        return Ended(**answer, said=said)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
