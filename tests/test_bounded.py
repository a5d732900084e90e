"""Small files are read within limits; anything else in their place gives a one-line error at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rmset import bounded
from rmset.errors import RmsetError, UnreadableError
from rmset.local_files import LocalFiles


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def sock(path: Path) -> None:
    # Addresses of sockets are short; the folder of a test is not.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a FIFO": (fifo, "a FIFO"),
    "a folder": (Path.mkdir, "a folder"),
    "/dev/zero": (lambda p: p.symlink_to("/dev/zero"), "a device"),
    "a socket": (sock, "no such device or address"),
    "a terabyte": (sparse, "1,099,511,627,776"),
    "a link in a circle": (lambda p: p.symlink_to(p.name), "symbolic links"),
    "no UTF-8": (lambda p: p.write_bytes(b"ab\xff"), "0xff at 2"),
    "a file of /proc": (lambda p: p.symlink_to("/proc/self/mem"), "input/output error"),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_small_file_is_one_line(name: str, tmp_path: Path) -> None:
    make, found = PLACES[name]
    make(tmp_path / "x.json")
    with pytest.raises(UnreadableError) as told:
        bounded.read_json(tmp_path / "x.json")
    assert found in str(told.value).lower().replace("fifo", "FIFO")
    assert len(str(told.value).splitlines()) == 1
    with pytest.raises(UnreadableError):
        LocalFiles(tmp_path).read_text("x.json")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "JSON"),
        ("[1, 2", "JSON"),
        ("[" * 100_000, "levels"),
        ("[" * 70 + "]" * 70, "levels"),
        ('{"a": {"a": ' * 5000 + "1" + "}}" * 5000, "levels"),
        ('{"a": NaN}', "nan"),
        ("[-Infinity]", "-inf"),
        ("[1e999]", "inf"),
        ("1" * 10_000, "digits"),
    ],
)
def test_json_is_bounded(text: str, found: str) -> None:
    with pytest.raises(UnreadableError, match=found) as told:
        bounded.parse_json(text, "x.json")
    assert str(told.value).startswith("x.json: expected")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = ", "TOML"),
        ("a = " + "[" * 100_000, "levels"),
        ("a = " + "[" * 70 + "]" * 70, "levels"),
        (".".join(["a"] * 100) + " = 1", "levels"),
        ("a = nan", "nan"),
        ("a = inf", "inf"),
        ("a = " + "1" * 10_000, "digits"),
        ("a = 2020-99-99", "TOML"),
    ],
)
def test_toml_is_bounded(text: str, found: str) -> None:
    with pytest.raises(UnreadableError, match=found):
        bounded.parse_toml(text, "x.toml")


def test_a_small_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, "\xc3\xa4"]}')
    assert bounded.read_json(tmp_path / "x.json") == {"a": [1, 2.5, "ä"]}
    assert bounded.parse_json("[" * 60 + "]" * 60, "x") is not None
    assert bounded.parse_toml("a.b = 1e3\n[c]\nd = 2020-01-01", "x")["a"] == {"b": 1000.0}


def test_a_missing_file_and_a_bad_file_give_different_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bounded.read_text(tmp_path / "x.json")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        bounded.read_text(tmp_path / "file" / "x.json")
    assert issubclass(UnreadableError, RmsetError)
    assert issubclass(UnreadableError, ValueError)


@pytest.mark.parametrize("size", [0, 1, 20_000, 3 << 20])
def test_a_whole_file_is_read_at_once_whatever_its_size(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    assert bounded.read_regular(path, size) == path.read_bytes()
    if size:
        with pytest.raises(UnreadableError, match="expected at most"):
            bounded.read_regular(path, size - 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, whose files report size 0")
def test_a_file_that_is_longer_than_it_says_is_read_whole_up_to_the_bound() -> None:
    path = Path("/proc/self/status")
    assert bounded.read_regular(path).startswith(b"Name:")
    with pytest.raises(UnreadableError, match="found more"):
        bounded.read_regular(path, 10)
