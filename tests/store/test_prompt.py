"""The SQL prompt, and the commands `sql` and `pairs`."""

import io
import json

import pytest
from typer.testing import CliRunner

from rmset.read.catalog import Catalog
from rmset_cli.rmset import prompt
from rmset_cli.rmset.app import app

from .worlds import crop_root, video_root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return video_root(tmp_path_factory.mktemp("prompt") / "root")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    from rmset.records import VideoRecord

    root = crop_root(tmp_path_factory.mktemp("prompt") / "root")
    for v in ("a", "b"):
        root.write_text(root.record_key(v), VideoRecord(v, 64, 64, 25.0, 40, 1.6, "h264", "0" * 64, 1).to_json())
    return root


def run(*words, typed=None):
    return CliRunner().invoke(app, list(words), input=typed, catch_exceptions=False)


def test_statements_end_at_semicolons():
    lines = iter(["", "select 1,", "2;", ".help", "select ';'", "from x;", "left over"])
    assert list(prompt.statements(lines)) == ["select 1,\n2", ".help", "select ';'\nfrom x", "left over"]


def test_tables_columns_and_keywords_are_completed(root):
    complete = prompt.completer(prompt.words(Catalog(root)))
    assert complete("frame_i", 0) == "frame_idx"
    assert complete("SEL", 0) == "SELECT"
    assert complete("posi", 0) == "positives("
    assert complete("no such thing", 0) is None


def test_a_session_goes_on_after_an_error_and_keeps_its_history(root, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    typed = iter(["select 1", "  as a;", "selec;", ".format json", ".tables", ".schema people", ".nonsense", ".quit"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed))
    asked = []

    def answer(text, fmt, output):
        asked.append((text, str(fmt)))
        Catalog(root).sql(text).rows()

    prompt.loop(Catalog(root), answer)
    assert asked[0] == ("select 1\n  as a", "table")
    assert asked[-1] == ("describe people", "json")
    assert "selec" in capsys.readouterr().err
    assert (tmp_path / "rmset" / "sql_history").exists()


def test_sql_prints_in_every_format(root):
    for fmt, sign in (("table", "┃"), ("json", '"n": 90'), ("csv", "n\n90\n")):
        result = run("sql", "select count(*) n from faces", "--root", str(root.path), "--format", fmt)
        assert result.exit_code == 0
        assert sign in result.stdout


def test_sql_comes_through_a_pipe(root):
    assert run("sql", "--root", str(root.path), "-f", "csv", typed="select 7 as a;\n").stdout == "a\n7\n"


def test_the_terminal_is_not_flooded(root):
    result = run("sql", "select * from range(100_000_000)", "--root", str(root.path), "-f", "csv", "--limit", "20")
    assert len(result.stdout.splitlines()) == 21


def test_pairs_of_one_anchor_of_a_sample_and_of_all(crops, tmp_path):
    place = ["--root", str(crops.path), "--d-far", "20"]
    (one,) = json.loads(run("pairs", "--anchor", "a:1:5", "--d", "1", *place, "-f", "json").stdout)
    assert one["positives"] == [f"a:{p}:{f}" for f in (4, 5, 6) for p in (0, 2)]
    assert one["negatives"] == [f"a:1:{f}" for f in range(26, 40)]
    sample = run("pairs", "--sample", "3", "--seed", "1", *place, "-f", "csv")
    assert sample.stdout == run("pairs", "--sample", "3", "--seed", "1", *place, "-f", "csv").stdout
    assert sample.stdout != run("pairs", "--sample", "3", "--seed", "2", *place, "-f", "csv").stdout
    every = run("pairs", "--all", "-o", str(tmp_path / "all.parquet"), *place)
    assert every.exit_code == 0
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "all.parquet")
    assert len(set(table["row"].to_pylist())) == 2 * 3 * 38
    assert set(table["kind"].to_pylist()) == {"positive", "negative"}


@pytest.mark.parametrize(
    "words",
    [
        [], ["--sample", "1", "--anchor", "a:0:1"], ["--all"], ["--anchor", "a:0"], ["--anchor", "a:9:1"],
        ["--sample", "1", "--unit", "weeks"], ["--all", "-o", "x.txt"],
    ],
)  # fmt: skip
def test_invalid_queries_give_a_one_line_error(crops, words):
    from rmset.errors import RmsetError

    with pytest.raises(RmsetError) as error:
        run("pairs", "--root", str(crops.path), *words)
    assert "expected" in str(error.value) or "not in the root" in str(error.value)


def test_history_is_optional(root, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    monkeypatch.setattr("builtins.input", lambda _: (_ for _ in ()).throw(EOFError))
    monkeypatch.setattr("sys.stderr", io.StringIO())
    prompt.loop(Catalog(root), lambda *_: None)
