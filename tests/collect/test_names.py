"""Names from the network never become unchecked paths or terminal commands."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.manifest import Entry
from rmset.records import VIDEO_ID, url_video_id
from rmset.root import Root
from rmset.stages.fetch.targets import of_child, of_entry

from .clips import small
from .conftest import fetch_all
from .host import Host

HOSTILE = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "nul\x00byte",
    "x" * 300,
    "😀😀😀",
    "CON",
    "aux.mp4",
    "-rf",
    "%(id)s",
    "a%00b",
    "name with spaces & ; $(touch pwned) `x`",
    "\x1b[2Jcleared",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_files_stay_inside_the_root(name: str, host: Host, root: Root, clips_folder: Path) -> None:
    path = "/" + quote(name, safe="")
    host.put(path, small(clips_folder))
    (outcome,) = fetch_all(root, [host.url + path]).values()
    assert outcome.record.status == "done", outcome.record.error
    assert VIDEO_ID.fullmatch(outcome.record.video_id)
    assert root.video_path(outcome.record.video_id).parent == root.path / "videos"
    assert {p.name for p in root.path.parent.iterdir()} == {"root"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_titles_and_ids_only_become_text(name: str, host: Host, root: Root, clips_folder: Path) -> None:
    host.put("/v.mp4", small(clips_folder))
    title = name.replace("\x00", "&#0;").replace("&", "&amp;")
    page = host.put(f"/{quote(name, safe='')}.html", f"<title>{title}</title><video src='/v.mp4'></video>", "text/html")
    outcome = next(iter(fetch_all(root, [page]).values()))
    assert outcome.record.status == "done", outcome.record.error
    assert outcome.video is not None
    assert (outcome.video.title or "").isprintable()
    assert all(VIDEO_ID.fullmatch(v) for v in root.video_ids())
    assert {p.name for p in root.path.parent.iterdir()} == {"root"}


def test_names_that_differ_by_case_alone_are_two_videos(host: Host, root: Root, clips_folder: Path) -> None:
    urls = [host.put(f"/{n}.mp4", small(clips_folder, seed=i)) for i, n in enumerate(("Clip", "clip", "CLIP"))]
    fetch_all(root, urls)
    assert len({v.casefold() for v in root.video_ids()}) == 3


@pytest.mark.parametrize("ext", ["exe", "sh", "partial", "mp4/../../x", "json"])
def test_an_extension_counts_for_nothing(ext: str, host: Host, root: Root, clips_folder: Path) -> None:
    (outcome,) = fetch_all(root, [host.put(f"/v.{quote(ext, safe='')}", small(clips_folder))]).values()
    if outcome.record.status == "done":
        assert root.video_path(outcome.record.video_id).suffix == ".mp4"
    assert {p.suffix for p in root.path.glob("videos/*")} <= {".mp4", ".json"}


@given(st.text(max_size=400))
def test_any_text_in_a_url_gives_a_valid_id(text: str) -> None:
    url = "http://x/" + text.encode("utf-8", "replace").decode()
    assert VIDEO_ID.fullmatch(url_video_id(url))
    assert url_video_id(url) == url_video_id(url)


@given(st.text(max_size=100), st.sampled_from(["Youtube", "Generic", None]))
def test_any_id_in_a_playlist_gives_a_valid_id(host_id: str, extractor: str | None) -> None:
    parent = of_entry(Entry("http://x/list"))
    url = "http://x/" + host_id.encode("utf-8", "replace").decode()
    child = {"id": host_id.encode("utf-8", "replace").decode(), "ie_key": extractor}
    assert VIDEO_ID.fullmatch(of_child(parent, 0, {**child, "_type": "url", "url": url}).video_id)
    assert VIDEO_ID.fullmatch(of_child(parent, 0, child).video_id)
