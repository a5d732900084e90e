"""Hostile titles and names: no escape sequence, change of direction or formula reaches a terminal or spreadsheet."""

import csv
import io
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmset.root import Root
from rmset_cli import printed
from rmset_cli.fertrain import app as fertrain_app
from rmset_cli.rmset import app as rmset_app

CLI = Path(printed.__file__).parent
EVIL = "=cmd|' /C calc'!A0 \x1b[31m\x1b]0;owned\x07 \x9b2J \u202etxt.exe\u2066 \u2028 \x7f\r\x08 \ufeff\U000e0041"
# All characters that move the cursor, change colors, or reverse or hide the following text.
RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


@pytest.fixture(scope="module")
def evil_root(finished_root, tmp_path_factory):
    """A finished root whose only video has a hostile title and uploader."""
    root = Root(tmp_path_factory.mktemp("evil") / "root")
    shutil.copytree(finished_root.path, root.path)
    (video_id,) = root.video_ids()
    path = root.files.local(root.record_key(video_id))
    record = json.loads(path.read_text())
    record |= {"title": EVIL, "uploader": "+1+1|x", "license": "@SUM(A1)", "source_url": "-2+3"}
    path.write_text(json.dumps(record))
    return root


def run(*words, encoding="utf-8"):
    """Run the program in this process; return exit code, and the bytes of both streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="") for _ in range(2)]
    kept = sys.argv, sys.stdout, sys.stderr
    sys.argv = [str(word) for word in words]
    sys.stdout, sys.stderr = streams
    try:
        {"rmset": rmset_app, "fertrain": fertrain_app}[words[0]].main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv, sys.stdout, sys.stderr = kept
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams)
    return subprocess.CompletedProcess(words, code, out, err)


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    """Disable the memory limit for the tests' own process."""
    monkeypatch.setattr("rmset.read.limits._lower", lambda memory: None)


def clean(done):
    for stream in (done.stdout, done.stderr):
        text = stream.decode("utf-8")
        assert not RAW.search(text), RAW.findall(text)
        assert "Traceback" not in text
    return done


def test_every_unsafe_sign_is_written_out():
    for code in range(0x110000):
        shown = printed.one_line(chr(code))
        shown.encode("utf-8")  # fails if a lone surrogate is left
        assert not RAW.search(shown)
        assert "\n" not in shown


def test_ordinary_text_of_any_language_stays():
    for text in ("Les réactions – été", "名前", "👩‍👩‍👧 reacts", "שלום", "مرحبا", "a\u0301", "ẞ"):
        assert printed.one_line(text) == printed.lines(text) == printed.cell(text) == text


@pytest.mark.parametrize("seed", range(20))
def test_cells_of_random_text_are_neither_formulas_nor_controls(seed):
    rng = random.Random(seed)
    signs = "=+-@\t\r\n \x1b\u202e'\"|!(),;AZaz09\x00\x9b＝"
    for _ in range(200):
        cell = printed.cell("".join(rng.choice(signs) for _ in range(rng.randrange(12))))
        assert not RAW.search(cell)
        if cell[:1] in ("=", "@", "＝", "\t", "\r"):
            pytest.fail(f"{cell!r} is a formula")
        if cell[:1] in ("+", "-"):
            assert re.fullmatch(r"[+-]?[\w.,%+-]*", cell), cell
            assert re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?%?|-[\w-]*", cell, re.I | re.A), cell


def test_every_command_prints_a_hostile_title_harmlessly(evil_root, tmp_path):
    place = ("--root", evil_root.path)
    (video_id,) = evil_root.video_ids()
    for form in ("table", "json", "csv"):
        for words in (
            ("sql", "select * from videos"), ("sql", f"select title as \"{EVIL}\" from videos"), ("status",), ("verify",),
            ("stats",), ("layout", "show", video_id), ("pairs", "--sample", "1"),
        ):  # fmt: skip
            clean(run("rmset", *words, *place, "-f", form))
    for words in (
        ("sql", f"selec '{EVIL}'"), ("sql", f'select "{EVIL}" from faces'), ("sheet", "\x1b[31m", "-o", tmp_path / "x.png"),
        ("add", tmp_path / "\x1b]0;x\x07\u202e.mp4"), ("layout", "check", "\u202e"), ("status", "--why", "\x9b"),
        ("evaluate", "--truth", tmp_path / "\x1b.truth.json"), ("build", tmp_path / "\x1b.toml"),
    ):  # fmt: skip
        done = clean(run("rmset", *words, *place))
        assert done.returncode in (1, 2), words
    (tmp_path / "\x1b[2J.mp4").write_bytes(b"no video")
    clean(run("rmset", "add", tmp_path, *place, "-f", "table"))


def test_json_gives_a_title_back_as_it_was(evil_root):
    (row,) = json.loads(run("rmset", "sql", "select title from videos", "--root", evil_root.path, "-f", "json").stdout)
    assert row["title"] == EVIL


def test_csv_is_guarded_unless_switched_off(evil_root, tmp_path):
    query = (
        "rmset",
        "sql",
        "select title, uploader, license, source_url, -1.5 as number from videos",
        "--root",
        evil_root.path,
    )
    for guarded in (run(*query, "-f", "csv").stdout.decode(), _written(query, tmp_path / "a.csv")):
        head, row = csv.reader(io.StringIO(guarded))
        assert head == ["title", "uploader", "license", "source_url", "number"]
        assert [cell[:2] for cell in row] == ["'=", "'+", "'@", "'-", "-1"]
    for raw in (
        run(*query, "-f", "csv", "--no-csv-guard").stdout.decode(),
        _written(query, tmp_path / "b.csv", "--no-csv-guard"),
    ):
        _, row = csv.reader(io.StringIO(raw, newline=""))
        assert row[1:4] == ["+1+1|x", "@SUM(A1)", "-2+3"]


def _written(query, path, *more):
    assert run(*query, "-o", path, *more).returncode == 0
    with path.open(newline="", encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(e, marks=pytest.mark.slow) for e in ("latin-1", "utf-8"))]
)
def test_terminals_of_every_encoding_get_every_output(evil_root, encoding):
    place = ("--root", evil_root.path)
    for words in (
        ("status",), ("stats",), ("sql", "select title, 'é – 名前 👩' as t, null as n from videos"), ("verify",), ("--help",),
        ("track", "--help"), ("sql", "selec é"), ("sheet", "名前", "-o", "x.png"), ("sql", "select 'é' as ü", "-f", "csv"),
    ):  # fmt: skip
        where = place if "--help" not in words else ()
        plain = run("rmset", *words, *where, encoding=encoding)
        assert b"Traceback" not in plain.stderr, plain.stderr
        assert plain.returncode == run("rmset", *words, *where, encoding="utf-8").returncode
        (plain.stdout + plain.stderr).decode(encoding)
    for words in (("--help",), ("supervised", "--help"), ("evaluate", "nowhere–é", "--on", "名前")):
        assert b"Traceback" not in run("fertrain", *words, encoding=encoding).stderr


def test_only_the_console_prints():
    for path in sorted([*(CLI / "rmset").glob("*.py"), *(CLI / "fertrain").glob("*.py")]):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"sys\.stdout|sys\.stderr|typer\.echo|\bprint\(|click\.echo", text)
        assert found == [], f"{path} prints by itself: {found}"


def test_nan_is_null_and_equal_names_keep_their_values(evil_root, tmp_path):
    place = ("--root", evil_root.path)
    query = "select 0 as x0, 2 as x0, 'nan'::double as n, [1.5, 'inf'::double] as l, 'ab'::blob as b"
    (row,) = json.loads(run("rmset", "sql", query, *place, "-f", "json").stdout)
    assert row == {"x0": 0, "x0_1": 2, "n": None, "l": [1.5, None], "b": "YWI="}
    assert run("rmset", "sql", query, *place, "-f", "csv").stdout.decode().splitlines() == [
        "x0,x0_1,n,l,b", '0,2,nan,"[1.5, null]",YWI=',
    ]  # fmt: skip
    import pyarrow.parquet as pq

    assert run("rmset", "sql", query, *place, "-o", tmp_path / "x.parquet").returncode == 0
    assert pq.read_table(tmp_path / "x.parquet").to_pylist()[0]["x0_1"] == 2
    joined = "select * from faces f join people p using (video_id, segment) limit 3"
    assert run("rmset", "sql", joined, *place, "-o", tmp_path / "y.parquet").returncode == 0
    table = pq.read_table(tmp_path / "y.parquet")
    assert {"person_id", "person_id_1", "x0", "x0_1"} <= set(table.column_names)
