"""Generated film with faces of its own, camera motion and cuts to scenes without faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rmset.synth.arrays import Image, f32
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.faces import Person, Pose
from rmset.synth.identity import cast
from rmset.synth.panels import PanelFrame

SCENES = ("face", "hills", "night")


@dataclass(frozen=True)
class Scene:
    """Part of a film between two cuts, frames `[start, end)`."""

    kind: str
    start: int
    end: int
    seed: int


class GeneratedFilm:
    """A film of scenes; faces in it belong to no person of the mashup."""

    def __init__(self, scenes: tuple[Scene, ...], seed: int) -> None:
        """Make a film of consecutive `scenes`, from frame 0."""
        self._scenes = scenes
        self._actors = [Person(identity) for identity in cast("film", 2, seed)]

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the film at a frame of the mashup."""
        scene = next((s for s in self._scenes if s.start <= index < s.end), self._scenes[-1])
        t = (index - scene.start) / max(1, scene.end - scene.start)
        draw = {"face": self._face, "hills": _hills, "night": _night}[scene.kind]
        return PanelFrame(draw(scene, t, size))

    def loop_points(self, frames: int) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's argument
        """Return no points: the film is as long as the mashup."""
        return ()

    def _face(self, scene: Scene, t: float, size: tuple[int, int]) -> Image:
        """Draw an actor in close-up, with the camera closing in."""
        rng = np.random.default_rng(scene.seed)
        actor = self._actors[scene.seed % len(self._actors)]
        pose = Pose(
            dx=float(rng.uniform(-0.25, 0.25)) + 0.25 * (t - 0.5) * float(rng.choice([-1, 1])),
            dy=0.06,
            roll=4 * float(np.sin(5 * t)),
            zoom=1.15 + 0.35 * t,
            turn=float(np.sin(4 * t + 1)),
        )
        expression = EXPRESSIONS[1 + scene.seed % (len(EXPRESSIONS) - 1)]
        image = actor.render(expression, float(np.clip(np.sin(np.pi * t) * 1.4, 0, 1)), pose, size).image
        # the look of cinema: cold shadows, bars
        image = np.asarray(cv2.LUT(image, _GRADE), np.uint8)
        bar = size[1] // 12
        image[:bar] = image[size[1] - bar :] = 0
        return image


def cut_film(rng: np.random.Generator, frames: int, fps: float) -> tuple[Scene, ...]:
    """Scenes of two to four seconds that fill `frames`; the first and every second scene after it show a face."""
    scenes: list[Scene] = []
    start = 0
    while start < frames:
        end = min(frames, start + round(float(rng.uniform(2.0, 4.0)) * fps))
        kind = "face" if len(scenes) % 2 == 0 else SCENES[1 + int(rng.integers(2))]
        scenes.append(Scene(kind, start, end if frames - end > fps else frames, int(rng.integers(2**31))))
        start = scenes[-1].end
    return tuple(scenes)


def _hills(scene: Scene, t: float, size: tuple[int, int]) -> Image:
    """Draw a pan over hills at sunset; near hills pass faster."""
    rng = np.random.default_rng(scene.seed)
    width, height = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    sky = f32([92, 120, 178]) * (1 - y) + f32([250, 176, 110]) * y
    image = np.ascontiguousarray(np.repeat(sky[:, None], width, axis=1).astype(np.uint8))
    sun = (int(width * (0.7 - 0.2 * t)), int(height * (0.38 + 0.12 * t)))
    cv2.circle(image, sun, max(4, height // 10), (255, 232, 176), -1, cv2.LINE_AA)
    x = np.linspace(0, 4, width, dtype=np.float32)
    for depth in range(4):
        phase, speed = rng.uniform(0, 6, 3), 0.3 + 0.6 * depth
        ridge = sum(np.sin((x + speed * t) * f + p) / f for f, p in zip((1.3, 2.9, 5.7), phase, strict=True))
        top = height * (0.5 + 0.12 * depth) - height * 0.07 * ridge
        outline = np.stack([np.arange(width), top], 1).astype(np.int32)
        color = np.array([110, 108, 120]) * (1 - depth / 4) + np.array([24, 44, 34]) * (depth / 4)
        cv2.fillPoly(image, [np.vstack([outline, [[width, height], [0, height]]])], color.tolist(), cv2.LINE_AA)
    return image


def _night(scene: Scene, t: float, size: tuple[int, int]) -> Image:
    """Draw a drive through a city at night: blurred lights that come nearer."""
    rng = np.random.default_rng(scene.seed)
    width, height = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    ground = f32([10, 12, 28]) * (1 - y) + f32([36, 26, 40]) * y
    image = np.repeat(ground[:, None], width, axis=1).astype(np.uint8)
    glow = np.zeros_like(image)
    for _ in range(40):
        angle, far = rng.uniform(0, 2 * np.pi), (rng.uniform() + 0.8 * t) % 1.0
        reach = 0.04 + 0.6 * far**2
        center = (int(width * (0.5 + reach * np.cos(angle))), int(height * (0.5 + reach * np.sin(angle) * 0.7)))
        color = np.array([(255, 190, 90), (255, 80, 60), (120, 200, 255), (240, 240, 220)][int(rng.integers(4))])
        cv2.circle(glow, center, max(2, int(height * 0.07 * far + 2)), (color * (0.3 + 0.6 * far)).tolist(), -1)
    soft = cv2.GaussianBlur(glow, (0, 0), max(0.8, height / 240))
    return np.asarray(cv2.add(image, soft), np.uint8)


def _grade() -> Image:
    """Lookup table (1, 256, 3): teal shadows, warm lights, more contrast."""
    v = np.linspace(0, 1, 256)
    curve = v * v * (3 - 2 * v) * 0.6 + v * 0.4
    table = np.stack([curve * 1.02, curve * 0.97 + 0.01, curve * 0.9 + 0.05], 1)
    return np.asarray(np.clip(table * 255, 0, 255), np.uint8)[None]


_GRADE = _grade()
