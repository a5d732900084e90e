"""Guard of a release: no picture, no embedding, no title, no name in any of its bytes, unless asked for by name.

Files are compared with a list of what a release may hold: names of files, columns of tables with their types, keys of
JSON. Bytes, also those that Parquet compresses, are searched for the beginnings of pictures. Texts are searched for the
words that must not leave the root.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.bounded import parse_json, read_text
from rmset.errors import UnreadableError
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.release import tables
from rmset.release.removals import Removal

_PICTURES = re.compile(
    rb"\xff\xd8\xff[\xe0-\xe3\xee].{2}(?:JFIF|Exif|ICC_|Adobe)|\xff\xd8\xff\xdb\x00[\x43\x84]"
    rb"|\x89PNG\r\n\x1a\n|RIFF.{4}WEBP|GIF8[79]a|ftyp(?:avif|heic|mif1)|\x00\x00\x00\x0cJXL ",
    re.DOTALL,
)
_ID = r"[A-Za-z0-9_-]{1,64}"
_SPLIT = "|".join(tables.SPLITS)
FILES = {
    "README.md": None, "datasheet.md": None, "croissant.json": None, "CITATION.cff": None, "checksums.sha256": None,
    "release.json": None, "statistics.json": None, "licenses.csv": None, "removed.json": None,
    "videos.parquet": tables.videos(), "people.parquet": tables.people(),
    rf"layouts/{_ID}\.json": None, rf"tracks/(?:{_SPLIT})/{_ID}\.parquet": tables.faces(),
    rf"frames/{_ID}\.parquet": tables.frames(),
}  # fmt: skip
"""pattern of a file -> schema of its table"""
WITH = {
    "titles": {"videos.parquet": tables.videos(titles=True)},
    "persons": {"people.parquet": tables.people(links=True)},
    "pixels": {rf"crops/(?:{_SPLIT})/{_ID}\.parquet": schema.crops()},
    "names": {},
}
"""what may be asked for by name -> files that it adds or widens"""
_LAYOUT_KEYS = {"schema"} | {f.name for kind in (Layout, Segment, Person, TriggerRegion) for f in fields(kind)} - {
    "moved"
}
_KEYS = {
    "layouts/": _LAYOUT_KEYS,
    "removed.json": {"schema", "removed"} | {f.name for f in fields(Removal)},
}
_SHORTEST, _SHORTEST_IN_PROSE = 4, 12
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Leak:
    """Something that a release must not hold."""

    file: str
    problem: str


def scan(release: Path, asked: Collection[str] = (), words: Collection[str] = ()) -> Iterator[Leak]:
    """Search a release for what it must not hold.

    Args:
        release: its folder.
        asked: what was asked for by name: `titles`, `persons`, `pixels`, `names`.
        words: titles, names, paths that must not be in it. Those of less than 4 characters are not searched for, in
            prose those of less than 12.
    """
    allowed: dict[str, pa.Schema | None] = dict(FILES)
    for name in asked:
        allowed |= WITH[name]
    wanted = {w for w in words if len(w) >= _SHORTEST}
    for path in sorted(release.rglob("*")):
        name = path.relative_to(release).as_posix()
        if path.is_symlink():
            yield Leak(name, "a link")
        elif path.is_file():
            patterns = [p for p in allowed if re.fullmatch(p, name)]
            if not patterns:
                yield Leak(name, "a file that no release has")
            elif "crops/" not in patterns[0]:
                yield from _bytes(path, name)
                yield from _table(path, name, allowed[patterns[0]], wanted)
                yield from _text(path, name, wanted)


def _bytes(path: Path, name: str) -> Iterator[Leak]:
    with path.open("rb") as stream:
        before = b""
        while block := stream.read(_BLOCK):
            if (found := _PICTURES.search(before + block)) is not None:
                yield Leak(name, f"the beginning of a picture, {found[0][:12]!r}")
                return
            before = block[-16:]


def _table(path: Path, name: str, expected: pa.Schema | None, words: Collection[str]) -> Iterator[Leak]:
    if expected is None:
        return
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        yield Leak(name, "not a Parquet file")
        return
    with file:
        known = {f.name: f.type for f in expected}
        for field in file.schema_arrow:
            if known.get(field.name) != field.type:
                yield Leak(name, f"the column {field.name} of {field.type}")
                return
        strange = set(file.schema_arrow.metadata or {}) - {tables.VERSION_KEY}
        if strange:
            yield Leak(name, f"the metadata {sorted(strange)[0]!r}")
        for batch in file.iter_batches():
            for field in batch.schema:
                column = batch.column(field.name)
                if pa.types.is_string(field.type):
                    for value in set(column.unique().to_pylist()):
                        yield from _words(name, field.name, value or "", words)
                elif pa.types.is_fixed_size_binary(field.type) and _PICTURES.search(b"".join(column.to_pylist())):
                    yield Leak(name, f"the beginning of a picture in the column {field.name}")


def _text(path: Path, name: str, words: Collection[str]) -> Iterator[Leak]:
    if name.endswith(".parquet"):
        return
    try:
        text = read_text(path, 1 << 30)
    except UnreadableError as error:
        yield Leak(name, str(error))
        return
    if name.endswith(".json"):
        try:
            value = parse_json(text, name)
        except UnreadableError as error:
            yield Leak(name, str(error))
            return
        keys = next((known for start, known in _KEYS.items() if name.startswith(start)), None)
        for key in sorted(_keys_of(value) - keys) if keys is not None else ():
            yield Leak(name, f"the key {key}")
    for word in sorted(words):
        # A table or list of values is searched for short words too; prose has words of its own.
        long_enough = _SHORTEST if name.endswith((".csv",)) or name.startswith("layouts/") else _SHORTEST_IN_PROSE
        if len(word) >= long_enough and (word in text or json.dumps(word)[1:-1] in text):
            yield Leak(name, f"the text {word[:40]!r}")


def _words(name: str, column: str, value: str, words: Collection[str]) -> Iterator[Leak]:
    # A short title may be part of an address; a long one is none by chance.
    for word in sorted(words):
        if word == value or (len(word) >= _SHORTEST_IN_PROSE and word in value):
            yield Leak(name, f"the text {word[:40]!r} in the column {column}")


def _keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys_of, value.values()))
    return set().union(*map(_keys_of, value)) if isinstance(value, list) else set()
