"""Causes recorded for faults: the test host makes every fault, and the downloader gives the cause's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmset.manifest import Entry
from rmset.root import Root
from rmset.stages.fetch.causes import Cause, classify, one_line, own_words

from .clips import small
from .conftest import fetch_all
from .host import Fault, Host, too_many

LASTING = {
    "not found": (Fault(404), Cause.REMOVED, "404"),
    "gone": (Fault(410), Cause.REMOVED, "410"),
    "forbidden": (Fault(403), Cause.FORBIDDEN, "403"),
    "unauthorized": (Fault(401), Cause.LOGIN, "401"),
    "legal reasons": (Fault(451), Cause.GEO_BLOCKED, "451"),
    "server error": (Fault(500), Cause.SERVER, "500"),
    "reset in mid-file": (Fault(reset_at=3_000), Cause.NETWORK, "reset by peer"),
    "more promised than sent": (Fault(length=lambda n: n + 5000), Cause.NETWORK, "more expected"),
    "less promised than there is": (Fault(length=lambda n: n // 2), Cause.BROKEN, "cut short"),
    "redirected to a file": (Fault(302, (("Location", "file:///etc/passwd"),)), Cause.REFUSED, "file:///etc/passwd"),
    "redirected in a circle": (Fault(302, (("Location", "/it.mp4"),)), Cause.NO_VIDEO, "redirect loop"),
}
PASSING = {
    "server error": [Fault(500)],
    "reset in mid-file": [Fault(), Fault(reset_at=50_000)],
    "closed in mid-file": [Fault(), Fault(close_at=50_000), Fault(close_at=10_000)],
    "stall": [Fault(), Fault(stall_at=50_000)],
    "429 with a time": [too_many(0.2)],
    "429 with a time, in mid-work": [Fault(), too_many(0)],
    "429 without": [too_many()],
    "503 with a time": [Fault(503, (("Retry-After", "0"),))],
}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_ends_in_its_true_cause(name: str, host: Host, root: Root, clips_folder: Path) -> None:
    fault, cause, words = LASTING[name]
    host.always["/it.mp4"] = fault
    (outcome,) = fetch_all(root, [host.put("/it.mp4", small(clips_folder))], retries=2).values()
    assert (outcome.record.status, outcome.record.cause) == ("failed", cause)
    assert words in (outcome.record.error or "")
    assert root.video_ids() == []
    assert list(root.path.glob("videos/*")) == []


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_leaves_no_trace(name: str, host: Host, root: Root, clips_folder: Path) -> None:
    body = small(clips_folder)
    host.faults["/it.mp4"] = list(PASSING[name])
    (outcome,) = fetch_all(root, [host.put("/it.mp4", body)], timeout=0.5).values()
    assert (outcome.record.status, outcome.record.cause, outcome.record.error) == ("done", None, None)
    assert root.video_path(outcome.record.video_id).read_bytes() == body


def test_a_lasting_stall_is_the_networks(host: Host, root: Root, clips_folder: Path) -> None:
    host.always["/it.mp4"] = Fault(stall_at=50_000)
    (outcome,) = fetch_all(root, [host.put("/it.mp4", small(clips_folder))], timeout=0.3, retries=1).values()
    assert outcome.record.cause is Cause.NETWORK
    assert "timed out" in (outcome.record.error or "")


def damaged(body: bytes) -> bytes:
    spoilt = bytearray(body)
    for at in range(len(body) * 4 // 10, len(body) * 6 // 10, 7):
        spoilt[at] ^= 0x55
    return bytes(spoilt)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda b: b[: len(b) // 2], "cut short"),
        (damaged, "does not decode"),
        (lambda b: b[5000:], "invalid data"),
        (lambda b: b"<html>sorry</html>", "invalid data"),
        (lambda b: b"", "data blocks"),
    ],
    ids=["truncated", "corrupted", "no header", "a page", "empty"],
)
def test_a_file_that_lies_is_no_video(bend, words: str, host: Host, root: Root, clips_folder: Path) -> None:
    (outcome,) = fetch_all(root, [host.put("/it.mp4", bend(small(clips_folder)))]).values()
    assert outcome.record.cause is Cause.BROKEN
    assert words in (outcome.record.error or "")
    assert outcome.record.tries == 2, "once more from nothing, in case two halves did not fit"
    assert root.video_ids() == []


def test_a_video_shorter_than_promised_is_broken(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/it.mp4", small(clips_folder))
    (outcome,) = fetch_all(root, [Entry(url, duration_s=30.0)]).values()
    assert outcome.record.cause is Cause.BROKEN
    assert outcome.record.error == "the manifest promised 30 s, the file has 4.00 s"


def test_a_file_smaller_than_wanted_is_too_small(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/it.mp4", small(clips_folder, size=(48, 32)))
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.cause is Cause.TOO_SMALL
    assert outcome.record.tries == 1


def test_half_of_another_file_heals_by_beginning_anew(host: Host, root: Root, clips_folder: Path) -> None:
    first, second = small(clips_folder, seed=1), small(clips_folder, seed=2)
    url = host.put("/it.mp4", first)
    host.faults["/it.mp4"] = [Fault(), Fault(close_at=90_000), *[Fault(reset_at=0)] * 20]
    fetch_all(root, [url], retries=1)
    host.faults.clear()
    host.put("/it.mp4", second)
    (outcome,) = fetch_all(root, [url]).values()
    assert root.video_path(outcome.record.video_id).read_bytes() == second


@pytest.mark.parametrize("body", ['<video src="file:///etc/passwd"></video>', '<iframe src="file:///etc/passwd">'])
def test_pages_cannot_reach_local_files(body: str, host: Host, root: Root) -> None:
    (outcome,) = fetch_all(root, [host.put("/page.html", f"<html>{body}</html>", "text/html")]).values()
    assert outcome.record.cause in (Cause.REFUSED, Cause.NO_VIDEO)


def test_playlists_cannot_reach_local_files(host: Host, root: Root) -> None:
    body = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    (outcome,) = fetch_all(root, [host.put("/it.m3u8", body, "application/vnd.apple.mpegurl")]).values()
    assert outcome.record.cause is Cause.REFUSED


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Sign in to confirm you’re not a bot. Use --cookies-from-browser", Cause.RATE_LIMITED),
        (
            "This content isn't available, try again later. The current session has been rate-limited",
            Cause.RATE_LIMITED,
        ),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", Cause.AGE_GATED),
        ("Private video. Sign in if you've been granted access to this video", Cause.PRIVATE),
        ("Video unavailable. This video has been removed by the uploader", Cause.REMOVED),
        ("Video unavailable. This video is no longer available because the account was terminated", Cause.REMOVED),
        ("The uploader has not made this video available in your country", Cause.GEO_BLOCKED),
        ("Join this channel to get access to members-only content like this video", Cause.LOGIN),
        ("Premieres in 3 hours", Cause.NOT_YET),
        ("This live event will begin in 20 minutes.", Cause.NOT_YET),
        ("This video is DRM protected", Cause.DRM),
        ("Unsupported URL: http://x/", Cause.NO_VIDEO),
        ("[Errno 28] No space left on device", Cause.DISK),
        # A partial file as long as the whole one: it is discarded, and a new download succeeds.
        ("HTTP Error 416: Requested Range Not Satisfiable", Cause.BROKEN),
        ("something nobody has ever said", Cause.UNKNOWN),
    ],
)
def test_words_of_hosts_are_understood(words: str, cause: Cause) -> None:
    from yt_dlp.utils import DownloadError, ExtractorError

    inner = ExtractorError(words, expected=True, video_id="dQw4w9WgXcQ", ie="youtube")
    assert classify(DownloadError(f"ERROR: {inner}", (type(inner), inner, None))) is cause


def test_messages_are_one_line_without_control_characters() -> None:
    from yt_dlp.utils import ExtractorError

    bug = ExtractorError("odd \x1b[31mred\x1b[0m\nthing\x00‮")
    assert own_words(bug) == "odd red thing"
    assert len(one_line("x" * 1000, 100)) == 100
