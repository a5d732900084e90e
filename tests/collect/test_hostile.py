"""Hosts that mean harm: what they serve names files of this machine, never ends, or asks for silence forever."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rmset.errors import VideoError
from rmset.parts.frames import VideoReader
from rmset.parts.media import open_media
from rmset.root import Root
from rmset.stages.fetch.causes import Cause

from .clips import encode
from .conftest import fetch_all
from .host import Host

SECRET = "secret.mp4"


def naming(secret: Path) -> dict[str, str]:
    """Media files that name another file of this machine instead of holding one, by their format."""
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
    urls = [host.put(f"/{n}/{name}", text) for n, text in enumerate(naming(secret).values())]
    for url in urls:
        (outcome,) = fetch_all(root, [url], section=section).values()
        assert outcome.record.status == "failed", url
        # As a playlist it is followed, over the network only; as a video it is none.
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
