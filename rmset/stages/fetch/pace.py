"""One shared pace toward each host, for all workers of a run.

A host is open, or silent for a time because it requested a pause (429, 503 with Retry-After, "not a bot"). Then one
worker probes while the others wait; if the probe is refused, a new silence begins for all. So a refusing host gets one
request per interval, and none during a silence.

Waits use the monotonic clock, because the wall clock may be set during a run; messages and the ledger use the wall
clock. A silence lasts at most a day.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import Condition, get_ident
from urllib.parse import urlsplit

LONGEST_BACKOFF = 3600.0
"""longest doubled wait after refusals without a stated time, s"""
LONGEST_SILENCE = 24 * 3600.0
"""longest wait for a host's own `Retry-After`, s"""

Tell = Callable[[str, float, str], None]
"""callback with host, end of the silence (seconds since 1970), and reason"""


class Stopped(Exception):  # noqa: N818  (no error: the user has had enough)
    """The run is being ended."""


class HostSilent(Exception):  # noqa: N818  (a state of the host)
    """The host's silence is longer than the patience of the run."""

    def __init__(self, host: str, until: float, why: str) -> None:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(until))
        super().__init__(f"{host} asks for silence until {when} ({why})")
        self.host = host


def host_of(url: str) -> str:
    """Return what shares one pace: an address with its port, else the last two labels of a host name.

    A platform spreads one account's requests over many names (`www.`, `rr3---sn-….`), and limits them together.

    >>> host_of("https://rr3---sn-4g5e6nsk.googlevideo.com/videoplayback"), host_of("http://127.0.0.1:8000/x")
    ('googlevideo.com', '127.0.0.1:8000')
    """
    parts = urlsplit(url)
    name = (parts.hostname or "").lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if "." in name:
            return ".".join(name.split(".")[-2:])
    return f"{name}:{parts.port}" if parts.port else name


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Pause that a response requests, seconds, by `Retry-After` as seconds or as a date; None if it names no time."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_SILENCE)
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - now), LONGEST_SILENCE)
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass
class _Gate:
    """State of one host."""

    until: float | None = None
    """monotonic s; silent until then; None: open"""
    since: float = 0.0
    """monotonic s; when the host began to refuse"""
    refusals: int = 0
    """probes refused in a row"""
    why: str = ""
    whole_visit: bool = False
    """whether only a complete visit proves that the host answers again (bot checks come as 200 OK)"""
    probe: int | None = None
    """the worker that may probe while the others wait"""
    next_visit: float = -math.inf
    """monotonic s"""


class Pace:
    """Admission of requests by host and time.

    Args:
        sleep: pause between the starts of two visits to one host, s.
        backoff: silence after a refusal that names no time, s; doubles each time.
        patience: longest time of refusals, s; beyond it `enter` raises.
        tell: callback for every silence.
    """

    def __init__(
        self, *, sleep: float = 0.0, backoff: float = 60.0, patience: float = 6 * 3600.0, tell: Tell | None = None
    ) -> None:
        self._sleep, self._backoff, self._patience, self._tell = sleep, backoff, patience, tell
        self._gates: dict[str, _Gate] = {}
        self._changed = Condition()
        self._stopped = False

    def begin_visit(self, host: str) -> None:
        """Wait until the next video of this host may begin.

        Raises:
            Stopped: the run ends.
        """
        with self._changed:
            gate = self._gate(host)
            now = time.monotonic()
            at = max(now, gate.next_visit)
            gate.next_visit = at + self._sleep
        self.pause(at - now)

    def enter(self, host: str) -> None:
        """Wait until this worker may send a request to the host.

        Raises:
            Stopped: the run ends.
            HostSilent: the host refuses for longer than the patience lasts.
        """
        me = get_ident()
        with self._changed:
            while True:
                gate, now = self._gate(host), time.monotonic()
                if self._stopped:
                    raise Stopped
                if gate.until is None:
                    return
                if gate.until - gate.since > self._patience:
                    raise HostSilent(host, _on_wall(gate.until), gate.why)
                if now >= gate.until and gate.probe in (None, me):
                    gate.probe = me
                    return
                self._changed.wait(max(0.01, gate.until - now) if now < gate.until else None)

    def answered(self, host: str, *, visited: bool = False) -> None:
        """Note that the host answered this worker's request, or (`visited`) that a video's visit ended properly."""
        with self._changed:
            gate = self._gate(host)
            if gate.probe == get_ident() and (visited or not gate.whole_visit):
                self._gates[host] = _Gate(next_visit=gate.next_visit)
                self._changed.notify_all()

    def refused(self, host: str, why: str, seconds: float | None = None, *, whole_visit: bool = False) -> None:
        """Silence the host for all workers: it refused this one.

        Args:
            host: name by `host_of`.
            why: the host's own words.
            seconds: the pause that the host requested; None if it named no time.
            whole_visit: whether the refusal was inside a page with a proper response.
        """
        with self._changed:
            gate, now = self._gate(host), time.monotonic()
            # Requests already sent when the silence began are refused too; they count as the same refusal.
            fresh = gate.until is None or gate.probe == get_ident()
            if seconds is not None:
                seconds = min(seconds, LONGEST_SILENCE)
            if fresh:
                gate.since = now if gate.until is None else gate.since
                gate.refusals += 1
                gate.probe = None
                doubled = self._backoff * 2.0 ** (min(gate.refusals, 30) - 1)
                wait = seconds if seconds is not None else min(doubled, max(LONGEST_BACKOFF, self._backoff))
                gate.until = now + wait
            elif seconds is not None:
                gate.until = max(gate.until or now, now + seconds)
            gate.why = why
            gate.whole_visit = whole_visit or (gate.whole_visit and not fresh)
            until = _on_wall(gate.until or now)
            self._changed.notify_all()
        if fresh and self._tell is not None:
            self._tell(host, until, why)

    def left(self) -> None:
        """End this worker's visit; an unanswered probe continues the silence."""
        me = get_ident()
        with self._changed:
            unanswered = [(host, gate.why) for host, gate in self._gates.items() if gate.probe == me]
        for host, why in unanswered:
            self.refused(host, why)

    def silences(self) -> dict[str, tuple[float, float, str]]:
        """Return hosts that are silent now: `until`, `since` (seconds since 1970) and why."""
        with self._changed:
            gates = [(host, g, g.until) for host, g in self._gates.items()]
            return {host: (_on_wall(u), _on_wall(g.since), g.why) for host, g, u in gates if u is not None}

    def restore(self, silences: Mapping[str, tuple[float, float, str]]) -> None:
        """Restore the silences of an earlier run; the patience starts again.

        If the wall clock was set back since, a silence lasts at most as long as requested.
        """
        with self._changed:
            now = time.monotonic()
            for host, (until, since, why) in silences.items():
                rest = min(until - time.time(), max(0.0, until - since), LONGEST_SILENCE)
                if rest > 0:
                    self._gates[host] = _Gate(until=now + rest, since=now, refusals=1, why=why)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the run lasts.

        Raises:
            Stopped: the run ends.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._stopped and (rest := end - time.monotonic()) > 0:
                self._changed.wait(rest)
            if self._stopped:
                raise Stopped

    def stop(self) -> None:
        """End the run: all workers that wait or ask from now on get `Stopped`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether the run is being ended."""
        return self._stopped

    def _gate(self, host: str) -> _Gate:
        return self._gates.setdefault(host, _Gate())


def _on_wall(moment: float) -> float:
    """Return a moment of the monotonic clock, s since 1970."""
    return time.time() + moment - time.monotonic()
