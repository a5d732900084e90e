"""A small text from the web: https only (http on this machine's loopback), bounded in size, one-line errors."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from rmset.errors import RootError, UsageError

_TIMEOUT_S = 30.0
_BLOCK = 1 << 16
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def download(url: str, most: int) -> str:
    """Return a text of at most `most` bytes.

    Raises:
        UsageError: the address is not of https.
        RootError: it cannot be had, is too large, or is no UTF-8.
    """
    _check(url)
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "rmset"}), timeout=_TIMEOUT_S) as answer:  # noqa: S310  (checked)
            data = bytearray()
            while block := answer.read(_BLOCK):
                data += block
                if len(data) > most:
                    raise RootError(f"{url}: expected at most {most:,} bytes, found more; name another file")
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        what = " ".join(str(getattr(error, "reason", error)).split())[:200]
        raise RootError(f"{url}: expected the removals of a release, found: {what}; try again later") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RootError(f"{url}: expected UTF-8 text, found other bytes; name another file") from error


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme.lower() == "https" or parts.hostname in _LOOPBACK
    except ValueError:
        is_safe = False
    if not is_safe:
        raise UsageError(f"{url[:200]}: expected an https address, which protects the list from changes on its way")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Follow only to addresses that are allowed themselves."""
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
