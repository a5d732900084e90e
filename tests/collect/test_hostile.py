"""Hostile hosts: they serve files that refer to this machine, never end, or demand endless waits."""

from __future__ import annotations

import ast
import gzip
import json
import shutil
import time
from pathlib import Path

import pytest

from rmset.errors import VideoError
from rmset.manifest import Entry
from rmset.parts.frames import VideoReader
from rmset.parts.media import open_media
from rmset.root import Root
from rmset.stages.fetch import bounds, ledger, responses, run
from rmset.stages.fetch.causes import Cause
from rmset.stages.fetch.pace import LONGEST_SILENCE, HostSilent, Pace, retry_after
from rmset.stages.fetch.take import add

from .clips import encode, hls, small
from .conftest import fetch_all
from .host import Fault, Host, Page, too_many

SECRET = "secret.mp4"


def naming(secret: Path) -> dict[str, str]:
    """Media files by format that refer to another file of this machine instead of holding a video."""
    mpd = f"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S" profiles="x">
<Period><AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1"><BaseURL>{secret}</BaseURL>
</Representation></AdaptationSet></Period></MPD>"""
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\n{secret}\n#EXT-X-ENDLIST\n",
        "hls by url": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret}\n",
        "concat by name": f"ffconcat version 1.0\nfile {secret.name}\n",
        "dash": mpd,
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "reference movie": f'<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?>'
        f'<embed src="{secret}" />',
        "image sequence": str(secret),
    }


@pytest.mark.parametrize("name", ["it.mp4", "it.m3u8", "it.mov", "it.ffconcat", "it.mpd", "it.sdp", "it"])
def test_a_file_that_names_another_is_no_video(name: str, tmp_path: Path) -> None:
    secret = encode(tmp_path / SECRET)
    for form, text in naming(secret).items():
        (tmp_path / name).write_text(text)
        with pytest.raises(VideoError, match="expected a video") as told:
            open_media(tmp_path / name).close()
        assert "\n" not in str(told.value), form


@pytest.mark.parametrize(
    "name", ["https:x.mp4", "data:,a.mp4", "concat:secret.mp4|b.mp4", "%03d.mp4", "subfile,,x.mp4"]
)
def test_a_path_is_never_taken_for_a_url(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = encode(tmp_path / SECRET)
    Path(name).write_bytes(whole.read_bytes())
    with VideoReader(Path(name)) as reader:
        assert len(list(reader.frames())) == 40


@pytest.mark.parametrize("name", ["it.mp4", "it.m3u8", "it.mov"])
@pytest.mark.parametrize("section", [None, (1.0, 2.0)])
def test_a_host_cannot_name_a_video_of_this_machine(
    name: str, section: tuple[float, float] | None, host: Host, root: Root, tmp_path: Path
) -> None:
    secret = encode(tmp_path / SECRET)
    urls = [host.put(f"/{n}-{name}", text) for n, text in enumerate(naming(secret).values())]
    for url, outcome in fetch_all(root, urls, section=section, jobs=4).items():
        assert outcome.record.status == "failed", url
        # As a playlist it is followed over the network only; it is not accepted as a video.
        assert outcome.record.cause is Cause.BROKEN or name == "it.m3u8"
    assert list((root.path / "videos").glob("*")) == []
    body = secret.read_bytes()
    assert all(p.read_bytes() != body for p in root.path.rglob("*") if p.is_file())


def test_only_one_module_gives_ffmpeg_a_path() -> None:
    package = Path(__file__).parents[2]
    found = set()
    for path in [p for folder in ("rmset", "fertrain", "cli") for p in (package / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and (node.attr == "VideoCapture" or ast.unparse(node) == "av.open"):
                found.add(path.relative_to(package).as_posix())
    assert found == {"rmset/parts/media.py"}


class Feeds(dict[str, Page]):
    """Endlessly nested feeds: every path is a feed of `branches` feeds."""

    def __init__(self, url: str, branches: int) -> None:
        self.url, self.branches = url, branches

    def get(self, path: str, default: object = None) -> Page:
        links = (f"{self.url}{path}/{n}.rss" for n in range(self.branches))
        items = "".join(f"<item><title>x</title><link>{link}</link></item>" for link in links)
        body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{items}</channel></rss>'
        return Page(body.encode(), "application/rss+xml")


@pytest.mark.slow
def test_feeds_of_feeds_end(host: Host, root: Root) -> None:
    host.pages = Feeds(host.url, 2)
    outcomes = fetch_all(root, [f"{host.url}/feed.rss"], jobs=2)
    assert len(host.log) == 2**7 - 1
    assert {o.record.cause for o in outcomes.values()} == {None, Cause.NO_VIDEO}
    assert any("inside each other" in (o.record.error or "") for o in outcomes.values())


def test_one_line_of_a_manifest_names_only_so_many_videos(
    host: Host, root: Root, clips_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_MOST_VIDEOS", 10)
    other = Host()
    try:
        host.pages = Feeds(host.url, 30)
        good = other.put("/good.mp4", small(clips_folder))
        outcomes = fetch_all(root, [f"{host.url}/feed.rss", good], jobs=1)
        assert len(host.log) == 11
        assert outcomes["good.mp4"].record.status == "done"
    finally:
        other.close()


@pytest.mark.parametrize("asked", ["999999999", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_host_is_left_alone_for_longer_than_a_day(asked: str, host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/a.mp4", small(clips_folder))
    host.always["/a.mp4"] = Fault(429, (("Retry-After", asked),))
    (outcome,) = fetch_all(root, [url], patience=10).values()
    assert outcome.record.cause is Cause.RATE_LIMITED
    ((until, since, _),) = ledger.read_silences(root).values()
    assert LONGEST_SILENCE - 60 < until - time.time() <= LONGEST_SILENCE
    assert until - since <= LONGEST_SILENCE + 1


@pytest.mark.parametrize("asked", ["²", "-1", "1e9", "NaN", "soon", "Mon, 99 Foo 2020 99:99:99 GMT"])
def test_a_time_that_is_none_is_no_time(asked: str) -> None:
    assert (retry_after({"Retry-After": asked}, time.time()) or 0) == 0


def test_a_silence_from_before_the_clock_was_set_back_ends(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/a.mp4", small(clips_folder))
    name = host.url.removeprefix("http://")
    future = time.time() + 30 * 365 * 86400
    root.write_text("state/hosts.json", json.dumps({name: [future + 0.3, future, "429"]}))
    (outcome,) = fetch_all(root, [url], patience=10).values()
    assert outcome.record.status == "done"
    for damaged in ('{"x": [Infinity, 0, "y"]}', "[" * 100_000, "{}", '{"x": 3}', '{"x": [1e308, -1e308, "y"]}'):
        root.write_text("state/hosts.json", damaged)
        assert fetch_all(root, [url])["a.mp4"].record.status == "done"


def test_a_clock_that_is_set_while_a_run_waits_changes_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1e9]
    monkeypatch.setattr("rmset.stages.fetch.pace.time.time", lambda: wall[0])
    pace = Pace(backoff=0.2, sleep=0.05)
    pace.refused("h", "429")
    wall[0] -= 10 * 365 * 86400
    began = time.monotonic()
    pace.enter("h")
    pace.answered("h")
    pace.begin_visit("h")
    wall[0] += 40 * 365 * 86400
    pace.begin_visit("h")
    assert 0.2 <= time.monotonic() - began < 30
    pace.refused("h", "429", 60)
    with pytest.raises(HostSilent):
        Pace.enter(_impatient(pace), "h")


def _impatient(pace: Pace) -> Pace:
    pace._patience = 1.0
    return pace


def test_a_short_video_with_endless_junk_is_broken(host: Host, root: Root, clips_folder: Path) -> None:
    junk = bytes(bounds.most_bytes(2.0) + (8 << 20))
    url = host.put("/junk.mp4", small(clips_folder, seconds=2.0) + len(junk).to_bytes(4, "big") + b"free" + junk)
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.cause is Cause.BROKEN
    assert "for a video of 2.0 s" in (outcome.record.error or "")
    assert not list(root.path.rglob("*.mp4"))


def test_a_download_ends_where_it_outgrows_what_was_promised(host: Host, root: Root, clips_folder: Path) -> None:
    body = small(clips_folder, seconds=2.0)
    url = host.put("/junk.mp4", body + bytes(2 * bounds.most_bytes(2.0)))
    (outcome,) = fetch_all(root, [Entry(url, duration_s=2.0)]).values()
    assert outcome.record.cause is Cause.BROKEN
    found = int((outcome.record.error or "").rsplit(" ", 1)[1].replace(",", ""))
    assert bounds.most_bytes(2.0) < found < bounds.most_bytes(2.0) + (8 << 20)


def test_a_video_of_unknown_length_has_a_limit_of_its_own(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/junk.mp4", small(clips_folder, seconds=2.0) + bytes(12 << 20))
    (outcome,) = fetch_all(root, [url], max_bytes=4 << 20).values()
    assert outcome.record.cause is Cause.BROKEN
    assert "for a video of unknown length" in (outcome.record.error or "")
    assert "--max-size" in (outcome.record.error or "")
    assert bounds.most_bytes(None) == 16 << 30
    assert not list(root.path.rglob("*.mp4"))


def test_a_download_leaves_a_reserve_of_the_disk(
    host: Host, root: Root, clips_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops while other programs still have disk space, and the next run continues."""
    usage = shutil.disk_usage(root.path)
    low = usage._replace(total=1 << 40, free=(1 << 30) - 1)
    monkeypatch.setattr(bounds.shutil, "disk_usage", lambda folder: low)
    url = host.put("/a.mp4", small(clips_folder))
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.cause is Cause.DISK
    assert "no space left: the disk has, beside its reserve, 0" in (outcome.record.error or "")
    monkeypatch.undo()
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.status == "done"


def test_a_page_that_unpacks_without_end_is_left(host: Host, root: Root) -> None:
    bomb = gzip.compress(b"<html>" + b" " * (bounds.MOST_PAGE * 2), 1)
    assert len(bomb) < 1 << 20
    url = host.put("/page.html", b"", "text/html", Content_Encoding="gzip")
    host.pages["/page.html"].body = bomb
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.cause is Cause.NO_VIDEO
    assert "expected a page of at most" in (outcome.record.error or "")


def test_a_host_that_drips_is_given_up(
    host: Host, root: Root, clips_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "_WINDOW_S", 0.5)
    url = host.put("/drip.mp4", small(clips_folder))
    host.always["/drip.mp4"] = Fault(drip=0.05)
    (outcome,) = fetch_all(root, [url], retries=1).values()
    assert outcome.record.cause is Cause.NETWORK
    assert "timed out" in (outcome.record.error or "")


def test_a_kill_between_the_last_fragment_and_its_renaming_changes_nothing(
    host: Host, root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in hls(tmp_path / "hls", (64,)).items():
        host.put(f"/{name}", body, "application/vnd.apple.mpegurl" if name.endswith("m3u8") else "video/mp2t")
    url = f"{host.url}/master.m3u8"
    calm = Root(tmp_path / "calm")
    (whole,) = fetch_all(calm, [url]).values()
    # The moment of the kill: everything is put together, the count of fragments is gone, the name is still the old.
    folder = root.path / "state/downloads" / whole.record.video_id

    class Killed(BaseException):
        pass

    def die(self: object, old: str, new: str) -> None:
        if new.endswith(("source.mp4", "source.ts", "source.m3u8")):
            raise Killed

    from yt_dlp.downloader.common import FileDownloader

    rename = FileDownloader.try_rename
    with monkeypatch.context() as patch:
        patch.setattr(
            FileDownloader, "try_rename", lambda self, old, new: die(self, old, new) or rename(self, old, new)
        )
        with pytest.raises(Killed):
            fetch_all(root, [url])
    assert list(folder.glob("*.part"))
    assert not list(folder.glob("*.ytdl"))
    host.log.clear()
    (outcome,) = fetch_all(root, [url], retries=1).values()
    assert (outcome.record.status, outcome.record.tries) == ("done", 1)
    assert root.video_path(whole.record.video_id).read_bytes() == calm.video_path(whole.record.video_id).read_bytes()
    assert not [path for path in host.paths() if path.endswith(".ts")], "nothing is downloaded twice"


def test_a_broken_file_out_of_halves_counts_as_no_try(host: Host, root: Root, clips_folder: Path) -> None:
    """Half of an earlier run's file plus half of another: two tries from the start remain."""
    first, second = small(clips_folder, seed=1), small(clips_folder, seed=2)
    url = host.put("/it.mp4", first)
    host.faults["/it.mp4"] = [Fault(), Fault(close_at=90_000), *[Fault(reset_at=0)] * 20]
    fetch_all(root, [url], retries=1)
    host.put("/it.mp4", second)
    # The first try continues the wrong half; the host damages the second; the third is complete.
    host.faults["/it.mp4"] = [Fault(), Fault(), Fault(), Fault(length=lambda n: n // 2)]
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.status == "done"
    assert root.video_path(outcome.record.video_id).read_bytes() == second


def test_fetching_goes_on_after_too_many_refusals(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/a.mp4", small(clips_folder))
    host.faults["/a.mp4"] = [too_many(0)] * 5
    assert fetch_all(root, [url])["a.mp4"].record.status == "done"


def test_a_video_that_was_never_written_in_full_is_refused_at_once(tmp_path: Path) -> None:
    for suffix in ("mkv", "mp4"):
        path = encode(tmp_path / f"a.{suffix}", seconds=1.0)
        with path.open("r+b") as file:
            file.truncate(1 << 40)
        with pytest.raises(VideoError, match="were never written"):
            VideoReader(path)
        with pytest.raises(VideoError, match="were never written"):
            add(Root(tmp_path / "root"), path)
