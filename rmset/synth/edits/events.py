"""Edits in time: zooms and cuts, people who leave or change places, fades, titles and moments."""

from __future__ import annotations

from dataclasses import replace

from rmset.synth.edits.draws import Rng, moment, seconds, some
from rmset.synth.scene import FILM, Content, Cut, Layer, Scene, Shot


def punch_ins(scene: Scene, rng: Rng) -> Scene:
    """Zoom in on some people abruptly, and back out."""
    for person in some(scene.people, rng):
        frame = moment(scene, rng, 0.15, 0.7)
        back = min(scene.frames - 1, frame + seconds(scene, rng.uniform(1.0, 2.5)))
        zoom = float(rng.uniform(1.15, 1.5))
        closer = Cut(frame, zoom, (float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.5))))
        scene = scene.with_cuts(person, closer, Cut(back))
    return scene


def jump_cuts(scene: Scene, rng: Rng) -> Scene:
    """Make some people's videos jump ahead."""
    for person in some(scene.people, rng):
        ahead = 0
        for frame in sorted(moment(scene, rng, 0.1, 0.9) for _ in range(2)):
            ahead += seconds(scene, rng.uniform(0.7, 3.0))
            scene = scene.with_cuts(person, Cut(frame, skip=ahead))
    return scene


def film_cuts(scene: Scene, rng: Rng) -> Scene:
    """Cut the film every one to three seconds: to another time, zoom or part of the picture."""
    frame = 0
    while frame < scene.frames:
        at = (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.25, 0.75)))
        zoom = float(rng.choice([1.0, rng.uniform(1.2, 1.9)]))
        scene = scene.with_cuts(FILM, Cut(frame, zoom, at, seconds(scene, rng.uniform(0, 20))))
        frame += seconds(scene, rng.uniform(1.0, 3.0))
    return scene


def leave(scene: Scene, rng: Rng) -> Scene:
    """Make one person leave for two seconds or more."""
    person = int(rng.choice(scene.people))
    start = moment(scene, rng, 0.2, 0.5)
    end = min(scene.frames, start + seconds(scene, rng.uniform(2.0, 3.0)))
    return replace(scene, away={**scene.away, person: (*scene.away.get(person, ()), (start, end))})


def swap(scene: Scene, rng: Rng) -> Scene:
    """Make two people change places."""
    if len(scene.people) < 2:
        return scene
    one, other = (int(p) for p in rng.choice(scene.people, 2, replace=False))
    names = {one: other, other: one}
    return _renamed(scene, moment(scene, rng, 0.35, 0.65), names)


def replace_person(scene: Scene, rng: Rng) -> Scene:
    """Replace one person by a new person."""
    old = int(rng.choice(scene.people))
    return _renamed(scene, moment(scene, rng, 0.35, 0.65), {old: max(scene.people) + 1})


def _renamed(scene: Scene, start: int, names: dict[int, int]) -> Scene:
    def change(shot: Shot) -> Shot:
        def renamed(layer: Layer) -> Layer:
            if isinstance(layer.content, int) and layer.content in names:
                return replace(layer, content=names[layer.content])
            return layer

        return replace(shot, layers=tuple(renamed(la) for la in shot.layers))

    return scene.during(start, scene.frames, change)


def fade(scene: Scene, rng: Rng) -> Scene:
    """Show the film alone at first, after a title if there is one; then fade in the panels."""
    start = min(scene.frames // 3, seconds(scene, rng.uniform(3.0, 4.0)))
    width, height = scene.frame_size
    alone = (Layer(FILM, (0, 0, width, height)),)
    scene = scene.during(0, start, lambda s: replace(s, layers=alone, background="black"))
    blend = seconds(scene, rng.uniform(0.4, 0.8))
    return replace(scene, shots=tuple(replace(s, fade=blend) if s.start == start else s for s in scene.shots))


def title(scene: Scene, rng: Rng) -> Scene:
    """Begin with a title card that shows a person's still picture."""
    end = min(scene.frames // 6, seconds(scene, rng.uniform(1.2, 2.0)))
    face = int(rng.choice(scene.people))
    return scene.during(0, end, lambda s: replace(s, title="REACTION MASHUP", face=face, fade=0))


def person_moment(scene: Scene, rng: Rng) -> Scene:
    """Show one person full screen for three seconds."""
    person = int(rng.choice([p for p in scene.people if any(la.content == p for la in scene.shots[-1].layers)]))
    return _full_screen(scene, rng, person)


def film_moment(scene: Scene, rng: Rng) -> Scene:
    """Show the film full screen for three seconds."""
    return _full_screen(scene, rng, None)


def _full_screen(scene: Scene, rng: Rng, person: int | None) -> Scene:
    width, height = scene.frame_size
    start = moment(scene, rng, 0.45, 0.6)
    end = min(scene.frames - 1, start + min(seconds(scene, 3.0), scene.frames // 4))
    content: Content = FILM if person is None else person
    layer = Layer(content, (0, 0, width, height))
    return scene.during(start, end, lambda s: s if s.title else replace(s, layers=(layer,), background="black"))
