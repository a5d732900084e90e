"""Two commands that change one file at the same time keep each other's changes."""

import subprocess
import sys

import pytest

from fertrain.datasets.registry import entries
from fertrain.run_folder import RunFolder
from rmset.errors import RootError
from rmset.locks import hold

NOTES = """
import sys, time
from pathlib import Path
from fertrain.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for k in range(15):
    folder.note_evaluation(f"set:{sys.argv[2]}", "given", 0.5, "a test")
"""
ADDS = """
import sys
from pathlib import Path
from fertrain.datasets import registry
print("ready", flush=True)
sys.stdin.readline()
for k in range(15):
    registry.add(registry.Entry(f"{sys.argv[2]}{k}", "rmset", Path(sys.argv[1]), {}, None), here=True)
"""


def both(code, where, cwd):
    """Run two processes at the same time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(where), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd
        )
        for name in "ab"
    ]
    for process in started:
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
        assert process.returncode == 0


def test_no_evaluation_is_lost_where_two_commands_note_one_at_once(tmp_path):
    both(NOTES, tmp_path, tmp_path)
    rows = RunFolder(tmp_path).evaluations()
    assert sorted(row["split"] for row in rows) == ["set:a"] * 15 + ["set:b"] * 15


@pytest.mark.slow
def test_no_name_is_lost_where_two_commands_add_one_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "root" / "crops").mkdir(parents=True)
    both(ADDS, tmp_path / "root", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert sorted(entries()) == sorted(f"{name}{k}" for name in "ab" for k in range(15))


def test_a_lock_is_waited_for_as_long_as_is_wanted_and_no_longer(tmp_path):
    with hold(tmp_path / "lock", "it"), pytest.raises(RootError, match="another process is working on it"):  # noqa: SIM117
        with hold(tmp_path / "lock", "it", patience=0.2):
            pass
