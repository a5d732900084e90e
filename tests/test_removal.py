"""Removal: removed data are gone from every file and view, all other data stay, and no later run restores them."""

import contextlib
import json
import random
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from rmset import removal
from rmset.engine import build
from rmset.errors import RootError
from rmset.files import sha256_of
from rmset.inspect.absence import absence
from rmset.inspect.verify import verify
from rmset.parts.hashsearch import alike
from rmset.parts.likeness import BITS, likeness
from rmset.parts.shards import read_faces, write_faces
from rmset.read.catalog import Catalog
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.audit import AuditConfig
from rmset.stages.export import ExportConfig
from rmset.stages.layout import ProposeConfig
from rmset.stages.track import TrackConfig
from rmset_cli.rmset.app import app

STEPS = [("track", TrackConfig()), ("audit", AuditConfig()), ("export", ExportConfig(size=64))]
CROPS = "select person_id, frame_idx, md5(image.bytes::varchar) as bytes from crops order by all"


@pytest.fixture(scope="module")
def audited_root(finished_root, tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("audited") / "root")
    shutil.copytree(finished_root.path, root.path)
    assert all(o.error is None for o in build(root, root.video_ids(), STEPS))
    return root


@pytest.fixture
def root(audited_root, tmp_path):
    shutil.copytree(audited_root.path, tmp_path / "root")
    return Root(tmp_path / "root")


@pytest.fixture
def video(root):
    return root.video_ids()[0]


def rows(root, query):
    return Catalog(root).sql(query).rows()


def hashes(root, pattern):
    return {key: sha256_of(root.files.local(key)) for key in root.files.keys(pattern)}


def test_a_removed_person_is_gone_from_every_view_and_all_else_stays(root, video):
    others = [row for row in rows(root, CROPS) if row["person_id"] != 1]
    stone = removal.remove_person(root, video, 1, "asked for it")
    assert (stone.faces, stone.crops, stone.state) == (48, 48, "done")
    for view in ("faces", "crops", "people", "audit"):
        assert rows(root, f"select * from {view} where person_id = 1") == []
    assert rows(root, CROPS) == others
    assert rows(root, "select what, key, reason, faces from removed") == [
        {"what": "person", "key": f"{video}:1", "reason": "asked for it", "faces": 48}
    ]
    assert list(verify(root)) == []
    assert list(absence(root)) == []


def test_shards_and_tracks_are_those_of_runs_with_the_tombstone_and_nothing_is_run_again(root, video):
    removal.remove_person(root, video, 1, "asked")
    after = hashes(root, "crops/*/*") | hashes(root, "tracks/*")
    assert [o.status for o in build(root, [video], STEPS)] == ["already done"] * 3
    assert [o.status for o in build(root, [video], STEPS, force=True)] == ["done"] * 3
    assert hashes(root, "crops/*/*") | hashes(root, "tracks/*") == after
    assert list(absence(root)) == []


@pytest.mark.slow
def test_a_new_layout_and_new_tracks_leave_a_removed_person_out(root, video):
    removal.remove_person(root, video, 1, "asked")
    root.files.remove(root.layout_key(video))
    steps = [("layout", ProposeConfig()), *STEPS]
    assert all(o.error is None for o in build(root, [video], steps, force=True))
    assert len(rows(root, "select distinct person_id from faces")) == 2
    assert len(rows(root, "select distinct person_id from people")) == 2
    assert list(absence(root)) == []


def test_a_person_who_is_drawn_again_by_hand_is_still_left_out_of_the_tracks(root, video):
    drawn = root.layout(video)
    removal.remove_person(root, video, 1, "asked")
    root.write_layout(drawn)
    assert all(o.error is None for o in build(root, [video], STEPS))
    assert rows(root, "select distinct person_id from faces where person_id = 1") == []
    problems = [finding.problem for finding in absence(root)]
    assert problems == ["1 places of removed people"]


def test_a_removed_video_leaves_no_file_and_cannot_be_added_again(root, video, mashup):
    removal.remove_video(root, video, "taken down")
    left = {key for key in root.files.keys("**/*") if video in key and not key.startswith("state/locks/")}
    assert left == {f"removed/{video}.parquet", f"removed/{video}.fingerprint.parquet"}
    assert root.video_ids() == []
    assert list(absence(root)) == []
    copy = root.path.parent / "other name.mp4"
    shutil.copy(mashup[0], copy)
    with pytest.raises(RootError, match=r"was removed on .* \(taken down\)"):
        fetch.add(root, copy)
    assert root.files.keys("videos/*") == []


def test_the_panel_of_a_removed_person_is_gray_in_the_source_on_request(root, video, audited_root):
    others = [row for row in rows(root, CROPS) if row["person_id"] != 1]
    (panel,) = {p.panel for s in root.layout(video).segments for p in s.people if p.person_id == 1}
    removal.remove_person(root, video, 1, "asked", pixels=True)
    x0, y0, x1, y1 = (int(v) for v in panel)
    with reader_of(audited_root, video) as before, reader_of(root, video) as after:
        assert after.index.time_ms.tolist() == pytest.approx(before.index.time_ms.tolist(), abs=0.1)
        for old, new in zip(before.frames(), after.frames(), strict=True):
            inside = new.rgb[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4]
            assert inside.min() > 118
            assert inside.max() < 138
            apart = np.abs(old.rgb.astype(int) - new.rgb)
            apart[max(y0 - 4, 0) : y1 + 4, max(x0 - 4, 0) : x1 + 4] = 0
            assert apart.mean() < 2
    assert rows(root, CROPS) == others
    assert [o.status for o in build(root, [video], STEPS)] == ["already done"] * 3
    assert list(verify(root, frames=5)) == list(absence(root)) == []
    assert len(root.files.keys(f"videos/{video}.*")) == 2
    assert root.files.keys("state/blanked/*") == []


def test_the_bytes_before_blanking_are_known(root, video, mashup):
    removal.remove_person(root, video, 1, "asked", pixels=True)
    other = shutil.copy(mashup[0], root.path.parent / "other name.mp4")
    assert fetch.add(root, other).video_id == video
    assert root.video_ids() == [video]
    removal.remove_video(root, video, "taken down")
    with pytest.raises(RootError, match="was removed on"):
        fetch.add(root, other)


def test_crops_of_other_tracks_are_refused(root, video):
    """Ids of the crops are not those of the tracks any more: the wrong person would go."""
    path = root.files.local(root.tracks_key(video))
    faces = read_faces(path)
    swapped = pa.array([{0: 1, 1: 0}.get(p, p) for p in faces["person_id"].to_pylist()], pa.int16())
    write_faces(path, faces.set_column(faces.column_names.index("person_id"), "person_id", swapped))
    before = hashes(root, "**/*.*")
    with pytest.raises(RootError, match="expected crops of its present tracks"):
        removal.remove_person(root, video, 1, "asked")
    assert hashes(root, "**/*.*") == before


@pytest.mark.parametrize("spoilt", ["tracks/*", "crops/*/*", "videos/*.json", "videos/*.mp4", "layouts/*"])
def test_a_damaged_video_can_be_removed(root, video, spoilt):
    for key in root.files.keys(spoilt):
        (root.path / key).write_bytes(b"damaged")
    removal.remove_video(root, video, "taken down")
    assert root.files.keys("videos/*") + root.files.keys("crops/*/*") == []
    assert list(absence(root)) == []


def test_single_crops_are_removed_by_a_query(root, video):
    before = rows(root, CROPS)
    query = "select video_id, person_id, frame_idx from crops where person_id = 2 and frame_idx < 10"
    (stone,) = removal.remove_crops(root, query, "blurred")
    assert (stone.faces, stone.crops) == (10, 10)
    assert rows(root, CROPS) == [r for r in before if not (r["person_id"] == 2 and r["frame_idx"] < 10)]
    assert [o.status for o in build(root, [video], STEPS, force=True)] == ["done"] * 3
    assert rows(root, CROPS) == [r for r in before if not (r["person_id"] == 2 and r["frame_idx"] < 10)]
    assert list(absence(root)) == []


def test_only_shards_with_removed_crops_are_rewritten(root, video):
    parts = [("track", TrackConfig()), ("export", ExportConfig(size=128, format="png", shard_mb=1))]
    assert all(o.error is None for o in build(root, [video], parts))
    before = hashes(root, "crops/*/*")
    assert len(before) >= 2
    removal.remove_crops(root, "select video_id, person_id, frame_idx from faces where frame_idx = 47", "why not")
    after = hashes(root, "crops/*/*")
    assert [after[key] == known for key, known in sorted(before.items())] == [True] * (len(before) - 1) + [False]
    assert list(verify(root)) == []


@pytest.mark.parametrize(("pixels", "fails"), [(False, n) for n in range(8)] + [(True, n) for n in (2, 4)])
def test_an_interrupted_removal_hides_the_video_until_it_is_finished(root, video, monkeypatch, pixels, fails):
    """The n-th file of a removal cannot be written, as on a full disk."""
    calm = Root(root.path.parent / "calm")
    shutil.copytree(root.path, calm.path)
    removal.remove_person(calm, video, 1, "asked")
    written, write = [], root.files.publish

    def publish(key):
        written.append(key)
        if len(written) == fails + 1:
            raise RootError("no space left")
        return write(key)

    monkeypatch.setattr(root.files, "publish", publish)
    with pytest.raises(RootError, match="no space left"):
        removal.remove_person(root, video, 1, "asked", pixels=pixels)
    monkeypatch.undo()
    if root.removed().hidden:
        assert rows(root, "select video_id from videos union all select video_id from crops") == []
        with pytest.raises(RootError, match="its removal is unfinished"):
            root.select([video])
        assert next(finding.problem for finding in absence(root)) == f"the removal of {video}:1 is unfinished"
    shown = CliRunner().invoke(app, ["remove", "--root", str(root.path), "--person", f"{video}:1", "--reason", "asked"])
    assert shown.exit_code == 0, shown.output
    assert hashes(root, "crops/*/*") | hashes(root, "tracks/*") | hashes(root, "layouts/*") == (
        hashes(calm, "crops/*/*") | hashes(calm, "tracks/*") | hashes(calm, "layouts/*")
    )
    assert len(root.removed().entries) == 1
    assert list(verify(root)) == list(absence(root)) == []


def as_another(root, video, name):
    """Put the video into the root once more, under another id."""
    for key in root.files.keys(f"*/{video}.*") + root.files.keys(f"state/*/{video}.json"):
        text = root.files.local(key)
        target = root.path / key.replace(video, name)
        if text.suffix == ".json":
            target.write_text(text.read_text().replace(video, name))
        else:
            shutil.copy(text, target)
    shutil.copytree(root.path / "crops" / video, root.path / "crops" / name)


def pictures(root):
    query = "select video_id, person_id, frame_idx, md5(image.bytes::varchar) as bytes from crops"
    return {(r["video_id"], r["person_id"], r["frame_idx"]): r["bytes"] for r in rows(root, query)}


def removed_at_random(root, chance):
    """Draw a removal of something that is there: the function that removes it, and whether it removes a crop's key."""
    there = sorted(pictures(root))
    video, person, frame = chance.choice(there)
    what = chance.choices(["crops", "person", "video"], [0.8, 0.15, 0.05])[0]
    if what == "video":
        return lambda: removal.remove_video(root, video, "any"), lambda key: key[0] == video
    if what == "person":
        return lambda: removal.remove_person(root, video, person, "any"), lambda key: key[:2] == (video, person)
    low, high = sorted((frame, chance.randrange(48)))
    where = f"video_id = '{video}' and person_id = {person} and frame_idx between {low} and {high}"
    query = f"select * from faces where {where}"
    mine = lambda key: key[:2] == (video, person) and low <= key[2] <= high  # noqa: E731
    return lambda: removal.remove_crops(root, query, "any"), mine


class Killed(BaseException):
    """Ends a removal as SIGKILL does: nothing of it handles this."""


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 2), *(pytest.param(seed, 20, marks=pytest.mark.slow) for seed in range(1, 11))]
)
def test_random_removals_with_interruptions_remove_exactly_what_was_named(
    audited_root, tmp_path, monkeypatch, seed, count
):
    chance = random.Random(seed)
    root = Root(tmp_path / "root")
    shutil.copytree(audited_root.path, root.path)
    (video,) = root.video_ids()
    for name in ("second", "third", "fourth"):
        as_another(root, video, name)
    publish = root.files.publish
    for _ in range(count):
        expected = pictures(root)
        if not expected:
            break
        remove, goes = removed_at_random(root, chance)
        left = chance.randrange(12)

        def dying(key):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return publish(key)

        monkeypatch.setattr(root.files, "publish", dying)
        with contextlib.suppress(Killed):
            remove()
        monkeypatch.undo()
        removal.finish(root)
        if left < 0 and any(map(goes, pictures(root))):
            remove()
        assert pictures(root) == {key: data for key, data in expected.items() if not goes(key)}
        # the copies of a removed person's pictures in other videos are found, as they should be
        named = {finding.problem.partition(" ")[2] for finding in absence(root)}
        assert named <= {"crops have the bytes of removed ones", "crops look like removed ones"} | {
            f"{how} {v}, which was removed{more}"
            for v in (video, "second", "third", "fourth")
            for how, more in (("the bytes of", ""), ("like", " (encoded again)"))
        }
        assert [f for f in verify(root) if "belongs to no video" not in f.problem] == []


def test_what_is_left_of_a_removed_person_is_found(root, video, audited_root):
    removal.remove_person(root, video, 1, "asked")
    before, after = audited_root.files.local(f"crops/{video}"), root.files.local("crops/copied-elsewhere")
    shutil.copytree(before, after)
    record = json.loads(root.files.read_text(root.record_key(video)))
    root.write_text("videos/copied-elsewhere.json", json.dumps(record | {"video_id": "copied-elsewhere"}))
    shutil.copy(root.video_path(video), root.path / "videos" / "copied-elsewhere.mp4")
    problems = [finding.problem for finding in absence(root)]
    assert problems[0] == "48 crops have the bytes of removed ones"
    assert "crops look like removed ones" in problems[1]


def test_what_a_killed_process_left_of_a_removed_persons_shards_is_found_and_swept(root, video, audited_root):
    removal.remove_person(root, video, 1, "asked")
    shutil.copytree(audited_root.path / "crops" / video, root.path / "crops" / f".{video}.old.partial")
    (found,) = absence(root)
    assert found.key == f"crops/.{video}.old.partial"
    removal.finish(root)
    assert list(absence(root)) == []


def test_a_list_of_removals_that_cannot_be_read_is_never_ignored(root):
    (root.path / "removed.json").write_text("{")
    with pytest.raises(RootError, match="restore it from a backup"):
        root.video_ids()
    with pytest.raises(RootError, match="restore it from a backup"):
        Catalog(root)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--person", "VIDEO:1"], "expected --reason"),
        (["--person", "VIDEO:9", "--reason", "x"], r"expected a person with faces \[0, 1, 2\], found 9"),
        (["--person", "VIDEO:", "--reason", "x"], "expected VIDEO:PERSON"),
        (["--person", "p-unknown", "--reason", "x"], "person p-unknown: unknown"),
        (["--video", "none", "--reason", "x"], "not in root"),
        (["--crops", "select 1 as video_id", "--reason", "x"], "found no person_id"),
        (["--reason", "x"], "name what to remove"),
    ],
)
def test_wrong_requests_remove_nothing(root, video, words, says):
    before = hashes(root, "**/*.*")
    asked = [word.replace("VIDEO", video) for word in words]
    failed = CliRunner().invoke(app, ["remove", "--root", str(root.path), *asked])
    assert re.search(says, str(failed.exception))
    assert hashes(root, "**/*.*") == before


def test_a_dry_run_counts_and_removes_nothing(root, video):
    before = hashes(root, "**/*.*")
    words = ["remove", "--root", str(root.path), "--person", f"{video}:0", "--reason", "x", "--dry-run", "-f", "json"]
    shown = CliRunner().invoke(app, words)
    assert json.loads(shown.stdout)[0]["crops"] == 48
    assert hashes(root, "**/*.*") == before


def test_alike_finds_exactly_the_pairs_within_reach():
    chance = np.random.default_rng(0)
    theirs = chance.integers(0, 256, (20, BITS // 8), np.uint8)
    ours = np.concatenate([chance.integers(0, 256, (300, BITS // 8), np.uint8), theirs[:12]])
    for row, bits in enumerate(range(12)):
        places = chance.choice(BITS, bits, replace=False)
        flipped = np.unpackbits(ours[300 + row])
        flipped[places] ^= 1
        ours[300 + row] = np.packbits(flipped)
    apart = np.unpackbits(ours[:, None] ^ theirs[None], axis=2).sum(axis=2)
    expected = [(int(a), int(b), int(apart[a, b])) for a, b in np.argwhere(apart <= 6)]
    assert sorted(alike(ours, theirs, 6)) == expected
    assert len(expected) == 7


def test_likeness_by_hand():
    ramp = np.tile(np.arange(0, 255, 15, dtype=np.uint8), (16, 1))
    assert likeness(ramp) == b"\xff" * 32
    assert likeness(ramp[:, ::-1].copy()) == b"\x00" * 32
