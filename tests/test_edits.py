"""`rmset compose --edits`: each edit changes the picture, and the truth describes it frame by frame."""

import json

import numpy as np
import pytest

from rmset.errors import UsageError
from rmset.parts.frames import VideoReader
from rmset.synth import shapes
from rmset.synth.compose import compose_demo
from rmset.synth.edits import EDITS, choose, edited, extra_people
from rmset.synth.layouts import make_layout
from rmset.synth.scene import FILM, scene_of
from rmset.truth import Truth

SIZE = (480, 272)


def scene(layout="3x3", people=6, frames=240, fps=24.0):
    return scene_of(make_layout(layout, people, SIZE), frames, fps)


def made(tmp_path, *edits, seconds=1.5, seed=0, people=3, layout="2x2"):
    output = tmp_path / "m.mp4"
    truth = compose_demo(
        output, seconds=seconds, size=SIZE, people=people, layout=layout, fps=12, edits=edits, seed=seed
    )
    with VideoReader(output) as reader:
        frames = [f.rgb for f in reader.frames()]
    return truth, frames


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_changes_a_scene_always_in_the_same_way(name):
    once, again = (edited(scene(), [name], seed=3) for _ in range(2))
    assert once == again
    assert once != scene()


@pytest.mark.parametrize("seed", range(30))
def test_random_edits_make_scenes_without_gaps_inside_their_frame(seed):
    names = choose(["random"], seed, spare_people=1)
    assert 2 <= len(names) <= 5
    after = edited(scene(), names, seed)
    assert [s.start for s in after.shots] == [0, *(s.end for s in after.shots[:-1])]
    assert after.shots[-1].end == after.frames
    width, height = after.frame_size
    for shot in after.shots:
        for x0, y0, x1, y1 in [layer.box for layer in shot.layers]:
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height


def test_without_spare_people_random_replaces_no_person():
    assert all(extra_people(choose(["random"], seed, spare_people=0)) == 0 for seed in range(60))


def test_unknown_and_contradicting_edits_are_refused():
    with pytest.raises(UsageError, match="--edits zoom: unknown; expected random or some of vertical"):
        choose(["zoom"], 0, 0)
    with pytest.raises(UsageError, match="expected one of vertical and square"):
        choose(["square", "vertical"], 0, 0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        compose_demo(tmp_path / f"{name}.mp4", seconds=0.5, size=SIZE, people=3, layout="2x2", fps=12, edits=["random"])
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert (tmp_path / "a.truth.json").read_bytes() == (tmp_path / "b.truth.json").read_bytes()


@pytest.mark.slow
def test_people_who_change_places_keep_their_names_in_the_truth(tmp_path):
    truth, _ = made(tmp_path, "swap")
    before, after = truth.segments
    moved = [p for p in before.panels if before.panels[p] != after.panels[p]]
    assert len(moved) == 2
    assert before.panels[moved[0]] == after.panels[moved[1]]
    at = before.end_frame
    for face in (f for f in truth.faces if f.frame in (at - 1, at)):
        x0, _, x1, _ = (before if face.frame < at else after).panels[face.person]
        assert x0 <= (face.box[0] + face.box[2]) / 2 < x1


@pytest.mark.slow
def test_a_new_person_has_a_new_number(tmp_path):
    truth, _ = made(tmp_path, "replace")
    before, after = (set(s.panels) for s in truth.segments)
    assert after - before == {3}
    assert len(before - after) == 1


@pytest.mark.slow
def test_a_person_who_leaves_has_no_face_until_they_return(tmp_path):
    truth, _ = made(tmp_path, "leave", seconds=5)
    seen = {p: {f.frame for f in truth.faces if f.person == p} for p in range(3)}
    (gone,) = (p for p in seen if len(seen[p]) < 60)
    missing = sorted(set(range(60)) - seen[gone])
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert len(missing) >= 24


def test_a_moment_is_a_segment_of_its_own_and_shows_one_person(tmp_path):
    truth, frames = made(tmp_path, "moment", seconds=2)
    grid, moment, again = truth.segments
    assert grid.panels == again.panels
    (panel,) = moment.panels.values()
    assert panel == (0, 0, *SIZE)
    assert moment.trigger_regions == ()
    step = np.abs(frames[moment.start_frame].astype(int) - frames[moment.start_frame - 1]).mean()
    assert step > 4 * np.abs(frames[moment.start_frame + 1].astype(int) - frames[moment.start_frame]).mean()


def test_the_layers_say_which_pixels_are_film(tmp_path):
    truth, _ = made(tmp_path, "film-full", people=3, seconds=0.5)
    (segment,) = truth.segments
    rows = [
        (shapes.FILM_LABEL if la.content == FILM else int(la.content), tuple(map(int, la.box)), la.shape, la.radius)
        for la in segment.layers
    ]
    labels = shapes.label_map(truth.frame_size, rows)
    assert labels[0, SIZE[0] // 2] == shapes.FILM_LABEL
    for person, (x0, y0, x1, y1) in segment.panels.items():
        assert labels[int(y0 + y1) // 2, int(x0 + x1) // 2] == person
        round_one = next(la for la in segment.layers if la.content == str(person)).shape == "round"
        assert (labels[int(y0), int(x0)] == shapes.FILM_LABEL) == round_one


@pytest.mark.slow
def test_a_face_under_an_overlay_is_not_whole(tmp_path):
    truth, _ = made(tmp_path, "captions", "stickers", seconds=4, people=3)
    assert len(truth.overlays) == 4
    covered = [f for f in truth.faces if f.visible < 0.9]
    assert all(
        any(o.start_frame <= f.frame < o.end_frame and _meet(o.box, f.box) for o in truth.overlays) for f in covered
    )


@pytest.mark.slow
def test_an_end_card_hides_the_people_under_it(tmp_path):
    truth, _ = made(tmp_path, "end-card", seconds=2, people=5, layout="2x3")
    (card,) = truth.overlays
    late = [f for f in truth.faces if f.frame >= card.start_frame]
    assert len(truth.segments[-1].panels) < 5
    assert late
    assert not any(_meet(card.box, f.box) and f.visible > 0.9 for f in late)


@pytest.mark.slow
def test_the_truth_lists_a_dissolve_and_its_faces_are_half_visible(tmp_path):
    truth, _ = made(tmp_path, "fade", seconds=4)
    ((start, end),) = truth.transitions
    assert truth.segments[0].panels == {}
    assert start < truth.segments[1].start_frame < end
    assert {f.visible for f in truth.faces if start <= f.frame < end} == {0.5}


def test_edited_truth_is_read_back_as_it_was_written(tmp_path):
    truth, _ = made(tmp_path, "bubbles", "captions", "fade", seconds=2)
    again = Truth.read(tmp_path / "m.truth.json")
    assert (again.segments, again.overlays, again.transitions) == (truth.segments, truth.overlays, truth.transitions)


def test_without_edits_nothing_new_stands_in_the_truth(tmp_path):
    made(tmp_path, seconds=0.3)
    raw = json.loads((tmp_path / "m.truth.json").read_text())
    assert not {"overlays", "transitions"} & set(raw)
    assert "layers" not in raw["segments"][0]


def _meet(a, b):
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
