"""The storage interface of a root: its readers, and who may reach around it."""

import re
import threading
from pathlib import Path

import pytest

from rmset.errors import UnreadableError
from rmset.local_files import LocalFiles

CODE = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path):
    made = LocalFiles(tmp_path / "root")
    with made.publish("tracks/a.parquet") as path:
        path.write_bytes(bytes(range(256)) * 40)
    return made


def test_a_reader_gives_the_bytes_at_any_position_to_many_threads(files):
    whole, wrong = bytes(range(256)) * 40, []
    reader = files.reader("tracks/a.parquet")
    assert reader.size == len(whole)

    def read(seed):
        for step in range(200):
            at = (seed * 977 + step * 131) % len(whole)
            if reader.read_at(at, 300) != whole[at : at + 300]:
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert reader.read_at(len(whole), 5) == b""
    reader.close()


def test_a_missing_file_and_a_folder_have_no_reader(files):
    with pytest.raises(FileNotFoundError):
        files.reader("tracks/none.parquet")
    with pytest.raises(UnreadableError, match="found a folder"):
        files.reader("tracks")


def test_hashes_are_those_of_the_bytes_and_large_files_can_be_refused(files):
    assert files.sha256("tracks/a.parquet") == files.reread_sha256("tracks/a.parquet")
    with pytest.raises(UnreadableError, match="at most 100 bytes"):
        files.sha256("tracks/a.parquet", 100)


def test_a_key_has_a_place_and_a_folder_that_is_not_there_yet_can_be_written_to(files, tmp_path):
    files.check_writable()
    assert files.place("tracks/a.parquet") == str(tmp_path / "root" / "tracks" / "a.parquet")
    assert files.place() == str(tmp_path / "root")
    LocalFiles(tmp_path / "not" / "yet" / "made").check_writable()


def test_no_module_reaches_around_the_storage_interface():
    """`root.path` exists for roots in folders only; whatever works on any root says `place`, `local` or `workspace`."""
    around = re.compile(r"\broot\.path\b|files\.folder\b|files\.local\([^)]*\)\.(iterdir|exists|is_dir|glob|rglob)")
    modules = [path for package in ("rmset", "fertrain", "cli") for path in (CODE / package).rglob("*.py")]
    found = [f"{p.relative_to(CODE)}: {m[0]}" for p in modules for m in around.finditer(p.read_text())]
    assert found == ["rmset/_dataset.py: root.path", "rmset/root.py: files.folder"]
