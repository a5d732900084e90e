"""People across videos: linking by embeddings, corrections by hand, and removal of a person from all videos."""

import json

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from rmset import people
from rmset.errors import RootError, UsageError
from rmset.files import sha256_of
from rmset.inspect.absence import absence
from rmset.parts.shards import read_faces, write_faces
from rmset.people.cluster import Faces, cluster
from rmset.read.embeddings import read_embeddings
from rmset.read.persons import KEY, UNFINISHED, read_persons, stored_persons, write_persons
from rmset.records import StageRecord, VideoRecord
from rmset.root import Root
from rmset.synth.encode import Encoder
from rmset_cli.rmset.app import app

from .worlds import FPS, face_table

SIZE, FRAMES = (192, 96), 40
RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 40), (40, 40, 200), (200, 200, 40)


class Colors:
    """Tells people apart by the mean color of their faces."""

    name, license, same, other = "colors", "ours", 0.2, 0.4

    def __init__(self):
        self.embedded = 0

    def embed(self, image, boxes):
        self.embedded += len(boxes)
        cut = [image[round(y0) : round(y1), round(x0) : round(x1)] for x0, y0, x1, y1 in boxes.tolist()]
        return np.array([c.reshape(-1, 3).mean(axis=0) / 255 for c in cut], np.float32).reshape(-1, 3)


def add_video(root, video_id, colors, ids=None, absent=()):
    """Add a tracked video with one panel per color; `absent` are (person, first frame, last frame) without a face."""
    width = SIZE[0] // len(colors)
    ids = list(range(len(colors))) if ids is None else ids
    file = root.files.local(f"videos/{video_id}.mp4")
    file.parent.mkdir(parents=True, exist_ok=True)
    with Encoder(file, SIZE, FPS) as encoder:
        for frame in range(FRAMES):
            image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            for n, color in enumerate(colors):
                image[:, n * width : (n + 1) * width] = np.clip(np.add(color, frame % 5), 0, 255)
            encoder.write(image)
    record = VideoRecord(video_id, *SIZE, FPS, FRAMES, FRAMES / FPS, "h264", sha256_of(file), file.stat().st_size)
    root.write_text(root.record_key(video_id), record.to_json())
    away = {(p, f) for p, first, last in absent for f in range(first, last + 1)}
    rows = [
        (p, f, (n * width + 4.0, 20.0, n * width + 36.0, 62.0))
        for n, p in enumerate(ids)
        for f in range(FRAMES)
        if (p, f) not in away
    ]
    track(root, video_id, face_table(video_id, rows))


def track(root, video_id, table):
    """Write tracks as the stage does, with their ledger entry; all faces are sharp."""
    score = pa.array(np.full(len(table), 0.99, np.float32))
    table = table.set_column(table.schema.get_field_index("score"), "score", score)
    with root.files.publish(root.tracks_key(video_id)) as path:
        write_faces(path, table)
    key = root.tracks_key(video_id)
    root.write_stage_record(StageRecord("track", video_id, "done", "", "", {key: root.files.sha256(key)}))


@pytest.fixture
def root(tmp_path):
    """`a`: red, green, blue; `b`: green, red, yellow."""
    root = Root(tmp_path / "root")
    add_video(root, "a", (RED, GREEN, BLUE))
    add_video(root, "b", (GREEN, RED, YELLOW))
    return root


def who(root):
    """The persons as sets of tracks."""
    return {frozenset(row.track for row in rows) for rows in read_persons(root).by_key.values()}


LINKED = {
    frozenset({("a", 0), ("b", 1)}), frozenset({("a", 1), ("b", 0)}), frozenset({("a", 2)}), frozenset({("b", 2)})
}  # fmt: skip


def test_one_person_s_tracks_in_two_videos_are_linked(root):
    found = people.link(root, Colors())
    assert who(root) == LINKED
    assert found.suggestions == ()
    persons = read_persons(root)
    assert {row.source for row in persons} == {"linked"}
    assert all(row.similarity > 0.9 for row in persons.by_key[persons.key_of("a", 0)])
    assert persons.by_track["a", 2].similarity is None


def test_linking_again_changes_no_byte_and_embeds_nothing(root):
    embedder = Colors()
    people.link(root, embedder)
    before, count = {key: sha256_of(root.files.local(key)) for key in (KEY, "embeddings/a.parquet")}, embedder.embedded
    people.link(root, embedder)
    assert {key: sha256_of(root.files.local(key)) for key in before} == before
    assert embedder.embedded == count > 0


def test_keys_stay_when_a_video_is_added(root):
    people.link(root, Colors())
    before = {row.track: row.person_key for row in read_persons(root)}
    add_video(root, "Z-first", (YELLOW, RED))
    people.link(root, Colors())
    after = {row.track: row.person_key for row in read_persons(root)}
    assert {track: after[track] for track in before} == before
    assert after["Z-first", 1] == before["a", 0]


def test_people_seen_at_the_same_time_are_never_linked_and_a_third_who_resembles_both_only_suggested(root):
    add_video(root, "c", (RED, RED))
    found = people.link(root, Colors())
    persons = read_persons(root)
    assert persons.key_of("c", 0) != persons.key_of("c", 1)
    assert not {("c", 0), ("c", 1)} & {row.track for row in persons.by_key[persons.key_of("a", 0)]}
    assert len([s for s in found.suggestions if {s.one, s.other} & {("c", 0), ("c", 1)}]) >= 2
    with pytest.raises(UsageError, match="in one frame; they are two people"):
        people.merge(root, ["c:0", "c:1"])


def test_two_tracks_of_one_video_that_never_meet_may_be_one_person(root):
    add_video(root, "c", (BLUE, BLUE), absent=[(0, 20, 39), (1, 0, 19)])
    people.link(root, Colors())
    assert frozenset({("a", 2), ("c", 0), ("c", 1)}) in who(root)


def test_below_the_strict_threshold_links_are_only_suggested(root):
    add_video(root, "c", (tuple(np.add(BLUE, (40, 40, -20))), YELLOW))
    found = people.link(root, Colors())
    assert [{s.one, s.other} for s in found.suggestions] == [{("a", 2), ("c", 0)}]
    assert people.suggested(root, Colors()) == found.suggestions
    told = CliRunner().invoke(app, ["people", "show", "--root", str(root.path), "c:1", "--format", "json"])
    assert {row["video_id"] for row in json.loads(told.stdout)} == {"b", "c"}


def test_links_by_hand_are_never_undone(root):
    people.link(root, Colors())
    merged = people.merge(root, ["a:2", "b:2"])
    apart = people.split(root, ["b:1"])
    for _ in range(2):
        people.link(root, Colors())
        persons = read_persons(root)
        assert {row.track for row in persons.by_key[merged]} == {("a", 2), ("b", 2)}
        assert {row.track for row in persons.by_key[apart]} == {("b", 1)}
        assert {row.track for row in persons if row.source == "manual"} == {("a", 0), ("a", 2), ("b", 1), ("b", 2)}
    add_video(root, "c", (RED, BLUE))
    people.link(root, Colors())
    persons = read_persons(root)
    assert persons.key_of("a", 0) != persons.key_of("b", 1)
    assert persons.key_of("c", 1) == merged


def test_splitting_both_rejects_a_suggestion(root):
    add_video(root, "c", (tuple(np.add(BLUE, (40, 40, -20))), YELLOW))
    people.link(root, Colors())
    people.split(root, ["a:2"])
    people.split(root, ["c:0"])
    assert people.link(root, Colors()).suggestions == ()


def test_links_by_hand_outlast_new_tracks_with_other_ids(root):
    people.link(root, Colors())
    merged = people.merge(root, ["a:2", "b:2"])
    faces = read_faces(root.files.local(root.tracks_key("b")))
    renamed = (2 - faces["person_id"].to_numpy()).astype(np.int16)
    track(root, "b", faces.set_column(faces.schema.get_field_index("person_id"), "person_id", pa.array(renamed)))
    assert {row.video_id for row in read_persons(root)} == {"a"}
    people.link(root, Colors())
    assert {row.track for row in read_persons(root).by_key[merged]} == {("a", 2), ("b", 0)}
    track(root, "b", faces.filter(faces["person_id"].to_numpy() != 2))
    assert [row.person_key for row in people.link(root, Colors()).lost] == [merged]


def test_a_person_is_removed_from_all_videos(root):
    people.link(root, Colors())
    key = read_persons(root).key_of("a", 0)
    others = {row.track: row.person_key for row in read_persons(root) if row.person_key != key}
    command = ["remove", "--root", str(root.path), "--person", key, "--reason", "asked", "--quiet"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert {stone.key for stone in root.removed()} == {"a:0", "b:1"}
    assert {row.track: row.person_key for row in read_persons(root)} == others
    assert set(read_embeddings(root, "a").person_id.tolist()) == {1, 2}
    assert list(absence(root)) == []
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1
    assert f"person {key}: unknown" in str(again.exception)
    people.link(root, Colors())
    assert {row.track: row.person_key for row in read_persons(root)} == others


def test_a_removed_video_leaves_no_person_and_no_embedding(root):
    from rmset import removal

    people.link(root, Colors())
    removal.remove_video(root, "b", "taken down")
    assert {row.video_id for row in stored_persons(root)} == {"a"}
    assert not root.files.exists("embeddings/b.parquet")
    assert list(absence(root)) == []


def test_verify_finds_what_a_backup_brought_back(root):
    from rmset import removal

    people.link(root, Colors())
    persons, embedded = stored_persons(root), read_embeddings(root, "a")
    removal.remove_person(root, "a", 0, "asked")
    removal.remove_video(root, "b", "taken down")
    write_persons(root, persons)
    with root.files.publish(root.embeddings_key("a")) as path:
        embedded.write(path)
    root.files.local(UNFINISHED).write_bytes(b"")
    problems = {finding.problem for finding in absence(root)}
    assert problems == {
        "12 embeddings of removed faces", "1 tracks of removed people", "3 tracks of removed people",
        "an unfinished table of persons, of a process that was killed",
    }  # fmt: skip


def test_a_removed_single_face_loses_its_embedding_only(root):
    from rmset import removal

    people.link(root, Colors())
    frame = int(read_embeddings(root, "a").frame_idx[0])
    before = len(read_embeddings(root, "a").keys)
    seat = read_persons(root).by_track["a", 0].frame_idx
    chosen = f"video_id = 'a' and person_id = 0 and frame_idx in ({frame}, {seat})"
    removal.remove_crops(root, f"select video_id, person_id, frame_idx from faces where {chosen}", "blurred")
    assert len(read_embeddings(root, "a").keys) < before
    assert who(root) == LINKED
    assert read_persons(root).by_track["a", 0].frame_idx not in (frame, seat)
    assert list(absence(root)) == []


def test_a_video_with_an_unknown_track_or_person_is_one_line(root):
    people.link(root, Colors())
    for names, message in (
        (["a:9", "b:1"], "expected a person with faces"),
        (["p-nobody", "a:1"], "person p-nobody: not in"),
        (["c:1", "a:1"], "not in root"),
    ):
        with pytest.raises(RootError, match=message):
            people.merge(root, names)
    with pytest.raises(UsageError, match="expected two persons or more"):
        people.merge(root, ["a:0", "b:1"])
    with pytest.raises(UsageError, match="expected a track as VIDEO:PERSON"):
        people.split(root, ["p-nobody"])


def test_chains_of_pairs_do_not_make_one_person():
    """A resembles B, B resembles C, and A and C are far apart: average linkage keeps C out."""
    at = [Faces((name, 0), np.full((3, 1), x, np.float32)) for name, x in (("a", 0.0), ("b", 0.9), ("c", 1.85))]
    assert cluster(at, set(), {}, link=1.0, suggest=1.2).members == ((0, 1), (2,))
    assert cluster(at, {(0, 1)}, {}, link=1.0, suggest=1.2).members == ((0,), (1, 2))
    assert cluster(at, {(0, 1)}, {}, link=1.0, suggest=2.0).members == ((0,), (1,), (2,))
    assert cluster(at, set(), {0: "p", 1: "q"}, link=1.0, suggest=1.2).members == ((0,), (1, 2))


def test_the_order_of_videos_does_not_matter():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 8))
    faces = [
        Faces((f"v{n:02d}", 0), (centers[n % 6] + 0.05 * rng.normal(size=(4, 8))).astype(np.float32)) for n in range(24)
    ]
    found = cluster(faces, set(), {}, link=1.0, suggest=1.2)
    order = rng.permutation(24)
    shuffled = cluster([faces[n] for n in order], set(), {}, link=1.0, suggest=1.2)
    assert {frozenset(int(order[m]) for m in group) for group in shuffled.members} == {
        frozenset(g) for g in found.members
    }
    assert len(found.members) == 6


def test_without_an_embedder_the_command_says_so(root):
    told = CliRunner().invoke(app, ["people", "link", "--root", str(root.path), "--embedder", "none"])
    assert isinstance(told.exception, UsageError)
    assert "expected a face embedder, found none" in str(told.exception)
