"""Scores are trackeval's; a case small enough for the head says that we feed it rightly."""

import numpy as np
import pytest

from rmset.geometry import as_boxes
from rmset.inspect.evaluate import Boxed, mask, tracks
from rmset.records import Layout, Person, Segment, TriggerRegion
from rmset.truth import Truth, TruthSegment

HERE, THERE = (0, 0, 10, 10), (100, 0, 110, 10)


def boxed(*rows):
    """Rows (frame, name, box), in any order."""
    rows = sorted(rows, key=lambda r: r[0])
    return Boxed(
        np.array([r[0] for r in rows], int), np.array([r[1] for r in rows], int), as_boxes([r[2] for r in rows])
    )


NONE = boxed()


def two_people(frames=10, swap=False):
    rows = []
    for frame in range(frames):
        a, b = (1, 0) if swap and frame >= frames // 2 else (0, 1)
        rows += [(frame, a, HERE), (frame, b, THERE)]
    return boxed(*rows)


def test_the_truth_itself_scores_1():
    scores = tracks(two_people(), two_people(), NONE)
    assert (scores.hota, scores.idf1, scores.mota, scores.id_switches) == (1, 1, 1, 0)


def test_a_swap_half_way_keeps_the_boxes_and_loses_half_of_the_names():
    scores = tracks(two_people(), two_people(swap=True), NONE)
    assert scores.recall == 1
    assert scores.deta == 1
    assert scores.id_switches == 2
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.assa == pytest.approx(1 / 3)  # 5 of 10 + 10 - 5 frames in common
    assert scores.hota == pytest.approx(np.sqrt(1 / 3))


def test_half_of_the_faces_missed_is_recall_one_half():
    found = boxed(*[(f, 0, HERE) for f in range(10)])
    scores = tracks(two_people(), found, NONE)
    assert (scores.recall, scores.precision) == (0.5, 1.0)


def test_a_face_that_is_cut_may_be_found_or_not():
    truth = boxed(*[(f, 0, HERE) for f in range(4)])
    cut = boxed(*[(f, 1, THERE) for f in range(4)])
    both = tracks(truth, two_people(4), cut)
    assert (both.precision, both.recall, both.ignored_boxes) == (1, 1, 4)
    assert tracks(truth, truth, cut).precision == 1


def test_nothing_found_is_no_crash():
    assert tracks(two_people(), NONE, NONE).recall == 0


def truth(*regions):
    panels = {0: (0.0, 0.0, 50.0, 50.0), 1: (0.0, 50.0, 50.0, 100.0)}
    return Truth(30, (100, 100), (TruthSegment(0, 10, regions, panels),), ())


def layout(region, *people):
    named = tuple(Person(i, b) for i, b in enumerate(people))
    return Layout("v", (100, 100), (Segment(0, 10, 0, (TriggerRegion(region),), named),))


def test_a_region_over_half_of_the_film_has_half_its_iou():
    scores = mask(truth((50, 0, 100, 100)), layout((50, 0, 100, 50), (10, 10, 20, 20), (10, 60, 20, 70)), NONE)
    assert scores.trigger_iou == pytest.approx(0.5)
    assert (scores.panels_masked, scores.people_missed) == (0, 0)


def test_masking_a_person_and_missing_one_are_counted():
    scores = mask(truth((50, 0, 100, 100)), layout((0, 0, 50, 50), (10, 60, 20, 70)), NONE)
    assert (scores.panels_masked, scores.people_missed) == (1, 1)


def test_a_box_in_the_film_is_counted():
    found = boxed((3, 0, (60, 10, 80, 30)), (3, 1, (10, 10, 20, 20)))
    assert mask(truth((50, 0, 100, 100)), layout((50, 0, 100, 100)), found).boxes_in_trigger == 1
