"""Seeded damage to files, like that of editors, disks and attackers."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[random.Random, Path], None]


def _flip(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _cut(rng: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randint(0, len(data))])


def _noise(rng: random.Random, path: Path) -> None:
    path.write_bytes(rng.randbytes(rng.choice((0, 1, 7, 300, 5000))))


def _insert(rng: random.Random, path: Path) -> None:
    data = path.read_bytes()
    at = rng.randint(0, len(data))
    piece = rng.choice(
        (b"\x00", b"\xff\xfe", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b"NaN", b"-1e999", b'"', b"\n")
    )
    path.write_bytes(data[:at] + piece + data[at:])


def _swap(rng: random.Random, path: Path) -> None:
    """Exchange one token for another of a wrong type or size."""
    words = path.read_bytes().split(b" ")
    words[rng.randrange(len(words))] = rng.choice(
        (b"null", b"true", b"[]", b"{}", b'"x"', b"-1", b"0.5", b"1e400", b"10000000000000000000000", b"", b"nan", b"'")
    )
    path.write_bytes(b" ".join(words))


def _fifo(rng: random.Random, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(rng: random.Random, path: Path) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/dev/zero", "/dev/null", "/proc/self/mem", path.name, "nowhere")))


def _folder(rng: random.Random, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _sparse(rng: random.Random, path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(rng.choice((1 << 26, 1 << 33, 1 << 40)))


def _gone(rng: random.Random, path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Damage, ...] = (
    _flip, _flip, _cut, _cut, _noise, _insert, _insert, _swap, _swap, _swap, _fifo, _device, _folder, _sparse, _gone,
)  # fmt: skip


def spoil(rng: random.Random, path: Path) -> str:
    """Damage one file; return a description for the message of a test."""
    damage = rng.choice(DAMAGES)
    damage(rng, path)
    return f"{path.name}: {damage.__name__.strip('_')}"


def restore(path: Path, data: bytes) -> None:
    """Restore a file, replacing anything in its place."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(data)
