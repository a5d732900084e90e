"""Manifests: accepted forms, kept fields, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import ManifestError
from rmset.manifest import COLUMNS, Entry, content_hash, read, write


def manifest(tmp_path: Path, text: str, name: str = "m.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_and_toml_say_the_same(tmp_path: Path) -> None:
    csv = manifest(tmp_path, "video,title,min_height,duration_s,mood\ndQw4w9WgXcQ,A,1080,212,sad\nhttp://x/y,,,,\n")
    toml = manifest(
        tmp_path,
        '[[video]]\nvideo = "dQw4w9WgXcQ"\ntitle = "A"\nmin_height = 1080\nduration_s = 212\nmood = "sad"\n\n'
        '[[video]]\nvideo = "http://x/y"\nmood = ""\n',
        "m.toml",
    )
    one, two = read(csv), read(toml)
    assert [(e.video, e.title, e.min_height, e.duration_s, e.extra) for e in one] == [
        (e.video, e.title, e.min_height, e.duration_s, e.extra) for e in two
    ]
    assert content_hash(one) == content_hash(two)
    assert [e.line for e in two] == [1, 8]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title\nx\n", r"line 1: expected a column `video`"),
        ("", r"line 1: expected a column `video`"),
        ("video,video\na,b\n", r"line 1: expected each column once"),
        ("video\n", r"at least one video"),
        ("video,title\nabc,x\n,y\n", r"line 3: expected a video id, URL or file"),
        ("video,min_height\nabc,-5\n", r"line 2: expected a number above 0 as min_height, found '-5'"),
        ("video,duration_s\nabc,nan\n", r"line 2: expected a number above 0 as duration_s"),
        ("video\nabc\n\nabc\n", r"line 4: expected each video once.*line 2"),
        ("video\ndQw4w9WgXcQ\nhttps://youtu.be/dQw4w9WgXcQ?t=5\n", r"line 3: expected each video once"),
        ("video\nfile:///etc/passwd\n", r"line 2: expected http:// or https://"),
        ("video\nftp://x/y\n", r"line 2: expected http"),
        ("video,title\nabc,x,y\n", r"line 2: expected 2 columns, found 3"),
        ('video,title\nabc,"x\n', r"line 2: no CSV"),
        ('video,title\na,"two\nlines"\n,z\n', r"line 4: expected a video id"),
    ],
)
def test_an_error_in_a_manifest_names_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=told):
        read(manifest(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = ", "no TOML.*end of document"),
        ("x = 1", r"line 1: expected tables \[\[video\]\], found x"),
        ('[[video]]\nvideo = "a"\n[[video]]\ntitle = "b"', "line 3: expected a video id"),
        ('[[video]]\nvideo = ["a"]', "line 1: expected text as video, found list"),
    ],
)
def test_an_error_in_a_toml_manifest_names_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=told):
        read(manifest(tmp_path, text, "m.toml"))


def test_a_missing_manifest_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "video",
    [
        "dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://m.youtube.com/watch?list=PL1&v=dQw4w9WgXcQ&t=3",
        "https://youtu.be/dQw4w9WgXcQ",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?rel=0",
    ],
)
def test_every_form_of_a_youtube_address_is_the_same_video(video: str) -> None:
    assert Entry(video).youtube_id == "dQw4w9WgXcQ"
    assert Entry(video).url == "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    assert not Entry(video).is_local


@pytest.mark.parametrize("video", ["https://www.youtube.com/playlist?list=PL123", "https://notyoutube.com/watch?v=dQw4w9WgXcQ"])  # fmt: skip  # noqa: E501
def test_other_addresses_are_no_youtube_videos(video: str) -> None:
    assert Entry(video).youtube_id is None
    assert not Entry(video).is_local


cells = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30).map(str.strip)


@given(st.lists(st.tuples(cells, cells, st.integers(1, 4320)), min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("m") / "m.csv"
    entries = [
        Entry(f"http://x/{n}", title=title or None, min_height=height, extra={"mood": mood})
        for n, (title, mood, height) in enumerate(rows)
    ]
    write(path, entries)
    assert [(e.video, e.title, e.min_height, e.extra) for e in read(path)] == [
        (e.video, e.title, e.min_height, e.extra) for e in entries
    ]
    assert content_hash(read(path)) == content_hash(entries)
    assert content_hash(reversed(entries)) == content_hash(entries)


def test_the_example_manifest_is_one() -> None:
    (entry,) = read(Path(__file__).parents[2] / "manifests/example.toml")
    assert entry.youtube_id
    assert "note" in entry.extra
    assert "note" not in COLUMNS
