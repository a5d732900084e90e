"""Adding local files: one video per content, whole or not at all, with a message for every skipped file."""

import os
import shutil

import pytest
from typer.testing import CliRunner

from rmset.errors import RootError
from rmset.root import Root
from rmset.stages import fetch
from rmset_cli.rmset.app import app


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


def test_bytes_are_one_video_whatever_their_file_is_called(mashup, root, tmp_path):
    other = tmp_path / "another name.mp4"
    shutil.copy(mashup[0], other)
    first = fetch.add(root, mashup[0])
    assert fetch.add(root, other) == first
    assert root.video_ids() == [first.video_id]


def test_a_name_that_is_not_utf8_is_taken_and_the_rest_with_it(mashup, root, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    strange = os.fsencode(folder) + b"/caf\xe9.mp4"
    shutil.copy(os.fsencode(mashup[0]), strange)
    (folder / "z.mp4").write_bytes(b"no video")
    done = CliRunner().invoke(app, ["add", str(folder), "--root", str(root.path)])
    assert done.exit_code == 1, "one of two could not be taken"
    (video_id,) = root.video_ids()
    assert root.record(video_id).title == "caf\ufffd"
    assert "z.mp4" in done.output


def test_add_says_what_it_skips_and_takes_what_ffmpeg_reads(mashup, root, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, suffix in enumerate((".MTS", ".flv", ".3gp", ".wmv", ".mpg")):
        # The content counts, not the name; different bytes at the end make different videos.
        (folder / f"a{number}{suffix}").write_bytes(mashup[0].read_bytes() + bytes(8 + number))
    for name in ("notes.txt", "b.txt", "cover.jpg"):
        (folder / name).write_text("x")
    (folder / "gone.mp4").symlink_to("nowhere")
    found = fetch.below(folder)
    assert len(found.videos) == 5
    assert found.skipped()[0].startswith("skipped, not named like a video: 2 .txt, 1 .jpg")
    assert "gone.mp4" in found.skipped()[1]


def test_a_file_is_taken_whole_or_not_at_all(mashup, root, monkeypatch):
    write = Root.write_text

    def full(self, key, text):
        if key.startswith("videos/"):
            raise RootError("no space left on the disk")
        write(self, key, text)

    monkeypatch.setattr(Root, "write_text", full)
    with pytest.raises(RootError, match="no space left"):
        fetch.add(root, mashup[0])
    assert root.files.keys("videos/*") == root.files.keys("frames/*") == []
    monkeypatch.undo()
    assert fetch.add(root, mashup[0]).video_id in root.video_ids()
