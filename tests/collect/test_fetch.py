"""Fetched videos: formats of hosts, choice of format, records, sections, resuming."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmset.errors import FetchError, ManifestError, UsageError
from rmset.files import sha256_of
from rmset.manifest import Entry
from rmset.parts.probe import probe
from rmset.records import url_video_id
from rmset.root import Root
from rmset.stages.fetch import ledger
from rmset.stages.fetch.arrive import bring
from rmset.stages.fetch.causes import Cause
from rmset.stages.fetch.choose import format_spec
from rmset.stages.fetch.run import fetch
from rmset.stages.fetch.targets import of_entry
from rmset.stages.fetch.visit import _refuse_if_full

from .clips import dash, encode, hls, small
from .conftest import fetch_all, gentle
from .host import Fault, Host

KINDS = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".mpd": "application/dash+xml"}


def serve(host: Host, prefix: str, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        host.put(f"{prefix}/{name}", body, KINDS.get(Path(name).suffix, "video/mp4"))


def test_a_direct_file_arrives_byte_for_byte_with_its_record(host: Host, root: Root, clips_folder: Path) -> None:
    body = small(clips_folder)
    url = host.put("/Sad reaction.mp4".replace(" ", "%20"), body)
    outcome = fetch_all(root, [Entry(url, query="sad", split="train", license="CC-BY", line=2)])["Sad%20reaction.mp4"]
    video = root.record(outcome.record.video_id)
    assert root.video_path(video.video_id).read_bytes() == body
    assert (video.source_url, video.query, video.split, video.license) == (url, "sad", "train", "CC-BY")
    assert (video.width, video.height, video.codec, video.frame_count) == (96, 64, "h264", 40)
    assert video.format_id == "mp4"
    assert video.yt_dlp
    assert video.downloaded
    assert video.sha256 == sha256_of(root.video_path(video.video_id))
    assert not list((root.path / "state/downloads").iterdir())


def test_the_tallest_hls_variant_arrives_as_mp4(host: Host, root: Root, tmp_path: Path) -> None:
    serve(host, "/hls", hls(tmp_path / "hls"))
    (outcome,) = fetch_all(root, [f"{host.url}/hls/master.m3u8"], min_height=1080).values()
    assert outcome.record.status == "done"
    path = root.video_path(outcome.record.video_id)
    found = probe(path)
    assert path.suffix == ".mp4"
    assert (found.height, found.frame_count, found.fault) == (1080, 15, None)
    assert not any("480/" in p and p.endswith(".ts") for p in host.paths())


def test_a_source_of_720_is_too_small_and_nothing_of_it_is_downloaded(host: Host, root: Root, tmp_path: Path) -> None:
    serve(host, "/hls", hls(tmp_path / "hls", (480, 720)))
    (outcome,) = fetch_all(root, [f"{host.url}/hls/master.m3u8"], min_height=1080).values()
    assert outcome.record.cause is Cause.TOO_SMALL
    assert "720" in (outcome.record.error or "")
    assert not any(p.endswith(".ts") for p in host.paths())
    (outcome,) = fetch_all(root, [f"{host.url}/hls/master.m3u8"], min_height=700).values()
    assert outcome.record.status == "done", "a lower wish makes it worth another try"


def test_dash_arrives(host: Host, root: Root, tmp_path: Path) -> None:
    serve(host, "/dash", dash(tmp_path / "dash"))
    (outcome,) = fetch_all(root, [f"{host.url}/dash/film.mpd"], min_height=1080).values()
    assert probe(root.video_path(outcome.record.video_id)).frame_count == 15


def test_pages_and_feeds_hold_several_videos_and_each_is_taken_once(host: Host, root: Root, clips_folder: Path) -> None:
    urls = [host.put(f"/{n}.mp4", small(clips_folder, seed=n)) for n in range(3)]
    body = "<title>Two</title><video src='/0.mp4'></video><p/><video src='/1.mp4'></video>"
    page = host.put("/page.html", f"<html>{body}</html>", "text/html")
    items = "".join(f"<item><title>v</title><link>{u}</link></item>" for u in urls)
    feed = host.put("/feed.xml", f"<rss><channel><title>F</title>{items}</channel></rss>", "application/rss+xml")
    outcomes = fetch_all(root, [urls[2], page, feed])
    assert len(outcomes["page.html"].record.children) == 2
    assert len(outcomes["feed.xml"].record.children) == 3
    assert len(root.video_ids()) == 5, "two inside the page, three files of which one stands in both lists"
    assert {o.record.status for o in outcomes.values()} == {"done"}


def test_vp9_in_webm_is_kept_as_webm(host: Host, root: Root, tmp_path: Path) -> None:
    body = encode(tmp_path / "v.webm", codec="libvpx-vp9", seconds=1).read_bytes()
    (outcome,) = fetch_all(root, [host.put("/v.mp4", body)]).values()
    assert root.video_path(outcome.record.video_id).suffix == ".webm", "what is in it counts, not its name"


def test_h264_comes_before_taller_av1_and_pictures_alone_before_pictures_with_sound() -> None:
    from yt_dlp import YoutubeDL

    def chosen(*formats: tuple[str, int, str, str]) -> list[str]:
        rows = [
            {"format_id": n, "height": h, "width": h, "vcodec": v, "acodec": a, "url": "http://x/", "ext": "mp4"}
            for n, h, v, a in formats
        ]
        select = YoutubeDL({"quiet": True}).build_format_selector(format_spec(1080, audio=False))
        context = {"formats": rows, "has_merged_format": True, "incomplete_formats": False}
        return [f["format_id"] for f in select(context)]

    assert chosen(("avc", 1080, "avc1.64", "none"), ("av1", 2160, "av01.0", "none")) == ["avc"]
    assert chosen(("avc", 720, "avc1.64", "none"), ("vp9", 1080, "vp09.0", "none")) == ["vp9"]
    assert chosen(("muxed", 1080, "avc1.64", "mp4a"), ("alone", 1080, "avc1.64", "none")) == ["alone"]
    assert chosen(("unknown", None, None, None)) == ["unknown"]
    assert chosen(("avc", 720, "avc1.64", "none")) == []


def test_a_section_begins_at_a_key_frame_and_ends_where_asked(host: Host, root: Root, clips_folder: Path) -> None:
    url = host.put("/a.mp4", small(clips_folder))
    (outcome,) = fetch_all(root, [url], section=(1.5, 3.0)).values()
    found = probe(root.video_path(outcome.record.video_id))
    assert (found.frame_count, found.fault) == (20, None), "from the key frame at 1 s to 3 s, 10 frames a second"
    assert root.record(outcome.record.video_id).section == (1.5, 3.0)
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.fresh, "another section is another wish"
    assert root.record(outcome.record.video_id).frame_count == 40


def test_a_relative_root_with_a_percent_sign_does_as_well(
    host: Host, tmp_path: Path, clips_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("100%(id)s").mkdir()
    (outcome,) = fetch_all(Root("100%(id)s"), [host.put("/a.mp4", small(clips_folder))]).values()
    assert outcome.record.status == "done", outcome.record.error
    assert [p.name for p in tmp_path.iterdir()] == ["100%(id)s"]


def test_a_second_run_makes_no_request(host: Host, root: Root, clips_folder: Path) -> None:
    urls = [host.put("/a.mp4", small(clips_folder)), host.url + "/gone.mp4"]
    fetch_all(root, urls)
    asked = len(host.log)
    again = fetch_all(root, urls)
    assert len(host.log) == asked
    assert again["gone.mp4"].record.cause is Cause.REMOVED
    fetch_all(root, urls, retry=[Cause.REMOVED])
    assert host.paths()[asked:] == ["/gone.mp4"]


def test_a_download_cut_off_by_the_end_of_a_run_is_gone_on_with(host: Host, root: Root, clips_folder: Path) -> None:
    body = small(clips_folder)
    url = host.put("/a.mp4", body)
    host.faults["/a.mp4"] = [Fault(), Fault(close_at=100_000), *[Fault(reset_at=0)] * 20]
    (outcome,) = fetch_all(root, [url], retries=1).values()
    assert outcome.record.cause is Cause.NETWORK
    (part,) = root.path.glob("state/downloads/*/*.part")
    got = part.stat().st_size
    assert 0 < got < len(body)
    host.faults.clear()
    (outcome,) = fetch_all(root, [url]).values()
    assert host.log[-1].range == f"bytes={got}-"
    assert root.video_path(outcome.record.video_id).read_bytes() == body


def test_fragments_that_are_there_are_put_together_again_not_appended_twice(
    host: Host, root: Root, tmp_path: Path
) -> None:
    serve(host, "/hls", files := hls(tmp_path / "hls", (240,)))
    url = f"{host.url}/hls/master.m3u8"
    last = max(n for n in files if n.endswith(".ts"))
    host.always[f"/hls/{last}"] = Fault(reset_at=0)
    (outcome,) = fetch_all(root, [url]).values()
    assert outcome.record.status == "failed"
    # As if killed after a fragment was appended, but before it was counted.
    (state,) = root.path.glob("state/downloads/*/*.ytdl")
    state.write_text('{"downloader": {"current_fragment": {"index": 1}}}')
    host.always.clear()
    before = len(host.log)
    (outcome,) = fetch_all(root, [url]).values()
    assert [p for p in host.paths()[before:] if p.endswith(".ts")] == [f"/hls/{last}"]
    assert probe(root.video_path(outcome.record.video_id)).frame_count == 15


def test_one_process_fetches_into_a_root_at_a_time(host: Host, root: Root) -> None:
    from rmset.errors import RootError

    with root.files.lock("fetch"), pytest.raises(RootError, match="another process"):
        list(fetch(root, [Entry(host.url + "/a.mp4")], gentle()))


def test_local_files_are_refused_before_anything_is_asked(root: Root) -> None:
    with pytest.raises(ManifestError, match=r"line 7.*--allow-local-files"):
        list(fetch(root, [Entry("/etc/passwd", line=7)], gentle()))


def test_a_full_disk_ends_the_run_and_leaves_the_rest_waiting(host: Host, root: Root, clips_folder: Path) -> None:
    urls = [host.put(f"/{n}.mp4", small(clips_folder)) for n in range(3)]
    folder = root.path / "state/downloads" / url_video_id(urls[0])
    folder.mkdir(parents=True)
    (folder / "format.txt").write_text("mp4")
    (folder / "source.mp4.part").symlink_to("/dev/full")
    outcomes = fetch_all(root, urls, jobs=1)
    assert [o.record.cause for o in outcomes.values()] == [Cause.DISK]
    assert "No space left" in (outcomes["0.mp4"].record.error or "")
    assert [r.status for r in ledger.read_all(root)].count("waiting") == 2
    (folder / "source.mp4.part").unlink()
    assert {o.record.status for o in fetch_all(root, urls).values()} == {"done"}


def test_a_video_that_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no space left"):
        _refuse_if_full(tmp_path, {"filesize_approx": 10**18})
    _refuse_if_full(tmp_path, {"filesize": None})


def test_cookies_go_to_the_host_and_their_file_is_only_read(
    host: Host, root: Root, clips_folder: Path, tmp_path: Path
) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tmember\tyes\n")
    before = jar.read_text()
    host.put("/a.mp4", small(clips_folder), Set_Cookie="fresh=1")
    (outcome,) = fetch_all(root, [host.url + "/a.mp4"], cookies=jar).values()
    assert outcome.record.status == "done"
    assert all("member=yes" in (seen.cookie or "") for seen in host.log)
    assert jar.read_text() == before


def test_requests_go_through_the_proxy(host: Host, root: Root, clips_folder: Path) -> None:
    host.put("http://video.invalid/a.mp4", small(clips_folder))
    (outcome,) = fetch_all(root, ["http://video.invalid/a.mp4"], proxy=host.url).values()
    assert outcome.record.status == "done", outcome.record.error


def test_what_is_still_being_aired_waits(root: Root) -> None:
    target = of_entry(Entry("http://x/live"))
    with pytest.raises(FetchError, match="still being aired") as told:
        bring(root, gentle(), None, target, {"live_status": "is_upcoming"}, lambda n: None)  # type: ignore[arg-type]
    assert told.value.cause == Cause.NOT_YET


def test_what_the_ledger_says_survives_reading_and_writing(root: Root) -> None:
    record = ledger.FetchRecord("abc", "http://x/", "failed", Cause.GEO_BLOCKED, "no", 2, 1080, ("d", "e"), "now")
    ledger.write(root, record)
    assert ledger.read_all(root) == [record]
    root.write_text("state/fetch/abc.json", record.to_json().replace("geo-blocked", "eaten by bears"))
    assert ledger.read(root, "abc").cause is Cause.UNKNOWN  # type: ignore[union-attr]
    root.write_text("state/fetch/abc.json", "{")
    assert ledger.read(root, "abc") is None


@pytest.mark.parametrize("section", [(-1.0, None), (3.0, 2.0)])
def test_impossible_sections_are_refused(section: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError):
        gentle(section=section)
