"""Audit after tracking: masked people, unmasked film, people not found, identities, and corrections."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from audit_worlds import FACE, IN_FILM, PANEL, REGION, SEGMENT, pictures

from rmset.answers import FILM, FOUND, MASKED, Answer, Audit, Rename
from rmset.errors import RootError
from rmset.geometry import as_boxes
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.detect import cascade
from rmset.root import Root
from rmset.stages import audit, track
from rmset.stages.audit import AuditConfig, frames, gaps, mended, screen


def looks(faces, tracked=(FACE,), film_cuts=True, panel_cuts=False, room_cuts=False, count=6):
    film, panel, room = pictures(film_cuts, count, 0), pictures(panel_cuts, count, 1), pictures(room_cuts, count, 2)
    return [
        screen.Look(
            i,
            as_boxes(list(faces)),
            as_boxes(list(tracked)),
            np.zeros(len(tracked), np.int64),
            (film[i], panel[i]),
            (room[i],) * len(faces),
        )
        for i in range(count)
    ]


def bad(found):
    return {a.question for a in screen.ask([(SEGMENT, found)]) if a.good is False}


def test_a_good_video_has_a_good_answer_to_each_question():
    answers = screen.ask([(SEGMENT, looks([FACE]))])
    assert [(a.question, a.answer, a.good) for a in answers] == [
        (MASKED, "no", True),
        (FILM, "no", True),
        (FOUND, "yes", True),
    ]
    assert {a.confidence for a in answers} == {1.0}


def test_a_face_that_stays_in_the_film_while_it_cuts_is_a_masked_person():
    masked = (150.0, 50.0, 190.0, 100.0)
    assert bad(looks([FACE, masked])) == {MASKED}
    (answer,) = [a for a in screen.ask([(SEGMENT, looks([FACE, masked]))]) if a.question == MASKED]
    assert answer.box == masked
    assert answer.confidence < 0.8


def test_a_face_of_the_film_whose_surroundings_change_with_it_is_no_masked_person():
    assert bad(looks([FACE, (150.0, 50.0, 190.0, 100.0)], room_cuts=True)) == set()


def test_a_person_whose_boxes_lie_beside_their_panel_is_reported():
    beside = (60.0, 80.0, 100.0, 180.0)
    (answer,) = [a for a in screen.ask([(SEGMENT, looks([beside], tracked=[beside]))]) if a.good is False]
    assert (answer.question, answer.person_id, answer.box) == (FOUND, 0, beside)


def test_a_person_not_found_while_their_panel_looks_the_same_may_be_lost():
    found = np.array([f for f in range(60) if not 20 <= f < 40])
    (gap,) = gaps.between(SEGMENT, SEGMENT.people[0], found)
    assert (gap.frames, gap.inside, gap.beside) == (20, (29,), (19, 40))
    rng = np.random.default_rng(0)
    there, gone = (rng.integers(0, 255, (200, 300), np.uint8) for _ in range(2))
    (answer,) = gaps.ask([gaps.seen(gap, {19: there, 29: there, 40: there})], [SEGMENT])
    assert answer.question == FOUND
    assert "person 0 is not found in 20 frames" in answer.detail
    assert gaps.ask([gaps.seen(gap, {19: there, 29: gone, 40: there})], [SEGMENT]) == []


def test_a_face_in_a_film_that_never_cuts_may_be_a_person():
    found = looks([FACE, (150.0, 50.0, 190.0, 100.0)], film_cuts=False)
    assert bad(found) == set()
    (answer,) = [a for a in screen.ask([(SEGMENT, found)]) if a.question == MASKED]
    assert (answer.answer, answer.good, answer.confidence < 0.8) == ("cannot tell", None, True)


def test_a_film_that_cuts_in_another_segment_is_film_in_this_one_too():
    still, cutting = looks([FACE, IN_FILM], film_cuts=False), looks([FACE])
    after = replace(SEGMENT, start_frame=60, end_frame=120, reference_frame=60)
    moved = replace(after, trigger_regions=(TriggerRegion((0.0, 100.0, 100.0, 200.0)),))
    with_bars = replace(after, trigger_regions=(TriggerRegion((100.0, 0.0, 600.0, 240.0)),))
    for segment, unsure in ((after, False), (with_bars, False), (moved, True)):
        answers = screen.ask([(SEGMENT, still), (segment, cutting)])
        assert any(a.question == MASKED and a.confidence < 1 for a in answers) == unsure


@pytest.mark.parametrize(
    ("faces", "tracked", "where"),
    [
        ([FACE], [FACE], ""),
        ([FACE, (20.0, 130.0, 60.0, 180.0)], [FACE], "everywhere"),
        ([FACE, IN_FILM], [FACE], "regions"),
    ],
    ids=["nothing", "an untracked face", "a masked face"],
)
def test_more_frames_are_searched_only_where_something_may_be_wrong(faces, tracked, where):
    found = looks(faces, tracked, count=3)
    assert screen.doubts(SEGMENT, found, [(SEGMENT, found)]) == where
    # Faces outside trigger regions are known only of frames that were searched everywhere.
    partly = [replace(look, everywhere=look is found[1]) for look in found]
    assert screen.doubts(SEGMENT, partly, [(SEGMENT, partly)]) == where


def test_a_face_of_a_film_that_cuts_elsewhere_needs_no_more_frames():
    still, cutting = looks([FACE, IN_FILM], film_cuts=False, count=3), looks([FACE], count=3)
    after = replace(SEGMENT, start_frame=60, end_frame=120, reference_frame=60)
    assert screen.doubts(SEGMENT, still, [(SEGMENT, still)]) == "regions"
    assert screen.doubts(SEGMENT, still, [(SEGMENT, still), (after, cutting)]) == ""


def test_one_frame_of_each_grid_is_searched_everywhere():
    other = Person(0, FACE, (0.0, 0.0, 90.0, 90.0))
    segments = {0: SEGMENT, 1: replace(SEGMENT, end_frame=200), 2: replace(SEGMENT, people=(other,))}
    assert frames.of_each_grid(segments, {0: [10, 20, 30], 1: [50, 100, 150], 2: [40]}) == {100, 40}


def test_the_audit_sees_a_cut_face_as_the_tracker_does(laid_out_root, tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    shutil.copytree(laid_out_root.path, root.path)
    (video_id,) = root.video_ids()
    track.run(root, video_id, track.TrackConfig())
    asked, search = [], cascade.search
    monkeypatch.setattr(cascade, "search", lambda *a, **k: asked.append((a[2], k.get("padded"))) or search(*a, **k))
    audit.run(root, video_id, AuditConfig())
    # Stretched instead of filled up, the rest of a face at a border becomes a face beside the screen.
    assert {padded for _, padded in asked} == {True}
    screens = [area for area, _ in asked if area[2:] == root.layout(video_id).frame_size]
    assert len(screens) == len(root.layout(video_id).segments)


def test_faces_in_part_of_the_screen_say_nothing_of_the_rest():
    assert bad([replace(look, everywhere=False) for look in looks([FACE, (20.0, 130.0, 60.0, 180.0)])]) == set()


def test_a_film_in_a_place_where_another_segment_has_a_person_is_unsure():
    at_right = Person(2, (150.0, 50.0, 190.0, 100.0), REGION)
    people = (Person(0, FACE, PANEL), Person(1, (20.0, 130.0, 60.0, 180.0), (0.0, 100.0, 100.0, 200.0)))
    one = Segment(0, 60, 0, (TriggerRegion(REGION),), people)
    other = Segment(60, 120, 60, (TriggerRegion((0.0, 100.0, 100.0, 200.0)),), (people[0], at_right))
    said = [a for a in screen.ask([(one, []), (other, [])]) if a.question == FILM and a.confidence < 1]
    assert {(a.answer, a.person_id) for a in said} == {("cannot tell", 2), ("cannot tell", 1)}
    assert all(a.answer != "cannot tell" for a in screen.ask([(SEGMENT, looks([FACE]))]) if a.question == FILM)


def test_a_panel_that_cuts_with_the_film_is_film():
    assert bad(looks([FACE], panel_cuts=True)) == {FILM}


def test_a_face_that_stays_and_belongs_to_no_person_is_reported():
    assert bad(looks([FACE, (20.0, 130.0, 60.0, 180.0)])) == {FOUND}


def test_too_few_frames_give_no_answer():
    assert {a.answer for a in screen.ask([(SEGMENT, looks([FACE], count=2))])} == {"cannot tell"}


def test_a_mended_layout_has_a_segment_where_the_id_changes():
    people = (Person(0, FACE, PANEL), Person(1, (120.0, 20.0, 160.0, 70.0), (100.0, 0.0, 200.0, 100.0)))
    layout = Layout("v", (300, 200), (Segment(0, 60, 5, (), people),))
    after = mended(layout, [Rename(21, 0, 1), Rename(21, 1, 0)])
    assert [(s.start_frame, s.end_frame, [p.person_id for p in s.people]) for s in after.segments] == [
        (0, 21, [0, 1]),
        (21, 60, [1, 0]),
    ]


def test_an_audit_is_read_as_it_was_written():
    answer = Answer(MASKED, "yes", False, "seen", 3, FACE, None, 0.4)
    audit = Audit("v", "stub", 6, 12, (answer,), (Rename(3, 0, 1),))
    assert Audit.from_json(audit.to_json()) == audit
    assert json.loads(audit.to_json())["confidence"] == 0.4
    with pytest.raises(RootError, match="expected schema 1, found 9; update rmset"):
        Audit.from_json(audit.to_json().replace('"schema": 1', '"schema": 9'))
