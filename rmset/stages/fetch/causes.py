"""Why a video cannot be had, in kinds that the ledger counts, and what each kind means for trying again.

The text of a cause is always the downloader's or the host's own. Only its kind is decided here: by the type of the
error and the HTTP status where there is one, by the words of the message where there is none.
"""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rmset.errors import FetchError, RootError, VideoError


class Cause(StrEnum):
    """A kind of failure, as the ledger writes it."""

    PRIVATE = "private"
    REMOVED = "removed"
    GEO_BLOCKED = "geo-blocked"
    AGE_GATED = "age-gated"
    LOGIN = "login needed"
    FORBIDDEN = "forbidden"
    TOO_SMALL = "too small"
    NOT_YET = "not yet aired"
    DRM = "protected"
    NO_VIDEO = "no video"
    REFUSED = "refused"
    TAKEN_OUT = "taken out"
    BROKEN = "broken file"
    RATE_LIMITED = "rate-limited"
    NETWORK = "network"
    SERVER = "server error"
    DISK = "disk"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """Consequences of a cause."""

    tries: int
    """visits within one run; 0: the configured number"""
    next_run: bool
    """whether the next `rmset fetch` tries again automatically"""
    remedy: str


RULES: dict[Cause, Rule] = {
    Cause.PRIVATE: Rule(1, False, "ask its owner, or pass cookies of an account that may see it"),
    Cause.REMOVED: Rule(1, False, "take it off the manifest"),
    Cause.GEO_BLOCKED: Rule(1, False, "--proxy in a country where it is shown"),
    Cause.AGE_GATED: Rule(1, False, "--cookies of an account that may see it"),
    Cause.LOGIN: Rule(1, False, "--cookies or --cookies-from-browser"),
    Cause.FORBIDDEN: Rule(2, True, "update yt-dlp; see `rmset doctor`"),
    Cause.TOO_SMALL: Rule(1, False, "lower --min-height, or look for a better upload"),
    Cause.NOT_YET: Rule(1, True, "wait until it is over"),
    Cause.DRM: Rule(1, False, "take it off the manifest"),
    Cause.NO_VIDEO: Rule(1, False, "correct the URL; update yt-dlp"),
    Cause.TAKEN_OUT: Rule(1, False, "take it off the manifest; it was removed from this data set"),
    Cause.REFUSED: Rule(1, False, "correct the manifest"),
    Cause.BROKEN: Rule(2, False, "look at it at its host, then --retry"),
    Cause.RATE_LIMITED: Rule(0, True, "run again later, with fewer --jobs and a longer --sleep"),
    Cause.NETWORK: Rule(0, True, "run again"),
    Cause.SERVER: Rule(0, True, "run again later"),
    Cause.DISK: Rule(1, True, "free some space, then run again"),
    Cause.UNKNOWN: Rule(2, True, "update yt-dlp; read the message"),
}

_BY_STATUS = {
    401: Cause.LOGIN,
    402: Cause.LOGIN,
    403: Cause.FORBIDDEN,
    404: Cause.REMOVED,
    410: Cause.REMOVED,
    # A partial file as long as the whole one, or longer: a new download from the start mends it.
    416: Cause.BROKEN,
    429: Cause.RATE_LIMITED,
    451: Cause.GEO_BLOCKED,
}

# The words of yt-dlp's extractors and of YouTube itself, the more telling first.
_BY_WORDS: tuple[tuple[Cause, str], ...] = (
    (Cause.RATE_LIMITED, r"not a bot|asks for silence|rate-?limit|too many requests|try again later|captcha"),
    (Cause.DISK, r"no space left|disk quota"),
    (Cause.AGE_GATED, r"confirm your age|age[- ]restrict|inappropriate for some users"),
    (Cause.GEO_BLOCKED, r"geo[- ]?restrict|in your country|from your location|not available in your"),
    (Cause.PRIVATE, r"private video|video is private"),
    (Cause.NOT_YET, r"premieres? in|will begin in|live event will|not currently live|live stream|is upcoming"),
    (Cause.LOGIN, r"members[- ]only|join this channel|log ?in|sign in|registered users|requires payment|cookies"),
    (Cause.DRM, r"\bdrm\b"),
    (Cause.REMOVED, r"removed|no longer available|terminated|video (is )?unavailable|does(n't| not) exist|deleted"),
    (Cause.REFUSED, r"file:|unsafe|safety reasons|no connection adapters|unsupported url scheme"),
    (Cause.NO_VIDEO, r"redirect loop|unsupported url|no suitable|requested format|not a valid url|no video"),
    (Cause.BROKEN, r"did not get any data|downloaded file is empty"),
    (Cause.NETWORK, r"timed? ?out|connection|incomplete|content too short|fragment not found|bytes read|more expected"),
    (Cause.NETWORK, r"resolve|unreachable|reset|ssl"),
)  # fmt: skip


def classify(error: BaseException) -> Cause:
    """Return the kind of an error, from the whole chain of errors behind it."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, FetchError):
            return Cause(link.cause)
    for link in chain:
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            return Cause.DISK
    text = " ".join(str(link) for link in chain)
    # 200 responses may hold a refusal, and a 403 or 404 often is explained by the page: words that name a cause
    # outside the network count more than the bare status.
    worded = next((cause for cause, words in _BY_WORDS if re.search(words, text, re.IGNORECASE)), None)
    names = {type(link).__name__ for link in chain}
    if "GeoRestrictedError" in names:
        return Cause.GEO_BLOCKED
    status = next((s for link in chain if isinstance(s := getattr(link, "status", None), int)), None)
    if status is None and (found := re.search(r"HTTP Error (\d{3})", text)):
        # The downloader of fragments hands on nothing but the text.
        status = int(found[1])
    if status is not None:
        if worded in (Cause.RATE_LIMITED, Cause.AGE_GATED, Cause.GEO_BLOCKED, Cause.PRIVATE, Cause.DISK):
            return worded
        return _BY_STATUS.get(status, Cause.SERVER if status >= 500 else worded or Cause.UNKNOWN)
    if "UnsupportedRequest" in names or "NoSupportingHandlers" in names:
        return Cause.REFUSED
    if worded is not None:
        return worded
    if isinstance(error, VideoError):
        return Cause.BROKEN
    if isinstance(error, RootError):
        return Cause.DISK if len(chain) > 1 else Cause.UNKNOWN
    network = {"TransportError", "IncompleteRead", "SSLError", "ProxyError", "CertificateVerifyError"}
    return Cause.NETWORK if names & network or isinstance(error, OSError) else Cause.UNKNOWN


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors it was raised from; yt-dlp stores the original in `exc_info` and `cause`."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        link = todo.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        behind = getattr(link, "exc_info", None)
        todo.append(behind[1] if isinstance(behind, tuple) and len(behind) > 1 else None)
        cause = getattr(link, "cause", None)
        todo.append(cause if isinstance(cause, BaseException) else None)
        todo += [link.__cause__, link.__context__ if isinstance(link.__context__, OSError) else None]


def own_words(error: BaseException) -> str:
    """Return the error's own text as one line, without yt-dlp's colors, prefix and request to report a bug."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error) or type(error).__name__)
    text = re.sub(r"^\s*(ERROR:\s*)+", "", text)
    text = re.split(r"(; |\. If you believe this is an error, )please report this issue", text)[0]
    # A second time the same, as Python shows it.
    text = re.sub(r" \(caused by [^(].*\)\s*$", "", text, flags=re.DOTALL)
    return one_line(text, 400)


def one_line(text: str, limit: int = 300) -> str:
    r"""Text from the network made fit for a terminal and a JSON file: one line, no control characters, not endless.

    >>> one_line("a\x1b[2Jb\n c\x00")
    'a[2Jb c'
    """
    plain = " ".join(text.split())
    # C*: control, format (bidirectional overrides), surrogates, private use, unassigned.
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("C"))
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
