"""A root of an earlier version: `build` probes it again and redoes only the results that differ now.

`data/make_old_root.py` made the root with the code of commit 1db390a.
"""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rmset import code_versions
from rmset.engine import build
from rmset.inspect.verify import verify
from rmset.parts.shards import read_faces
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages.export import ExportConfig
from rmset.stages.layout import check, edit
from rmset.stages.track import TrackConfig
from rmset_cli.rmset.app import app

WHOLE, LATE, WIDE = "whole-07e1e5c7", "late-a82b675f", "wide-111b26c1"
CHANGES_OF_TRACK = code_versions.CHANGES["track"]
STEPS = [("track", TrackConfig(precision="f32")), ("export", ExportConfig(size=32, stride=2, quality=90))]


def old_root(folder):
    with zipfile.ZipFile(Path(__file__).parent / "data" / "old_root.zip") as archive:
        archive.extractall(folder)
    return Root(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The old root, built by this version: outcomes by video and stage."""
    root = old_root(tmp_path_factory.mktemp("old") / "root")
    before = {p: p.stat().st_mtime_ns for p in root.path.rglob("*") if WHOLE in str(p) and "state" not in p.parts}
    with pytest.MonkeyPatch.context() as patch:
        # The change of numbering alone, which touches some videos; the tracker has changed for all since.
        patch.setitem(code_versions.CHANGES, "track", (code_versions.NUMBERING,))
        outcomes = {(o.video_id, o.stage): o for o in build(root, root.video_ids(), STEPS)}
        yield root, outcomes, before


def test_wrong_crops_of_an_old_root_are_found_by_looking_at_their_frames_again(tmp_path):
    root = old_root(tmp_path / "root")
    found = {f.video_id: f.problem for f in verify(root, frames=6)}
    assert set(found) == {LATE, WIDE}
    assert "crops in 6 frames show something else" in found[LATE]
    assert list(verify(root, frames=6, video_ids=[WHOLE])) == []


def test_build_redoes_results_that_differ_now_and_says_so(built):
    root, outcomes, _ = built
    told = outcomes[LATE, "probe"].counts
    assert told["frames"] == root.record(LATE).frame_count == 32 < told["frames before"]
    assert "not counted" in told["lost"]
    assert root.record(WIDE).frame_size == (427, 180)
    assert "320x180 is shown as 427x180" in outcomes[WIDE, "probe"].counts["squared"]
    assert {o.status for (video, _), o in outcomes.items() if video != WHOLE} == {"done"}
    assert list(verify(root, frames=6)) == []


def test_a_video_that_comes_out_as_before_is_left_alone(built):
    _, outcomes, before = built
    assert outcomes[WHOLE, "probe"].counts == {"frames": 48}
    assert outcomes[WHOLE, "track"].status == "already done"
    # crops are cut in another way since
    assert outcomes[WHOLE, "export"].status == "done"
    kept = {p: p.stat().st_mtime_ns for p in before if not {"crops", "videos"} & set(p.parts)}
    assert f"tracks/{WHOLE}.parquet" in {"/".join(p.parts[-2:]) for p in kept}
    assert kept == {p: before[p] for p in kept}


def test_a_change_of_the_tracker_tracks_every_video_again(tmp_path, monkeypatch):
    monkeypatch.setitem(code_versions.CHANGES, "track", CHANGES_OF_TRACK)
    root = old_root(tmp_path / "root")
    assert {o.stage: o.status for o in build(root, [WHOLE], STEPS)}["track"] == "done"


def test_rows_are_of_frames_that_the_video_has_with_their_times(built):
    root, _, _ = built
    for video_id in root.video_ids():
        rows = read_faces(root.files.local(root.tracks_key(video_id)))
        with reader_of(root, video_id) as reader:
            times = reader.index.time_ms
        np.testing.assert_allclose(rows["time_ms"].to_numpy(), times[rows["frame_idx"].to_numpy()])


def test_a_reviewed_layout_is_kept_and_flagged_until_it_is_looked_at(built):
    root, outcomes, _ = built
    layout = root.layout(LATE)
    assert layout.segments[0].reviewed
    assert "of which a player shows 32" in layout.moved
    assert layout.moved in outcomes[LATE, "probe"].counts["layout"]
    frames = root.record(LATE).frame_count
    assert "drawn on other frames" in check(layout, frames)[0].problem
    confirmed = edit(layout, span=(10, 20), reviewed=True)
    assert not any("other frames" in f.problem for f in check(confirmed, frames))
    assert root.layout(WHOLE).moved is None


def test_status_leads_to_a_layout_that_has_moved(built):
    root, _, _ = built
    shown = CliRunner().invoke(app, ["status", "--root", str(root.path), "--format", "json"])
    why = {row["video_id"]: row["why"] for row in json.loads(shown.stdout)}
    assert "drawn on other frames" in why[LATE]
    assert "layout review" in why[LATE]
    assert why[WHOLE] is None


def test_a_layout_follows_its_pictures_to_their_new_size(built):
    root, _, _ = built
    layout = root.layout(WIDE)
    assert layout.frame_size == (427, 180)
    with zipfile.ZipFile(Path(__file__).parent / "data" / "old_root.zip") as archive:
        old = json.loads(archive.read(f"layouts/{WIDE}.json"))
    (was,), (now,) = old["segments"], layout.segments
    for before, after in zip(was["people"], now.people, strict=True):
        np.testing.assert_allclose(after.box, np.array(before["box"]) * [427 / 320, 1, 427 / 320, 1])


def test_building_again_does_nothing(built):
    root, _, _ = built
    again = list(build(root, root.video_ids(), STEPS))
    assert {(o.stage, o.status) for o in again} == {("track", "already done"), ("export", "already done")}


def test_a_layout_without_a_flag_is_written_as_it_was(built):
    root, _, _ = built
    assert '"moved"' not in root.layout(WHOLE).to_json()
    assert '"moved"' in replace(root.layout(WHOLE), moved="why").to_json()
