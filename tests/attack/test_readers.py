"""Damaged files for the readers without another test here: videos, sets of images and votes, vectors, tables.

Each case may use 20 s of processor time and 2 GB of memory.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fertrain.datasets.registry import open_labeled
from fertrain.models.label_embedding import read_vectors
from rmset.answers import Audit
from rmset.bounded import read_text
from rmset.errors import RmsetError
from rmset.inspect import mot
from rmset.parts.frames import VideoReader
from rmset.parts.probe import probe
from rmset_cli.printed import one_line
from tests.attack import tally
from tests.attack.mutate import restore, spoil
from tests.collect.clips import encode
from tests.fertrain import fer_worlds

resource = pytest.importorskip("resource")
CPU_S, MOST_KB = 20, 2 << 20


@contextlib.contextmanager
def bounded(what: str) -> Iterator[None]:
    """Fail if a case needs too much time or memory."""

    def late(signum: int, frame: object) -> None:
        raise AssertionError(f"{what}: more than {CPU_S} s")

    before = signal.signal(signal.SIGPROF, late)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown < MOST_KB, what


def watch(path: Path) -> None:
    """Probe a video, and read its frames."""
    found = probe(path)
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader.frames()):
            assert frame.rgb.shape[2] == 3
            if number >= 8:
                break
    assert found.width > 0


def count(name: str) -> None:
    """Open every image of a set's first split."""
    data = open_labeled(name)
    split = data.load(data.splits()[0], data.rules()[0])
    for image in split.names[:6]:
        with contextlib.suppress(FileNotFoundError):
            split.source.get(image)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, object]]:
    """Reader -> (file to damage, function that reads it)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = tmp_path_factory.mktemp("readers")
    found: dict[str, tuple[Path, object]] = {}
    for suffix in ("mp4", "mkv", "ts", "avi"):
        path = encode(place / f"a.{suffix}", seconds=1.0)
        found[suffix] = (path, lambda path=path: watch(path))
    votes = fer_worlds.ferplus(place / "ferplus", train=12, valid=4)
    found["votes"] = (votes / "fer2013new.csv", lambda: count(f"ferplus:{votes}"))
    packed = fer_worlds.ferplus(place / "packed", train=6, valid=2)
    with zipfile.ZipFile(packed / "images.zip", "w") as archive:
        for folder in ("FER2013Train", "FER2013Valid"):
            for image in sorted((packed / folder).iterdir()):
                archive.write(image, f"{folder}/{image.name}")
            shutil.rmtree(packed / folder)
    found["zip"] = (packed / "images.zip", lambda: count(f"ferplus:{packed}"))
    table = place / "table"
    table.mkdir()
    image = {"bytes": (votes / "FER2013Train" / "fer0000000.png").read_bytes(), "path": "a.png"}
    rows = pa.table({"image": [image] * 14, "label": list(fer_worlds.FOLDER_CLASSES) * 2})
    pq.write_table(rows, table / "train-00000.parquet")
    found["parquet"] = (table / "train-00000.parquet", lambda: count(f"parquet:{table}"))
    vectors = place / "vectors.txt"
    vectors.write_text("3 4\n" + "".join(f"{word} 0.1 0.2 0.3 {n}.5\n" for n, word in enumerate(("a", "b", "c"))))
    found["vectors"] = (vectors, lambda: read_vectors(vectors, ["a", "c"]))
    boxes = place / "gt.txt"
    boxes.write_text("".join(f"{frame},1,10,20,30,40,1,1,1\n" for frame in range(1, 30)))
    found["boxes"] = (boxes, lambda: mot.read_truth(boxes))
    audit = place / "audit.json"
    audit.write_text(Audit("v", None, 3, 2, ()).to_json())
    found["audit"] = (audit, lambda: Audit.from_json(read_text(audit)))
    return found


KINDS = ("mp4", "mkv", "ts", "avi", "votes", "zip", "parquet", "vectors", "boxes", "audit")


@pytest.mark.parametrize("cases", [10, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_one_line(sources: dict[str, tuple[Path, object]], kind: str, cases: int) -> None:
    path, read = sources[kind]
    whole = path.read_bytes()
    read()
    refused = 0
    for number in range(cases):
        rng = random.Random(f"{kind} {cases} {number}")
        how = spoil(rng, path)
        error: Exception | None = None
        try:
            with bounded(f"{kind} {number}: {how}"):
                read()
        except (RmsetError, OSError) as found:
            error, refused = found, refused + 1
        finally:
            restore(path, whole)
        # What the command line prints: one line, which names the file.
        assert error is None or len(one_line(str(error)).splitlines()) <= 1, (number, how)
        assert not isinstance(error, OSError) or error.filename is not None, (number, how, error)
    assert refused
    tally.note("fuzzed inputs", kind, cases=cases, refused=refused)
