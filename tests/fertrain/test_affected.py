"""Runs that learned from faces which were removed since."""

import json

import pytest
from typer.testing import CliRunner

from fertrain.analysis.affected import affected
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.training.experiment import run
from fertrain.unlabeled.scripted_mashup import ScriptedConfig, write_scripted
from rmset import removal
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app


@pytest.fixture(scope="module")
def root(faces, tmp_path_factory):
    config = ScriptedConfig(f"folder:{faces}", videos=2, people=3, seconds=4, noise=0.0, max_delay=0.5, size=32)
    return write_scripted(tmp_path_factory.mktemp("s") / "root", config)[0]


def learned(faces, root, out):
    return run(
        RunConfig(
            method="fixmatch", data=DataConfig(f"folder:{faces}", unlabeled=f"rmset:{root.path}", labels=14),
            augment="none", precision="fp32", model=ModelConfig("deep-emotion", image_size=32),
            optim=OptimConfig(epochs=(1,), batch_size=7), out=str(out),
        )
    ).folder  # fmt: skip


def test_runs_tell_whether_they_learned_from_what_was_removed(faces, root, tmp_path):
    first, second = root.video_ids()
    before = learned(faces, root, tmp_path / "runs" / "before")
    assert affected(root, [tmp_path / "runs"]) == []
    removal.remove_person(root, first, 1, "asked")
    after = learned(faces, root, tmp_path / "runs" / "after")
    assert [(r["run"], r["key"], r["learned"]) for r in affected(root, [tmp_path])] == [
        (str(before), f"{first}:1", "yes")
    ]
    removal.remove_video(root, first, "taken down")
    found = {(r["run"], r["key"]): r["learned"] for r in affected(root, [tmp_path])}
    assert found == {
        (str(before), f"{first}:1"): "yes", (str(before), first): "perhaps",
        (str(after), first): "yes",
    }  # fmt: skip
    asked = ["runs", str(tmp_path / "runs"), "--affected-by", str(root.path), "-f", "json"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 1
    assert len(json.loads(shown.stdout)) == 3
    assert root.video_ids() == [second]


def test_a_folder_without_runs_is_one_line(root, tmp_path):
    with pytest.raises(UsageError, match=r"expected runs in .*, found none"):
        affected(root, [tmp_path])
