"""Randomly damaged small files of a root give a one-line error for their video; other videos still work."""

import json
import os
import random
import shutil

import pytest
from store.worlds import video_root
from typer.testing import CliRunner

from rmset import manifest
from rmset.errors import RmsetError
from rmset.layout_record import Layout
from rmset.pipeline import run_stage
from rmset.read.crops import CropStore
from rmset.read.index import damaged
from rmset.read.pairindex import open_sampler
from rmset.records import StageRecord, VideoRecord
from rmset.root import Root
from rmset.stages.export import ExportConfig
from rmset.stages.fetch.ledger import FetchRecord, read_silences
from rmset.truth import Truth, TruthFace, TruthSegment
from rmset_cli.rmset.app import app
from tests.attack import tally

BAD, GOOD = "v-00000001", "w-00000002"
STRANGE = [
    None, True, [], {}, -1, 0, 1e308, 10**30, -(10**30), "x" * 5000, "\x1b[31m", "é\u202e", float("nan"), float("inf"),
    [[]], {"a": {}}, "../../etc/passwd", 1.5, "NaN", [1, 2, 3, 4, 5],
]  # fmt: skip
TEXTS = [
    b"", b"\x00", b"[]", b"null", b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 50_000, b"NaN",
    b"-Infinity", b"1e999", b'"\\ud800"', b"9" * 10_000, b"{" + b'"a":1,' * 10_000 + b'"a":1}', b"\r\n\r\n", b"'",
]  # fmt: skip


def mutated(data, chance):
    """Damaged bytes of a file."""
    kind = chance.randrange(7)
    if kind == 0:
        return chance.choice(TEXTS)
    if kind == 1:
        return data[: chance.randrange(len(data) + 1)]
    if kind == 2:
        raw = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw)
    if kind == 3:
        at, other = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        return data[:other] + data[at:]
    try:
        value = json.loads(data)
    except ValueError:
        at = chance.randrange(len(data) + 1)
        return data[:at] + chance.choice(TEXTS)[:3000] + data[at:]
    for _ in range(chance.randint(1, 3)):
        value = changed(value, chance)
    return json.dumps(value).encode(errors="surrogatepass")


def changed(value, chance):
    """A JSON value with one part of it replaced, removed or added."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.9:
        value = dict(value) if isinstance(value, dict) else list(value)
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if chance.random() < 0.15:
            del value[key]
        else:
            value[key] = changed(value[key], chance)
        return value
    return chance.choice(STRANGE)


def truth():
    box = (0.0, 0.0, 40.0, 40.0)
    segment = TruthSegment(0, 9, (box,), {0: box})
    return Truth(25.0, (64, 48), (segment,), (TruthFace(0, 0, box, "happiness", 1.0),))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two videos, exported; an index; a fetch ledger."""
    path = tmp_path_factory.mktemp("small") / "root"
    for video_id in (BAD, GOOD):
        root = video_root(path, frames=6, video_id=video_id)
        assert run_stage(root, video_id, "export", ExportConfig(size=16, format="png")).status == "done"
        record = FetchRecord(video_id, "https://example.org/x", "done")
        root.write_text(root.state_key("fetch", video_id), record.to_json())
    root.write_text("state/hosts.json", '{"example.org": [1e9, 1e9, "busy"]}')
    open_sampler(CropStore(root))
    return root


@pytest.fixture(scope="module")
def seeds(source, tmp_path_factory):
    """Each reader with a valid file of its kind."""
    folder = tmp_path_factory.mktemp("readers")
    root = Root(source.path)
    truth().write(folder / "a.truth.json")
    (folder / "m.csv").write_text(
        "video,title,min_height,duration_s\ndQw4w9WgXcQ,A,1080,61.5\nhttps://x.org/a.mp4,B,,\n"
    )
    (folder / "m.toml").write_text(
        '[[video]]\nvideo = "dQw4w9WgXcQ"\nmin_height = 1080\n[[video]]\nvideo = "abcdefghijk"\n'
    )

    def state(place):
        return lambda _: root.files.read_text(place)

    def file(reader, name):
        target = folder / f"mutated-{name}"

        def read(text):
            target.write_bytes(text)
            return reader(target)

        return read

    texts = {
        "record": (VideoRecord.from_json, root.files.read_text(root.record_key(BAD)).encode()),
        "layout": (Layout.from_json, root.files.read_text(root.layout_key(BAD)).encode()),
        "ledger": (StageRecord.from_json, root.files.read_text(root.state_key("export", BAD)).encode()),
        "fetch": (FetchRecord.from_json, root.files.read_text(root.state_key("fetch", BAD)).encode()),
    }
    readers = {name: (lambda data, r=reader: r(data.decode("utf-8")), data) for name, (reader, data) in texts.items()}
    for name, reader in (("a.truth.json", Truth.read), ("m.csv", manifest.read), ("m.toml", manifest.read)):
        readers[name] = (file(reader, name), (folder / name).read_bytes())
    return readers


def outcome(read, *given):
    """Result of a reader, or its error."""
    try:
        return read(*given), None
    except (RmsetError, ValueError) as error:
        return None, error


KINDS = ["record", "layout", "ledger", "fetch", "a.truth.json", "m.csv", "m.toml"]


@pytest.mark.parametrize("cases", [60, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_gives_a_value_or_refuses_in_one_line(seeds, kind, cases):
    """420 cases in `make test`, ten thousand in `make test-all`."""
    read, data = seeds[kind]
    chance = random.Random(f"{kind} {cases}")
    read(data)
    refused = 0
    for number in range(cases):
        found, error = outcome(read, mutated(data, chance))
        if error is not None:
            # A damaged ledger entry raises ValueError, which its reader treats as no entry.
            told = isinstance(error, (RmsetError, UnicodeDecodeError)) or kind in ("ledger", "fetch")
            assert told, (number, repr(error))
            assert len(str(error).splitlines()) <= 1, (number, str(error))
            refused += 1
        else:
            if kind in ("record", "layout", "ledger", "fetch"):
                # A value that was read can be written again.
                found.to_json().encode()
    tally.note("fuzzed inputs", kind, cases=cases, refused=refused)
    assert refused > 0


SPECIAL = ["fifo", "folder", "zero", "dangling", "loop", "huge", "gone"]


def replace(path, what):
    """Replace a small file by a FIFO, device, folder or other object."""
    path.unlink()
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "zero":
        path.symlink_to("/dev/zero")
    elif what == "dangling":
        path.symlink_to("nowhere")
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "huge":
        path.touch()
        os.truncate(path, 1 << 36)


FILES = ["videos/{}.json", "layouts/{}.json", "state/export/{}.json", "state/fetch/{}.json"]
ASKS = [
    ["status"], ["status", "--causes"], ["status", "--why", BAD], ["verify", "--no-pixels"], ["stats"],
    ["sql", "select count(*) n from videos"], ["sql", "select count(*) n from crops"],
    ["pairs", "--sample", "1", "--d-far", "1"], ["layout", "check"], ["export", "--size", "16", "--format", "png"],
]  # fmt: skip


def asked(root):
    """Run every command that reads a root, and one that builds; only the program's own errors may occur."""
    for words in ASKS:
        more = ["--format", "json"] if words[0] in ("sql", "status", "stats") else []
        done = CliRunner().invoke(app, [*words, *more, "--root", str(root.path), "--quiet"])
        expected = done.exception is None or isinstance(done.exception, (SystemExit, RmsetError))
        assert expected, (words, repr(done.exception), done.output)
        if words[0] == "sql" and "videos" in words[1]:
            assert done.exit_code == 0, (words, done.output)
            assert json.loads(done.stdout)[0]["n"] >= 1
    assert root.stage_record("export", GOOD).status == "done"
    assert read_silences(root) is not None


@pytest.mark.parametrize(
    ("what", "name"),
    [
        pytest.param(what, name, marks=[] if place == number % len(FILES) else pytest.mark.slow)
        for number, what in enumerate(SPECIAL)
        for place, name in enumerate(FILES)
    ],
)
def test_what_is_no_small_file_belongs_to_its_video(source, tmp_path, name, what):
    shutil.copytree(source.path, tmp_path / "root", symlinks=True)
    replace(tmp_path / "root" / name.format(BAD), what)
    asked(Root(tmp_path / "root"))


@pytest.mark.parametrize("cases", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_a_damaged_small_file_belongs_to_its_video(source, tmp_path, cases):
    chance = random.Random(cases)
    for number in range(cases):
        root = Root(tmp_path / str(number))
        shutil.copytree(source.path, root.path)
        path = root.path / chance.choice([*FILES, "state/hosts.json"]).format(BAD)
        path.write_bytes(mutated(path.read_bytes(), chance))
        asked(root)
        shutil.rmtree(root.path)
    tally.note("fuzzed inputs", "small files under ten commands", cases=cases)


@pytest.mark.parametrize("cases", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_a_damaged_index_is_made_anew(source, tmp_path, cases):
    """With any content of the index folder, pictures and pairs are those of the shards, or the damage is reported."""
    expected = CropStore(source).read(range(36))
    names = sorted(p.relative_to(source.path) for p in (source.path / "state" / "index").rglob("*") if p.is_file())
    chance = random.Random(cases)
    for number in range(cases):
        root = Root(tmp_path / str(number))
        shutil.copytree(source.path, root.path)
        path = root.path / chance.choice(names)
        whole = path.read_bytes()
        if path.suffix == ".npy" and chance.random() < 0.5:
            # The header holds type and length.
            head = mutated(whole[:128], chance)
            path.write_bytes(head + whole[128:])
        else:
            path.write_bytes(mutated(whole, chance))

        def pictures(root=root):
            store = CropStore(root)
            open_sampler(store)
            return store.read(range(len(store)))

        found = damaged(root)
        given, error = outcome(pictures)
        assert error is None or isinstance(error, RmsetError) or found, (number, path, repr(error))
        same = given == expected
        assert same or found or path.read_bytes() == whole, (number, path)
        shutil.rmtree(root.path)
    tally.note("fuzzed inputs", "index", cases=cases)
