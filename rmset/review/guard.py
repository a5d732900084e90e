"""Access control of the page: requires the secret token, this machine, and this page as origin.

The loopback excludes other machines; the Host check excludes foreign names pointing here (DNS rebinding); the Origin
check excludes other pages in the same browser; the token excludes other users of the machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

Scope = dict[str, Any]

_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


_REFUSED = b"403: open the address that `rmset layout review` shows\n"


class Guard:
    """ASGI middleware: 403 for all other requests."""

    def __init__(self, app: Callable[..., Any], token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass on an allowed request; answer 403 to others."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if not self._may(scope):
            # The connection is closed at once, without waiting for the body.
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSED})
            return

        async def sealed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self._app(scope, receive, sealed)

    def _may(self, scope: Scope) -> bool:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        # Compared in constant time, against timing attacks.
        return (
            secrets.compare_digest(given.encode(), self._token.encode())
            and headers.get("host") in self._hosts
            and headers.get("origin", next(iter(self._origins))) in self._origins
            and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        )
