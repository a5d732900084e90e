"""Identities in the audit: faces compared, changes of person inside tracks, and what cannot be told."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from audit_worlds import FACE, SEGMENT, pictures

from rmset.answers import PERSON, Rename
from rmset.errors import UsageError
from rmset.geometry import as_boxes
from rmset.parts import identity as embedders
from rmset.root import Root
from rmset.stages import audit, track
from rmset.stages.audit import AuditConfig, frames, identity
from rmset.stages.audit.pieces import Sample
from rmset.stages.audit.tracked import Tracks, in_their_panels

# Identities: a stub embedder gives each person a direction; distances are 0 within and 1.4 between people.


def samples(*tracks):
    """Samples of tracks given as (id, true person at times 0, 10, 20, …; None if not seen)."""
    rng = np.random.default_rng(0)
    return [
        Sample(person, 10 * t, FACE, np.eye(8, dtype=np.float32)[who] + rng.normal(0, 0.01, 8).astype(np.float32))
        for person, whos in tracks
        for t, who in enumerate(whos)
        if who is not None
    ]


def asked(*tracks):
    return identity.ask(samples(*tracks), same=0.5, other=0.8)


def test_an_expression_like_another_person_is_the_same_person_in_the_same_room():
    # Two faces with one expression, 0.9 from all others.
    mood = [replace(s, vector=s.vector * 0.64) for s in samples((0, [0, 0, 1, 1, 0, 0]))]
    room = pictures(False, 1, 5)[0]
    assert identity.ask([replace(s, room=room) for s in mood], 0.5, 0.8)[1] == []
    other = pictures(False, 1, 6)[0]
    moved = [replace(s, room=other if s.frame_idx in (20, 30) else room) for s in mood]
    assert [r.frame_idx for r in identity.ask(moved, 0.5, 0.8)[1]] == [11, 31]


def test_unchanged_people_are_not_renamed():
    answers, renames = asked((0, [0] * 6), (1, [1] * 6))
    assert renames == []
    assert [(a.answer, a.good) for a in answers] == [("yes", True)]


def test_ids_of_two_people_who_change_places_are_corrected():
    answers, renames = asked((0, [0, 0, 0, 1, 1, 1]), (1, [1, 1, 1, 0, 0, 0]))
    assert renames == [Rename(21, 0, 1), Rename(21, 1, 0)]
    assert all(a.confidence < 0.8 and a.good is False for a in answers)


def test_a_person_who_replaces_another_has_a_new_id():
    _, renames = asked((0, [0, 0, 0, 2, 2, 2]), (1, [1] * 6))
    assert renames == [Rename(21, 0, 2)]


def test_an_id_given_to_two_people_in_turn_is_split_and_joined_again():
    _, renames = asked((0, [0, 0, 2, 2, 0, 0]), (1, [1] * 6))
    assert renames == [Rename(11, 0, 2), Rename(31, 0, 0)]


def test_two_ids_of_one_person_at_different_times_become_one():
    _, renames = asked((0, [0, 0, 0, None, None, None]), (1, [None, None, None, 0, 0, 0]), (2, [2] * 6))
    assert renames == [Rename(30, 1, 0)]


def test_a_face_on_the_wrong_side_of_a_change_moves_to_the_other():
    # Two people change places between the fourth and fifth face; 0.45 of a change is a mood.
    _, renames = asked((0, [0, 0, 0, 0, 1, 1, 1]), (1, [1, 1, 1, 1, 0, 0, 0]))
    assert renames == [Rename(31, 0, 1), Rename(31, 1, 0)]
    tired = samples((0, [0, 0, 0, 0, 1, 1, 1]), (1, [1, 1, 1, 1, 0, 0, 0]))
    # The last faces resemble each other more than the first of the new person.
    tired = [replace(s, vector=s.vector + 0.35 * np.eye(8, dtype=np.float32)[7] * (s.frame_idx >= 50)) for s in tired]
    assert identity.ask(tired, 0.5, 0.8)[1] == [Rename(31, 0, 1), Rename(31, 1, 0)]


def test_an_undecided_face_in_the_very_same_room_is_the_same_person():
    room, other = pictures(False, 1, 5)[0], pictures(False, 1, 6)[0]
    faces = samples((0, [0, 0, 0, 1, 1, 1]), (1, [1, 1, 1, 0, 0, 0]))
    where = [replace(s, room=room if (s.person_id == 0) == (s.frame_idx < 30) else other) for s in faces]
    # Both look otherwise after the change: between `same` and `other` from before.
    mood = 0.6 * np.eye(8, dtype=np.float32)[7]
    moody = [replace(s, vector=s.vector + mood) if s.frame_idx >= 30 else s for s in where]
    assert identity.ask(moody, 0.5, 0.8)[1] == [Rename(21, 0, 1), Rename(21, 1, 0)]
    elsewhere = [replace(s, room=pictures(False, 1, 7 + s.person_id)[0]) if s.frame_idx >= 30 else s for s in moody]
    assert {r.becomes for r in identity.ask(elsewhere, 0.5, 0.8)[1]} == {2, 3}


def test_a_face_that_is_clearly_the_same_is_known_in_a_room_that_looks_otherwise():
    rooms = [pictures(False, 1, seed)[0] for seed in (5, 6, 7, 8)]

    def placed(*tracks):
        return [replace(s, room=rooms[2 * (s.frame_idx >= 30) + s.person_id % 2]) for s in samples(*tracks)]

    swap = ((0, [0, 0, 0, 1, 1, 1]), (1, [1, 1, 1, 0, 0, 0]))
    assert identity.ask(placed(*swap), 0.5, 0.8)[1] == [Rename(21, 0, 1), Rename(21, 1, 0)]
    # With two people who look alike in the video, a like face alone gives no name.
    alike = [*swap, (2, [5] * 6), (3, [5] * 6)]
    assert {r.becomes for r in identity.ask(placed(*alike), 0.5, 0.8)[1]} == {4, 5}


def test_more_faces_are_compared_between_unlike_ones_and_beyond_an_unlike_end():
    faces = samples((0, [0, 0, 2, 0, 0, 2]), (1, [1] * 6))
    assert identity.doubtful(faces, 0.5, 0.8) == [(0, 10, 20), (0, 20, 30), (0, 40, 60)]


def test_people_who_look_alike_on_one_screen_give_no_bad_answer():
    answers, renames = asked((0, [0] * 6), (1, [0] * 6))
    assert renames == []
    assert [(a.question, a.answer, a.good, a.confidence) for a in answers] == [(PERSON, "cannot tell", None, 1.0)]


def test_a_change_to_somebody_unlike_is_seen_beside_people_who_look_alike():
    answers, renames = asked((0, [0] * 6), (1, [0] * 6), (2, [2, 2, 2, 3, 3, 3]))
    assert renames == [Rename(21, 2, 3)]
    assert [a.answer for a in answers] == ["no"]


def test_a_face_between_one_person_and_two_is_another_only_where_the_room_changes():
    room, other = pictures(False, 1, 5)[0], pictures(False, 1, 6)[0]
    # 0.68 apart: beyond the middle of 0.5 and 0.8
    near = [replace(s, vector=s.vector * 0.48, room=room) for s in samples((0, [0, 0, 0, 1, 1, 1]))]
    assert identity.ask(near, 0.5, 0.8)[1] == []
    moved = [replace(s, room=other if s.frame_idx >= 30 else room) for s in near]
    assert identity.ask(moved, 0.5, 0.8)[1] == [Rename(21, 0, 1)]


def test_a_change_that_is_neither_clear_nor_ruled_out_makes_a_video_unsure():
    room = pictures(False, 1, 5)[0]

    def asked_of(scale):
        near = [replace(s, vector=s.vector * scale, room=room) for s in samples((0, [0, 0, 0, 1, 1, 1]))]
        return identity.ask(near, 0.5, 0.8)

    # In one room: 0.85 apart may be two people, 0.93 are, 0.71 may be an expression.
    answers, renames = asked_of(0.6)
    assert renames == []
    assert [(a.answer, a.confidence, a.frame_idx, a.other_frame_idx) for a in answers] == [
        ("cannot tell", 0.75, 30, 20)
    ]
    assert "may be somebody else from frame 30 on" in answers[0].detail
    assert asked_of(0.66)[1] == [Rename(21, 0, 1)]
    assert [a.answer for a in asked_of(0.5)[0]] == ["yes"]


def test_a_long_stretch_in_which_no_face_is_compared_is_known():
    tracked = list(range(100, 250))
    assert frames.uncompared(tracked, [106, 120, 140, 160, 180, 200, 220, 243], faces=9) == []
    # 160 to 243: 82 frames; then none before 180
    assert frames.uncompared(tracked, [106, 120, 140, 160, 243], faces=9) == [(160, 243, 82)]
    assert frames.uncompared(tracked, [180, 200, 220, 243], faces=9) == [(99, 180, 80)]
    assert frames.uncompared(tracked, [], faces=9) == [(99, 250, 150)]
    # Frames in which the person is not tracked do not count.
    assert frames.uncompared([*range(100, 170), *range(240, 250)], [106, 120, 140, 160, 243], faces=9) == []
    assert frames.uncompared([], [], faces=9) == []


def test_only_sharp_faces_are_compared_in_addition():
    count = 8
    box = np.tile(np.float32([10, 10, 40, 60]), (count, 1))
    box[2, 3] = 20
    score = np.where(np.arange(count) == 3, 0.5, 0.99).astype(np.float32)
    tracks = Tracks(np.arange(count), np.where(np.arange(count) == 4, 1, 0), box, score)
    assert tracks.sharp_between(0, 0, 7, AuditConfig()).tolist() == [1, 5, 6]


def tracks_of(*boxes, frames=20):
    """Tracks of people who stay where they are."""
    return Tracks(
        np.repeat(np.arange(frames), len(boxes)),
        np.tile(np.arange(len(boxes)), frames),
        np.tile(np.float32(boxes), (frames, 1)),
        np.ones(len(boxes) * frames, np.float32),
    )


def test_two_tracks_that_follow_one_face_are_told():
    tracks = tracks_of((0, 0, 40, 50), (100, 0, 140, 50), (2, 0, 42, 50))
    assert tracks.twice() == [(0, 2, 0, 20)]
    assert identity.one_face(*tracks.twice()[0]).confidence < 0.8
    # A third of a second is a blink, and faces side by side are two.
    assert tracks_of((0, 0, 40, 50), (2, 0, 42, 50), frames=8).twice() == []
    assert tracks_of((0, 0, 40, 50), (20, 0, 60, 50)).twice() == []
    assert tracks_of().twice() == []


def test_a_video_whose_faces_cannot_be_compared_is_unsure(laid_out_root, tmp_path):
    pytest.importorskip("dlib", reason="needs `pip install 'rmset[identity]'`")
    root = Root(tmp_path / "root")
    shutil.copytree(laid_out_root.path, root.path)
    (video_id,) = root.video_ids()
    track.run(root, video_id, track.TrackConfig())
    audit.run(root, video_id, AuditConfig(embedder="dlib", least_face=10_000))
    people = {p.person_id for s in root.layout(video_id).segments for p in s.people}
    said = [a for a in root.audit(video_id).answers if a.question == PERSON and a.person_id is not None]
    assert {a.person_id for a in said} == people
    assert {(a.answer, a.confidence) for a in said} == {("cannot tell", 0.75)}
    assert all("100% of theirs" in a.detail for a in said)
    # compared where they are sharp, nothing is left open
    audit.run(root, video_id, AuditConfig(embedder="dlib", least_face=20))
    assert not [a for a in root.audit(video_id).answers if "not compared" in a.detail]


def test_embedders_are_named_or_refused():
    assert embedders.resolve("none") == "none"
    with pytest.raises(UsageError, match=r"expected auto, none, dlib, or a file that ends in \.onnx or \.pt"):
        AuditConfig(embedder="arcface")
    with pytest.raises(UsageError, match="found nothing; name a file that is there"):
        embedders.load("absent.onnx")


def test_dlib_never_reads_its_68_point_predictor():
    pytest.importorskip("dlib", reason="needs `pip install 'rmset[identity]'`")
    from rmset.parts.identity.dlib import model_files

    assert [f.name for f in model_files()] == [
        "shape_predictor_5_face_landmarks.dat",
        "dlib_face_recognition_resnet_model_v1.dat",
    ]


def test_dlib_tells_one_face_from_another():
    pytest.importorskip("dlib", reason="needs `pip install 'rmset[identity]'`")
    data = pytest.importorskip("skimage.data", reason="needs `pip install 'rmset[demo]'`")
    made = embedders.load("dlib")
    photo = data.astronaut()
    box = as_boxes([(175.0, 62.0, 272.0, 193.0)])
    darker = (photo * 0.8).astype(np.uint8)
    one, again = made.embed(photo, box)[0], made.embed(darker, box)[0]
    assert one.shape == (128,)
    assert np.linalg.norm(one - again) < made.same


def test_faces_that_their_panel_cuts_are_not_compared():
    boxes = as_boxes([FACE, (60.0, 20.0, 140.0, 70.0)])
    assert in_their_panels(SEGMENT, np.array([0, 0]), boxes, (300, 200)).tolist() == [True, False]
