"""A video host on the loopback interface: real files over real HTTP, with faults on demand."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """Fault of one request."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    reason: str | None = None
    """words of the status line"""
    reset_at: int | None = None
    """bytes after which the connection is reset"""
    stall_at: int | None = None
    """bytes after which nothing comes any more"""
    length: Callable[[int], int] | None = None
    """what Content-Length claims, from what is true"""
    close_at: int | None = None
    """bytes after which the connection is closed properly"""
    drip: float | None = None
    """seconds between one byte and the next"""


def too_many(retry_after: float | None = None) -> Fault:
    return Fault(429, () if retry_after is None else (("Retry-After", str(retry_after)),))


@dataclass
class Page:
    body: bytes
    kind: str = "video/mp4"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    time: float
    method: str
    path: str
    range: str | None
    status: int
    cookie: str | None = None


class Host:
    """Serves pages; `faults[path]` is a list of faults for the next requests, `always[path]` one for all."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.chance: Callable[[str, int], Fault | None] = lambda path, nth: None
        self.log: list[Seen] = []
        self.connections: list[socket.socket] = []
        self.open_most = 0
        self.lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._closing = threading.Event()
        host = self

        class Handler(_Handler):
            owner = host

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def put(self, path: str, body: bytes | str, kind: str = "video/mp4", **headers: str) -> str:
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Page(data, kind, {k.replace("_", "-"): v for k, v in headers.items()})
        return self.url + path

    def fault(self, path: str) -> Fault | None:
        with self.lock:
            self._asked[path] += 1
            nth = self._asked[path]
            if path in self.always:
                return self.always[path]
            if self.faults.get(path):
                return self.faults[path].pop(0)
        return self.chance(path, nth)

    def paths(self) -> list[str]:
        return [seen.path for seen in self.log]

    def close(self) -> None:
        self._closing.set()
        self.server.shutdown()
        self.server.server_close()


def _is_open(connection: socket.socket) -> bool:
    """Whether the client still holds the connection, by the state of the socket."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED
    except OSError:
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Host
    timeout = 30

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner.connections.append(self.connection)
            self.owner.connections = [c for c in self.owner.connections if _is_open(c)]
            self.owner.open_most = max(self.owner.open_most, len(self.owner.connections))

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        arrived = time.time()
        path = self.path.split("?")[0]
        fault = self.owner.fault(path) or Fault()
        page = self.owner.pages.get(path)
        status = fault.status or (404 if page is None else 200)
        body, headers = fault.body, dict(fault.headers)
        first = 0
        if status == 200 and page is not None:
            body, headers = page.body, {"Content-Type": page.kind, "Accept-Ranges": "bytes", **page.headers, **headers}
            span = self.headers.get("Range")
            if span and span.startswith("bytes="):
                begin, _, end = span[6:].partition("-")
                first, last = int(begin or 0), min(int(end or len(body) - 1), len(body) - 1)
                if first >= len(body):
                    status, body, first = 416, b"", 0
                else:
                    status = 206
                    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                    body = body[first : last + 1]
        asked = (self.headers.get("Range"), status, self.headers.get("Cookie"))
        self.owner.log.append(Seen(arrived, self.command, path, *asked))
        self.send_response(status, fault.reason)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(fault.length(len(body)) if fault.length else len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = min((c for c in (fault.reset_at, fault.stall_at, fault.close_at) if c is not None), default=None)
        with suppress(OSError):
            if fault.drip is not None:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    if self.owner._closing.wait(fault.drip):
                        return
                return
            self.wfile.write(body if cut is None else body[:cut])
            self.wfile.flush()
            if fault.stall_at is not None:
                # Until the client closes the connection.
                while not self.owner._closing.is_set() and not select.select([self.connection], [], [], 0.05)[0]:
                    pass
            if fault.reset_at is not None:
                # Closing with a linger time of 0 sends RST instead of FIN.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        if cut is not None or fault.length:
            self.close_connection = True


def one_in_ten(seed: int, most: int = 2) -> Callable[[str, int], Fault | None]:
    """Faults for a tenth of all requests, decided by path and number, at most `most` in a row for one path."""
    kinds = (
        Fault(500),
        Fault(503),
        Fault(reset_at=2_000),
        Fault(close_at=3_000),
        Fault(length=lambda n: n + 999),
        Fault(429, (("Retry-After", "0"),)),
    )

    def draws(path: str, nth: int) -> bool:
        return random.Random(f"{seed}{path}{nth}").random() < 0.1

    def chance(path: str, nth: int) -> Fault | None:
        if not draws(path, nth) or (nth > most and all(draws(path, n) for n in range(nth - most, nth))):
            return None
        return random.Random(f"{seed}{path}{nth}kind").choice(kinds)

    return chance
