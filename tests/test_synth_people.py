"""Generated people: distinct, expressive, and at the places in the truth."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from rmset.errors import UsageError
from rmset.synth.expressions import EXPRESSIONS, action_units
from rmset.synth.faces import Person, Pose
from rmset.synth.identity import cast
from rmset.synth.labeled import SplitSize, crop_face, split_identities, write_labeled_set
from rmset.synth.script import Event, Reactor, Script, write_script

PANEL = (320, 180)


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [Person(identity) for identity in cast("mashup", 4, seed=0)]


def face(person: Person, expression: str, intensity: float = 1.0, pose: Pose | None = None) -> np.ndarray:
    drawn = person.render(expression, intensity, pose or Pose(), PANEL)
    return crop_face(drawn.image, drawn.box, 64).astype(np.float32)


def test_expressions_differ_in_pixels_and_grow_with_intensity(people: list[Person]) -> None:
    for person in people:
        faces = {e: face(person, e) for e in EXPRESSIONS}
        for a, b in combinations(EXPRESSIONS, 2):
            assert np.abs(faces[a] - faces[b]).mean() > 1.0, (a, b)
        rest = face(person, "neutral")
        half, full = (np.abs(face(person, "surprise", i) - rest).mean() for i in (0.5, 1.0))
        assert 0 < half < full


def test_people_differ_more_than_expressions(people: list[Person]) -> None:
    faces = [face(p, "neutral") for p in people]
    apart = min(float(np.abs(a - b).mean()) for a, b in combinations(faces, 2))
    assert apart > 10


def test_drawing_is_a_function_of_its_arguments(people: list[Person]) -> None:
    before = people[0].render("anger", 0.7, Pose(dx=0.1), PANEL)
    people[0].render("surprise", 1.0, Pose(blink=1.0), PANEL)
    after = people[0].render("anger", 0.7, Pose(dx=0.1), PANEL)
    assert np.array_equal(before.image, after.image)
    assert before.box == after.box
    assert np.array_equal(Person(people[0].identity).render("anger", 0.7, Pose(dx=0.1), PANEL).image, before.image)


def test_the_box_follows_the_pose(people: list[Person]) -> None:
    x0, y0, x1, y1 = people[0].render("neutral", 0.0, Pose(), PANEL).box
    moved = people[0].render("neutral", 0.0, Pose(dx=0.2, zoom=1.1), PANEL).box
    assert moved[2] - moved[0] == pytest.approx(1.1 * (x1 - x0), rel=1e-3)
    assert (moved[0] + moved[2]) / 2 > (x0 + x1) / 2
    assert moved[3] - moved[1] == pytest.approx(1.1 * (y1 - y0), rel=1e-3)


def test_mtcnn_sees_the_face_where_the_truth_says() -> None:
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(keep_all=True, min_face_size=40, device="cpu")
    for person in [Person(identity) for identity in cast("mashup", 3, seed=7)]:
        for expression in ("neutral", "surprise", "disgust"):
            pose = Pose(dx=0.05, roll=3.0, turn=0.5)
            drawn = person.render(expression, 1.0, pose, (426, 240))
            boxes, _ = mtcnn.detect(drawn.image)
            assert boxes is not None, (person.identity.name, expression)
            assert max(iou(box, drawn.box) for box in boxes) > 0.6, (person.identity.name, expression)


def iou(a: np.ndarray, b: tuple[float, float, float, float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_units_of_an_unknown_expression_are_refused() -> None:
    with pytest.raises(ValueError, match="bored"):
        action_units("bored", 1.0)


def test_casts_of_different_names_and_seeds_are_strangers() -> None:
    casts = [cast(name, 8, seed) for name in ("mashup", "film", "labeled-train") for seed in (0, 1)]
    everybody = [identity.shape for group in casts for identity in group]
    assert len(set(everybody)) == len(everybody)
    assert cast("mashup", 8, 0) == casts[0] == cast("mashup", 20, 0)[:8]


def test_a_delay_shifts_the_signal_and_gain_scales_it() -> None:
    event = Event("happiness", onset=10, attack=5, hold=10, decay=5, intensity=0.8)
    script = Script((event,), (Reactor(0, 1.0, (True,)), Reactor(4, 0.5, (True,)), Reactor(0, 1.0, (False,))))
    for frame in range(40):
        expression, intensity = script.expression_at(0, frame)
        assert script.expression_at(1, frame + 4) == (expression, intensity * 0.5)
        assert script.expression_at(2, frame) == ("neutral", 0.0)
    assert script.expression_at(0, 20) == ("happiness", 0.8)
    assert script.label_at(0, 20) == "happiness"
    assert script.label_at(0, 11) == "neutral"


def test_a_script_is_the_same_for_the_same_seed_and_most_people_react() -> None:
    script = write_script(np.random.default_rng(3), people=12, frames=900, fps=30.0)
    assert script == write_script(np.random.default_rng(3), people=12, frames=900, fps=30.0)
    reacted = np.mean([r for reactor in script.reactors for r in reactor.reacts])
    assert 0.8 < reacted < 1.0
    assert {e.expression for e in script.events} == set(EXPRESSIONS[1:])


def test_no_person_is_in_two_splits() -> None:
    groups = [split_identities(split, 10, seed=0) for split in ("train", "valid", "test")] + [cast("mashup", 10, 0)]
    for a, b in combinations(groups, 2):
        assert not {i.shape for i in a} & {i.shape for i in b}


def test_a_labeled_set_has_its_classes_in_every_split(tmp_path: Path) -> None:
    splits = {"train": SplitSize(2, 3), "test": SplitSize(1, 2)}
    write_labeled_set(tmp_path / "faces", splits, expressions=("neutral", "happiness"), size=48)
    assert len(list((tmp_path / "faces").glob("train/*/*.png"))) == 6
    images = sorted((tmp_path / "faces").glob("test/happiness/*.png"))
    assert len(images) == 2
    assert cv2.imread(str(images[0])).shape == (48, 48, 3)
    with pytest.raises(UsageError, match="empty folder"):
        write_labeled_set(tmp_path / "faces", splits)


def test_a_crop_keeps_the_height_and_widens_the_width() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:80, 80:120] = 255
    crop = crop_face(image, (80, 20, 120, 80), 131)
    # 40 wide becomes 52.4: of 131 columns the middle 100 show the box
    assert crop[65, :, 0].sum() // 255 in (99, 100, 101)
    assert crop[:, 65, 0].min() > 127
