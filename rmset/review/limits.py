"""Limits of the page's server: connections, the time for a request's head, the size of its body.

Any user of the machine can open connections, as that needs no token. So a connection is closed if it has not sent a
request's head within ten seconds. If too many wait, the oldest is closed to admit the newest.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 128
HEAD_S = 10.0
MOST_BODY = 4_000_000
"""bytes of a layout; the longest valid layout is shorter"""


class TooLargeError(Exception):
    """A body of more than `MOST_BODY` bytes."""


async def body_of(request: Request) -> bytes:
    """Return the body of a request, read no further than `MOST_BODY`.

    Raises:
        TooLargeError: the body, or its declared length, is larger.
    """
    said = request.headers.get("content-length", "0")
    if not (said.isascii() and said.isdigit()) or int(said[:20]) > MOST_BODY:
        raise TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise TooLargeError
    return bytes(body)


def limited() -> type[H11Protocol]:
    """Make the protocol class of one server, which counts that server's connections."""
    waiting: dict[H11Protocol, asyncio.TimerHandle] = {}

    class Limited(H11Protocol):
        """HTTP/1.1 with a deadline for the head and a limit on connections."""

        def connection_made(self, transport: Any) -> None:
            """Start the deadline for a request's head."""
            super().connection_made(transport)
            waiting[self] = self.loop.call_later(HEAD_S, transport.abort)
            while len(self.connections) > MOST_CONNECTIONS and waiting:
                # A dict keeps the order of insertion, so the first is the oldest.
                oldest = next(iter(waiting))
                waiting.pop(oldest).cancel()
                self.connections.discard(oldest)
                oldest.transport.abort()

        def data_received(self, data: bytes) -> None:
            """End the deadline once the head is complete."""
            super().data_received(data)
            if self.cycle is not None and (timer := waiting.pop(self, None)):
                timer.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            """Forget the connection."""
            if timer := waiting.pop(self, None):
                timer.cancel()
            super().connection_lost(exc)

    return Limited
