"""The commands: help with an example, one line for an error, the right exit code, results on stdout only."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rmset_cli.console import asked_for
from rmset_cli.fertrain.app import app as fertrain
from rmset_cli.rmset.app import app as rmset

BIN = Path(sys.executable).parent


def commands(app, prefix=()):
    """Every command of an app with its words."""
    group = app if hasattr(app, "commands") else get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name), command


PROGRAMS = {"rmset": rmset, "fertrain": fertrain}
ALL = [
    pytest.param(app, words, command, id=" ".join((name, *words)))
    for name, app in PROGRAMS.items()
    for words, command in commands(app)
]


@pytest.mark.parametrize(("app", "words", "command"), ALL)
def test_every_command_has_help_with_an_example(app, words, command):
    assert "Example:" in (command.help or ""), f"{' '.join(words)} lacks an example"
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


@pytest.mark.parametrize(("app", "words", "command"), ALL)
def test_a_command_is_the_same_alone_as_among_the_others(app, words, command):
    alone = get_command(asked_for(app, words))
    assert list(alone.commands) == [words[0]]
    for word in words:
        alone = alone.commands[word]
    assert [(p.name, p.opts, p.default) for p in alone.params] == [(p.name, p.opts, p.default) for p in command.params]
    assert (alone.help, type(alone)) == (command.help, type(command))


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("--cache", "x", "sql"), ("trak",)])
@pytest.mark.parametrize("app", PROGRAMS.values(), ids=PROGRAMS)
def test_what_names_no_command_meets_them_all(app, words):
    assert asked_for(app, words) is app


@pytest.mark.parametrize(("app", "words", "command"), ALL)
def test_every_option_is_explained(app, words, command):
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(words)}: {parameter.name} is not explained"


@pytest.mark.parametrize("program", ["rmset", "fertrain"])
def test_help_imports_neither_torch_nor_pyarrow(program):
    code = (
        f"import sys; sys.argv = ['{program}', '--help']\n"
        f"from rmset_cli.{program}.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pyarrow', 'cv2', 'av', 'duckdb', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def run(*words: str, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as users do."""
    where = ["--root", str(root)] if root else []
    return subprocess.run([str(BIN / words[0]), *words[1:], *where], capture_output=True, text=True, check=False)


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.mp4", None, "found none"),
        ("empty.mp4", b"", "empty file"),
        ("text.mp4", b"this is no video at all, only words " * 50, "expected a video"),
    ],
)
def test_a_file_that_is_no_video_gives_a_one_line_error_and_writes_nothing(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    line = one_line(run("rmset", "add", str(tmp_path / name), "-f", "csv", root=tmp_path / "root"), 1)
    assert says in line
    assert not list((tmp_path / "root").glob("videos/*"))


def test_a_file_in_place_of_a_folder_gives_a_one_line_error(tmp_path):
    (tmp_path / "file").write_text("here")
    line = one_line(run("rmset", "world", "-o", str(tmp_path / "file" / "world"), "--videos", "1"), 1)
    assert str(tmp_path / "file") in line
    assert "found a file in the place of a folder" in line


def test_a_truncated_video_is_refused_or_taken_with_its_fault_and_others_go_on(tmp_path, mashup):
    whole = mashup[0].read_bytes()
    (tmp_path / "a_cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b_whole.mp4").write_bytes(whole)
    done = run("rmset", "add", str(tmp_path), "--format", "json", root=tmp_path / "root")
    taken = [row["video_id"].rsplit("-", 1)[0] for row in json.loads(done.stdout)]
    assert "b_whole" in taken
    assert "a_cut" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_root_that_cannot_be_written_gives_a_one_line_error(tmp_path, mashup):
    (tmp_path / "file").write_text("")
    line = one_line(run("rmset", "add", str(mashup[0]), "-f", "csv", root=tmp_path / "file" / "root"), 1)
    assert "--root, $RMSET_ROOT" in line


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("rmset", "track"), 1, "rmset add"),
        (("rmset", "track", "--detector", "mtccn"), 2, "expected one of mtcnn"),
        (("rmset", "track", "--assign", "guess"), 2, "expected one of"),
        (("rmset", "pairs"), 2, "--anchor"),
        pytest.param(
            ("fertrain", "supervised", "--labeled", "nosuchset", "--out", "x"), 2, "nosuchset", marks=pytest.mark.slow
        ),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_wrong_usage_is_one_line_and_the_right_exit_code(tmp_path, monkeypatch, words, code, says):
    monkeypatch.chdir(tmp_path)
    where = tmp_path / "root" if words[0] == "rmset" else None
    assert says in one_line(run(*words, root=where), code)


def test_a_region_outside_the_frame_changes_nothing(finished_root):
    (video_id,) = finished_root.video_ids()
    before = finished_root.files.read_text(finished_root.layout_key(video_id))
    done = run("rmset", "layout", "set", video_id, "--trigger", "0,0,9999,10", root=finished_root.path)
    assert "expected a box inside the frame" in one_line(done, 1)
    assert finished_root.files.read_text(finished_root.layout_key(video_id)) == before


def test_results_go_to_stdout_and_talk_to_stderr(finished_root):
    query = "select person_id, count(*) n from faces group by 1 order by 1"
    done = run("rmset", "sql", query, "--format", "json", root=finished_root.path)
    assert [row["n"] for row in json.loads(done.stdout)] == [48, 48, 48]
    assert done.stderr == ""


def test_a_finished_root_verifies_and_counts(finished_root):
    assert run("rmset", "verify", "--quiet", root=finished_root.path).returncode == 0
    rows = json.loads(run("rmset", "stats", "--format", "json", root=finished_root.path).stdout)
    assert "144" in json.dumps(rows)
    status = json.loads(run("rmset", "status", "--format", "json", root=finished_root.path).stdout)
    assert "done" in json.dumps(status)


@pytest.mark.slow
def test_pictures_are_drawn(finished_root, tmp_path):
    (video_id,) = finished_root.video_ids()
    for words in (
        ("preview", video_id, "-o", str(tmp_path / "preview.mp4")),
        ("sheet", video_id, "-o", str(tmp_path / "sheet.png")),
        ("layout", "show", video_id, "-o", str(tmp_path / "layout.png"), "-f", "csv"),
    ):
        assert run("rmset", *words, root=finished_root.path).returncode == 0
    from rmset.parts.probe import probe

    assert probe(tmp_path / "preview.mp4").frame_count == 48
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_evaluate_finds_the_video_that_a_truth_file_belongs_to(finished_root, mashup):
    truth = mashup[0].with_name("mashup.truth.json")
    (row,) = json.loads(run("rmset", "evaluate", "--truth", str(truth), "-f", "json", root=finished_root.path).stdout)
    assert row["idf1"] > 0.99


def test_compose_names_every_layout_that_it_knows():
    from rmset.synth.layouts import LAYOUTS

    (said,) = (p.help for p in get_command(rmset).commands["compose"].params if p.name == "layout")
    assert [name for name in LAYOUTS if name not in said] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_the_packages(program):
    import rmset as package

    shown = CliRunner().invoke(PROGRAMS[program], ["--version"])
    assert (shown.exit_code, shown.stdout.strip()) == (0, package.__version__)


def test_quiet_lasts_as_long_as_its_command(finished_root):
    words = ["verify", "--root", str(finished_root.path)]
    assert not CliRunner().invoke(rmset, [*words, "--quiet"]).stderr
    assert CliRunner().invoke(rmset, words).stderr


def test_quiet_before_the_command_holds_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("happiness", "anger"):
        picture = tmp_path / "faces" / "train" / name / "1.png"
        picture.parent.mkdir(parents=True)
        cv2.imwrite(str(picture), np.zeros((48, 48), np.uint8))
    words = ["datasets", "add", "mine", str(tmp_path / "faces"), "--here"]
    assert CliRunner().invoke(fertrain, words).stderr
    assert not CliRunner().invoke(fertrain, ["--quiet", *words]).stderr
