"""Stages run once, again after changes, and give the same bytes after any number of kills."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.main import get_command
from typer.testing import CliRunner

from rmset.engine import build
from rmset.files import sha256_of
from rmset.pipeline import run_stage, run_stages
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from rmset_cli.rmset.app import app as rmset

STEPS = [("track", TrackConfig(stride=2)), ("export", ExportConfig(size=48, stride=2))]


def copy_of(root: Root, path: Path) -> Root:
    shutil.copytree(root.path, path)
    return Root(path)


def bytes_of(root: Root) -> dict[str, str]:
    """sha256 of every file of the root but its state."""
    files = sorted(p for p in root.path.rglob("*") if p.is_file())
    return {str(k): sha256_of(p) for p in files if (k := p.relative_to(root.path)).parts[0] != "state"}


@pytest.fixture
def root(laid_out_root, tmp_path):
    return copy_of(laid_out_root, tmp_path / "root")


def test_a_finished_stage_is_not_run_again_until_config_or_input_changes(root):
    (video_id,) = root.video_ids()
    assert run_stage(root, video_id, *STEPS[0]).status == "done"
    assert run_stage(root, video_id, *STEPS[0]).status == "already done"
    assert run_stage(root, video_id, "track", TrackConfig(stride=3)).status == "done"
    layout = root.layout(video_id)
    root.write_text(root.layout_key(video_id), layout.to_json() + " \n")
    assert run_stage(root, video_id, "track", TrackConfig(stride=3)).status == "done", "its input changed"


def test_a_stage_whose_output_was_removed_runs_again(root):
    (video_id,) = root.video_ids()
    run_stage(root, video_id, *STEPS[0])
    root.files.remove(root.tracks_key(video_id))
    assert run_stage(root, video_id, *STEPS[0]).status == "done"


def test_a_build_exports_with_the_given_options(root):
    few = ["--track-stride", "4", "--stride", "4", "--size", "48", "--format", "png", "--max-per-person", "2"]
    done = CliRunner().invoke(rmset, ["build", "--root", str(root.path), "--quiet", *few])
    assert done.exit_code == 0, done.output
    (shard,) = root.path.glob("crops/**/*.parquet")
    rows = parquet.read_table(shard).to_pylist()
    people = {row["person_id"] for row in rows}
    assert len(rows) == 2 * len(people) > 2
    assert all(row["image"]["bytes"].startswith(b"\x89PNG") for row in rows)


def test_build_takes_every_option_of_export():
    named = {name: {p.name for p in get_command(rmset).commands[name].params} for name in ("export", "build")}
    assert named["export"] - {"videos"} <= named["build"]


def test_a_video_that_fails_is_recorded_with_its_cause_and_the_others_go_on(root, tmp_path):
    broken = fetch.add(root, _plain_video(tmp_path / "plain.mp4"))
    good = next(v for v in root.video_ids() if v != broken.video_id)
    outcomes = {(o.video_id, o.stage): o for o in build(root, root.video_ids(), STEPS)}
    assert outcomes[good, "export"].status == "done"
    failed = outcomes[broken.video_id, "track"]
    assert "has no layout yet" in failed.error
    assert root.stage_record("track", broken.video_id).error == failed.error
    assert (broken.video_id, "export") not in outcomes, "what needs the failed stage is not tried"


def test_earlier_results_stay_whole_when_a_stage_fails(root, tmp_path):
    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    before = bytes_of(root)
    video = root.video_path(video_id)
    video.rename(tmp_path / "away.mp4")
    outcome = run_stage(root, video_id, "export", ExportConfig(size=64))
    assert outcome.status == "failed"
    (tmp_path / "away.mp4").rename(video)
    assert bytes_of(root) == before


def test_jobs_change_no_byte(laid_out_root, tmp_path):
    roots = [copy_of(laid_out_root, tmp_path / name) for name in ("one", "two")]
    for jobs, root in enumerate(roots, start=1):
        other = fetch.add(root, _plain_video(tmp_path / f"plain{jobs}" / "plain.mp4"))
        source = root.layout(next(v for v in root.video_ids() if v != other.video_id))
        root.write_layout(type(source)(other.video_id, other.frame_size, source.segments))
        assert {o.status for o in build(root, root.video_ids(), STEPS, jobs=jobs)} <= {"done", "failed"}
    assert bytes_of(roots[0]) == bytes_of(roots[1])


BUILD = """
import sys
from rmset.root import Root
from rmset.pipeline import run_stages
sys.path.insert(0, {here!r})
from test_pipeline import STEPS
root = Root({root!r})
print("ready", flush=True)
print([o.status for o in run_stages(root, root.video_ids()[0], STEPS)], flush=True)
"""


def killed_builds(root: Root, kills: int, longest: float, seed: int) -> int:
    """Build in a process of its own, kill it at random moments of a build that takes `longest` seconds, at last let it
    end; returns the kills that hit.
    """
    chance, hits = random.Random(seed), 0
    for _ in range(kills):
        process = _start(root)
        try:
            process.wait(timeout=chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            hits += 1
    process = _start(root)
    assert "done" in process.communicate()[0]
    return hits


def _start(root: Root) -> subprocess.Popen[str]:
    code = BUILD.format(root=str(root.path), here=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_moment_and_built_again_the_bytes_are_those_of_an_undisturbed_build(
    laid_out_root, tmp_path, kills
):
    undisturbed, disturbed = (copy_of(laid_out_root, tmp_path / name) for name in ("undisturbed", "disturbed"))
    process, began = _start(undisturbed), time.monotonic()
    assert "done" in process.communicate()[0]
    assert killed_builds(disturbed, kills, time.monotonic() - began, seed=kills) > 0
    assert bytes_of(disturbed) == bytes_of(undisturbed)


def _plain_video(path: Path) -> Path:
    """A gray video of one second, without people."""
    import numpy as np

    from rmset.synth.encode import Encoder

    path.parent.mkdir(parents=True, exist_ok=True)
    with Encoder(path, (640, 360), 30) as encoder:
        for level in range(48):
            encoder.write(np.full((360, 640, 3), 100 + level, np.uint8))
    return path


def broken_work(root, video_id, config, progress, early=None):
    import cv2
    import numpy as np

    cv2.cvtColor(np.zeros((2, 2), np.uint8), cv2.COLOR_BGR2GRAY)


def with_work(monkeypatch, name, work):
    from dataclasses import replace

    from rmset import pipeline

    monkeypatch.setitem(pipeline.STAGES, name, replace(pipeline.STAGES[name], work=work))


def test_any_exception_of_a_video_is_its_failure_with_cause_and_traceback(root, monkeypatch):
    (video_id,) = root.video_ids()
    with_work(monkeypatch, "track", broken_work)
    (outcome,) = build(root, root.video_ids(), STEPS)
    entry = root.stage_record("track", video_id)
    assert outcome.error == entry.error
    assert entry.error.startswith("error: OpenCV")
    assert "\n" not in entry.error
    assert "in broken_work" in entry.traceback
    shown = CliRunner().invoke(rmset, ["status", "--why", video_id, "--root", str(root.path)])
    assert shown.exit_code == 0
    assert "in broken_work" in shown.stdout
    assert "OpenCV" in shown.stdout


def test_a_refused_lock_leaves_the_ledger_as_it_was(root):
    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    before = root.files.read_text(root.state_key("export", video_id))
    with root.files.lock(video_id):
        refused = run_stage(root, video_id, "export", ExportConfig(size=200))
        assert "another process" in refused.error
    assert root.files.read_text(root.state_key("export", video_id)) == before


def test_a_killed_stage_stays_running_with_what_it_had_and_repair_brings_that_back(root, monkeypatch):
    from rmset.inspect.verify import verify
    from rmset.pipeline import repair

    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    before, entry = bytes_of(root), root.stage_record("export", video_id)

    def killed(root, video_id, config, progress, early=None):
        root.files.remove(root.crops_key(video_id))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        with_work(patch, "export", killed)
        with pytest.raises(KeyboardInterrupt):
            run_stage(root, video_id, "export", ExportConfig(size=200))
    left = root.stage_record("export", video_id)
    assert (left.status, left.last_done) == ("running", entry)
    findings = list(verify(root))
    assert any("was killed before it ended" in f.problem for f in findings)
    assert any(f.problem == "missing" for f in findings)
    shown = CliRunner().invoke(rmset, ["status", "--root", str(root.path), "--format", "csv"])
    assert "killed" in shown.stdout
    assert [o.status for o in repair(root, findings)] == ["done"]
    assert bytes_of(root) == before
    assert list(verify(root)) == []


def test_after_a_failure_that_changed_no_file_the_finished_run_counts_again(root, monkeypatch):
    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    with monkeypatch.context() as patch:
        with_work(patch, "export", broken_work)
        assert run_stage(root, video_id, "export", ExportConfig(size=200)).status == "failed"
    assert run_stage(root, video_id, *STEPS[1]).status == "already done"
    assert root.stage_record("export", video_id).status == "done"


def test_a_config_that_was_refused_the_lock_by_an_earlier_version_is_never_used_for_repair(root):
    from rmset.inspect.verify import verify
    from rmset.pipeline import repair
    from rmset.records import StageRecord

    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    before = bytes_of(root)
    config = {"size": 200, "stride": 2}
    root.write_stage_record(StageRecord("export", video_id, "failed", "x", "", config=config, error="another process"))
    findings = list(verify(root))
    assert [f.problem for f in findings] == ["another process"]
    assert list(repair(root, findings)) == []
    assert bytes_of(root) == before


def test_crops_that_the_ledger_does_not_know_are_a_finding(root):
    from rmset.inspect.verify import verify

    (video_id,) = root.video_ids()
    run_stages(root, video_id, STEPS)
    root.files.remove(root.state_key("export", video_id))
    assert [f.problem for f in verify(root)] == ["crops that the ledger does not know"]
