"""One visit to one host for one video: its metadata and its download. Only this module and `downloader` use yt-dlp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import DownloadCancelled
from yt_dlp.version import __version__ as yt_dlp_version

from rmset.bounded import read_text
from rmset.errors import FetchError, UnreadableError
from rmset.outputs import begin, clear
from rmset.stages.fetch.bounds import MOST_REQUESTS, check_bytes, check_disk
from rmset.stages.fetch.causes import Cause, own_words
from rmset.stages.fetch.choose import selector
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.downloader import Log, params
from rmset.stages.fetch.pace import HostSilent, Pace, Stopped, host_of, retry_after
from rmset.stages.fetch.responses import Steady, bound_page

VERSION: str = yt_dlp_version
MOST_CHILDREN = 5000
"""videos taken of one playlist"""
_MOST_HOPS = 8
"""references followed from a URL to its video"""

OnBytes = Callable[[int], None]
"""called with the number of bytes that have come since the last call"""


class _Ended(DownloadCancelled):  # type: ignore[misc]
    """Carries `Stopped` or `HostSilent` out through yt-dlp, which lets only its own cancellation pass unharmed."""

    def __init__(self, reason: Stopped | HostSilent) -> None:
        super().__init__(str(reason))
        self.reason = reason


class PacedYoutubeDL(YoutubeDL):  # type: ignore[misc]
    """yt-dlp with every request passing through the shared pace, and no more than one connection at a time."""

    def __init__(self, params: dict[str, Any], pace: Pace) -> None:
        self._pace = pace
        self._response: Any = None
        self.requests: int | None = None
        """of this visit so far; None while a video is downloaded, whose pieces may be many"""
        super().__init__(params)

    def urlopen(self, req: Request | str) -> Any:
        """Send a request when the pace allows it; after a refusal wait and send it again."""
        host = host_of(req if isinstance(req, str) else req.url)
        # Extractors leave responses open; each would hold a connection.
        self.close_response()
        if self.requests is not None:
            self.requests += 1
            if self.requests > MOST_REQUESTS:
                raise FetchError(f"more than {MOST_REQUESTS:,} requests for one page or playlist", Cause.NO_VIDEO)
        while True:
            try:
                self._pace.enter(host)
            except (Stopped, HostSilent) as reason:
                raise _Ended(reason) from reason
            try:
                self._response = super().urlopen(req)
            except HTTPError as error:
                seconds = retry_after(error.response.headers, time.time())
                if not (error.status == 429 or (error.status == 503 and seconds is not None)):
                    self._pace.answered(host)
                    # Extractors may read the page that comes with an error.
                    self._response = error.response
                    bound_page(self._response)
                    raise
                why = own_words(error)
                error.close()
                # After a redirection the final host refuses.
                for refusing in {host, host_of(error.response.url)}:
                    self._pace.refused(refusing, why, seconds)
            else:
                self._pace.answered(host)
                self._response.fp = Steady(self._response.fp)
                bound_page(self._response)
                return self._response

    def close_response(self) -> None:
        """Let go of the last response's connection."""
        response, self._response = self._response, None
        if response is not None:
            with suppress(OSError, RequestError):
                response.close()


@dataclass(frozen=True)
class Downloaded:
    """A downloaded file, unchecked, with its host's metadata."""

    path: Path
    info: dict[str, Any]


class Visitor:
    """A worker's yt-dlp, used for one video after the other."""

    def __init__(self, config: FetchConfig, pace: Pace) -> None:
        self._config, self._log = config, Log()
        self._ydl = PacedYoutubeDL(params(config, self._log), pace)

    @property
    def warning(self) -> str:
        """The last warning of yt-dlp during this visit; it often explains missing formats."""
        return self._log.warning_text

    def close(self) -> None:
        """Close its connections."""
        self._ydl.close_response()
        self._ydl.close()

    def look(self, url: str, extractor: str | None = None) -> dict[str, Any]:
        """Resolve a URL, following references, to a `video` or a `playlist` in yt-dlp's terms.

        Raises:
            Exception: yt-dlp's own, or `Stopped`, or `HostSilent`.
        """
        self._log.warning_text = ""
        self._ydl.requests = 0
        with self._unwrapped():
            known: dict[str, Any] = {}
            for _ in range(_MOST_HOPS):
                found = self._ydl.extract_info(url, download=False, process=False, ie_key=extractor)
                if not found:
                    raise FetchError(self._log.warning_text or "the extractor found nothing", Cause.NO_VIDEO)
                found = {**found, **known}
                if found.get("_type", "video") not in ("url", "url_transparent"):
                    return found
                if found["_type"] == "url_transparent":
                    # Metadata of the referring page takes precedence over that of the page it refers to.
                    own = ("_type", "url", "ie_key", "id", "extractor", "extractor_key", "formats")
                    known = {k: v for k, v in found.items() if v is not None and k not in own}
                url, extractor = found["url"], found.get("ie_key")
            raise FetchError(f"more than {_MOST_HOPS} references from one to the next", Cause.NO_VIDEO)

    def children(self, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the entries of a playlist, as its host hands them out, page by page."""
        with self._unwrapped():
            for number, child in enumerate(found.get("entries") or ()):
                if number >= MOST_CHILDREN:
                    return
                if child:
                    # Children inherit the page's name and address, but not its contents.
                    yield {"extractor": found.get("extractor"), "webpage_url": found.get("webpage_url")} | child

    def describe(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return yt-dlp's metadata of a video without downloading it; no format is required."""
        with self._unwrapped():
            self._ydl.params["format"] = "all"
            self._ydl.format_selector = self._ydl.build_format_selector("all")
            return dict(self._ydl.process_ie_result(found, download=False))

    def download(
        self, found: dict[str, Any], folder: Path, min_height: int, on_bytes: OnBytes, seconds: float | None = None
    ) -> Downloaded:
        """Download a video found by `look` into its own folder; partial files resume.

        Args:
            found: the video.
            folder: where it arrives.
            min_height: px.
            on_bytes: counts them.
            seconds: promised length; a download of far more bytes than it needs is aborted.

        Raises:
            Exception: yt-dlp's own, or `Stopped`, or `HostSilent`.
            FetchError: no format is tall enough, or nothing arrived.
        """
        # yt-dlp answers with absolute paths.
        folder = folder.resolve()
        last = 0

        def hook(state: dict[str, Any]) -> None:
            nonlocal last
            if self._ydl._pace.stopped:
                raise _Ended(Stopped())
            now = int(state.get("downloaded_bytes") or 0)
            check_bytes(now, seconds, self._config.max_bytes)
            check_disk(folder)
            on_bytes(max(0, now - last))
            last = now

        choose = selector(self._ydl.build_format_selector, min_height, self._config.audio)

        def choose_and_prepare(context: dict[str, Any]) -> Iterator[Any]:
            for chosen in choose(context):
                _refuse_if_full(folder, chosen)
                _prepare(folder, str(chosen.get("format_id")))
                yield chosen

        self._ydl.requests = None
        self._ydl._progress_hooks[:] = [hook]
        self._ydl.params["outtmpl"]["default"] = str(folder).replace("%", "%%") + "/source.%(ext)s"
        self._ydl.format_selector = choose_and_prepare
        with self._unwrapped():
            info = self._ydl.process_ie_result(found, download=True)
        files = [Path(d["filepath"]) for d in (info or {}).get("requested_downloads", ()) if d.get("filepath")]
        if not files or not files[0].is_file() or files[0].parent != folder:
            raise FetchError(self._log.warning_text or "nothing was downloaded", Cause.UNKNOWN)
        return Downloaded(files[0], info)

    def _unwrapped(self) -> _Unwrapped:
        return _Unwrapped(self._ydl)


class _Unwrapped:
    """Re-raise `Stopped` and `HostSilent` as raised, and close the connection in any case."""

    def __init__(self, ydl: PacedYoutubeDL) -> None:
        self._ydl = ydl

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Unwrap."""
        self._ydl.close_response()
        if isinstance(error, _Ended):
            raise error.reason from None


def _refuse_if_full(folder: Path, chosen: Mapping[str, Any]) -> None:
    """Fail before a download that cannot fit, rather than after hours of it."""
    folder.mkdir(parents=True, exist_ok=True)
    check_disk(folder, int(chosen.get("filesize") or chosen.get("filesize_approx") or 0))


def _prepare(folder: Path, format_id: str) -> None:
    """Prepare a folder for continuing or starting the download of a format.

    After a kill between appending and counting a fragment, or between the last fragment and the renaming, a fragment
    would be appended twice. The fragments themselves are whole or absent, so the file is joined from them again, and
    nothing is downloaded twice.
    """
    choice = folder / "format.txt"
    try:
        same = read_text(choice) == format_id
    except (FileNotFoundError, UnreadableError):
        same = False
    if not same:
        for path in folder.iterdir():
            clear(path)
        begin(choice, None)
        choice.write_text(format_id, encoding="utf-8")
    for path in [*folder.glob("*.ytdl"), *folder.glob("*.part-Frag*")]:
        whole = folder / f"{path.name.removesuffix('.ytdl').partition('.part-Frag')[0]}.part"
        whole.unlink(missing_ok=True)
    for path in folder.glob("*.ytdl"):
        path.unlink()
