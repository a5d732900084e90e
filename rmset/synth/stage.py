"""Draw a scene frame by frame, encode it, and write its truth to `<stem>.truth.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.synth import overlays, shapes
from rmset.synth.arrays import Box, Image, f32
from rmset.synth.encode import Encoder
from rmset.synth.layouts import IntBox
from rmset.synth.panels import PanelFrame, PanelSource
from rmset.synth.scene import FILM, Content, Layer, Scene, Shot
from rmset.synth.screen import title_card
from rmset.truth import Truth, TruthFace, TruthLayer, TruthOverlay, TruthSegment

# Visibility of a face blended with the shot before: neither shown nor hidden.
_BLENDED = 0.5
# Least visible share of a film that has a region of its own.
_SEEN = 0.02


def compose_scene(
    output: Path,
    scene: Scene,
    people: Mapping[int, PanelSource],
    film: PanelSource,
    progress: Progress = silent,
) -> Truth:
    """Compose a scene; write video and truth, and return the truth.

    Args:
        output: the MP4; the truth goes beside it.
        scene: shots, overlays and cuts.
        people: person -> content of their panel, for panels of any size.
        film: content of the film, for panels of any size.
        progress: progress callback on frames.

    Raises:
        UsageError: the output is no MP4.
    """
    if output.suffix.lower() != ".mp4":
        raise UsageError(f"expected an output called .mp4, found {output.name}")
    painter = _Painter(scene, people, film)
    faces: list[TruthFace] = []
    with Encoder(output, scene.frame_size, scene.fps, crf=scene.crf) as encoder:
        before: Shot | None = None
        for shot in scene.shots:
            for index in range(shot.start, shot.end):
                progress("composing frames", index, scene.frames)
                image, seen = painter.frame(shot, index)
                into = index - shot.start
                if before is not None and into < shot.fade:
                    share = (into + 1) / (shot.fade + 1)
                    old, old_seen = painter.frame(before, index)
                    image = np.asarray(cv2.addWeighted(image, share, old, 1 - share, 0), np.uint8)
                    seen = [_dimmed(f) for f in (seen if share >= _BLENDED else old_seen)]
                painter.overlay(image, index)
                faces += seen
                encoder.write(np.asarray(image, np.uint8))
            before = shot
    progress("composing frames", scene.frames, scene.frames)
    points = {p: people[p].loop_points(scene.frames) for p in scene.people}
    truth = Truth(
        scene.fps, scene.frame_size, _segments(scene), tuple(faces), {p: at for p, at in points.items() if at},
        overlays=tuple(TruthOverlay(o.kind, _floats(o.box), o.start, o.end) for o in scene.overlays),
        transitions=tuple((s.start, s.start + s.fade) for s in scene.shots if s.fade),
    )  # fmt: skip
    truth.write(output.with_name(f"{output.stem}.truth.json"))
    return truth


def _segments(scene: Scene) -> tuple[TruthSegment, ...]:
    """Group frames with the same layers into segments; a dissolve is cut in its middle."""
    bounds = [(s.start + s.fade // 2, s) for s in scene.shots]
    ends = [start for start, _ in bounds[1:]] + [scene.frames]
    runs = [(start, end, shot) for (start, shot), end in zip(bounds, ends, strict=True)]
    segments = []
    for _, same in groupby(runs, key=lambda run: (run[2].layers, run[2].title)):
        group = list(same)
        segments.append(_segment(group[0][0], group[-1][1], group[0][2], scene.frame_size))
    return tuple(segments)


def _segment(start: int, end: int, shot: Shot, frame_size: tuple[int, int]) -> TruthSegment:
    if shot.title is not None:
        return TruthSegment(start, end, (), {})
    labels = shapes.label_map(frame_size, [_row(layer) for layer in shot.layers])
    films = [layer.box for layer in shot.layers if layer.content == FILM]
    seen = [b for b in films if shapes.share_shown(labels, shapes.FILM_LABEL, b) >= _SEEN]
    panels = {layer.content: _floats(layer.panel or layer.box) for layer in shot.layers if layer.content != FILM}
    layers = tuple(
        TruthLayer(str(layer.content), _floats(layer.box), layer.shape, layer.radius) for layer in shot.layers
    )
    return TruthSegment(start, end, tuple(_floats(b) for b in seen), {int(p): b for p, b in panels.items()}, layers)


def _row(layer: Layer) -> tuple[int, IntBox, str, int]:
    label = layer.content if isinstance(layer.content, int) else shapes.FILM_LABEL
    return label, layer.box, layer.shape, layer.radius


def _dimmed(face: TruthFace) -> TruthFace:
    return TruthFace(face.frame, face.person, face.box, face.expression, min(face.visible, _BLENDED))


@dataclass
class _Painter:
    """Draws single frames."""

    scene: Scene
    people: Mapping[int, PanelSource]
    film: PanelSource

    def __post_init__(self) -> None:
        self._labels: dict[tuple[tuple[Layer, ...], tuple[IntBox, ...]], npt.NDArray[np.int16]] = {}

    def frame(self, shot: Shot, index: int) -> tuple[Image, list[TruthFace]]:
        """Draw one frame of a shot without overlays; return it with its faces."""
        if shot.title is not None:
            return self._title(shot, index), []
        image = self._background(shot, index)
        faces: list[TruthFace] = []
        labels = self._labels_of(shot, index)
        for layer in shot.layers:
            shown = self._content(layer, index)
            self._put(image, layer, shown.image, index)
            if isinstance(layer.content, int) and shown.box is not None:
                x0, y0 = layer.box[:2]
                box = (shown.box[0] + x0, shown.box[1] + y0, shown.box[2] + x0, shown.box[3] + y0)
                visible = shapes.share_shown(labels, layer.content, box)
                if visible > 0:
                    faces.append(TruthFace(index, layer.content, box, shown.expression, visible))
        return image, faces

    def overlay(self, image: Image, index: int) -> None:
        """Draw the overlays, in place."""
        for overlay in self.scene.overlays:
            if overlay.start <= index < overlay.end:
                overlays.draw(image, overlay, index, self.scene.fps)

    def _labels_of(self, shot: Shot, index: int) -> npt.NDArray[np.int16]:
        # The whole box of a caption or sticker counts as covered, though it is drawn with gaps.
        covers = tuple(o.box for o in self.scene.overlays if o.start <= index < o.end)
        key = (shot.layers, covers)
        if key not in self._labels:
            rows = [_row(layer) for layer in shot.layers]
            self._labels[key] = shapes.label_map(self.scene.frame_size, rows, covers)
        return self._labels[key]

    def _background(self, shot: Shot, index: int) -> Image:
        width, height = self.scene.frame_size
        if shot.background == "blurred":
            film = self._source(FILM, index, (320, 180)).image
            few = cv2.GaussianBlur(cv2.resize(film, (32, 18), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
            return np.asarray(cv2.resize(few // 2 + 12, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        if shot.background == "gradient":
            return _gradient((width, height), index / self.scene.fps)
        return np.zeros((height, width, 3), np.uint8)

    def _title(self, shot: Shot, index: int) -> Image:
        width, height = self.scene.frame_size
        card = title_card((width, height), (index - shot.start) / self.scene.fps, shot.title or "")
        if shot.face is not None:
            # A still picture: always the same frame.
            side = height // 3 // 2 * 2
            still = self._source(shot.face, 0, (side, side)).image
            left, top = width // 2 - side // 2, height // 20
            card[top : top + side, left : left + side] = still
        return card

    def _source(self, content: Content, index: int, size: tuple[int, int]) -> PanelFrame:
        cut = self.scene.cut_at(content, index)
        source = self.film if content == FILM else self.people[int(content)]
        shown = source.frame(index + cut.skip, size)
        return shown if cut.zoom == 1.0 else _closer(shown, cut.zoom, cut.at)

    def _content(self, layer: Layer, index: int) -> PanelFrame:
        width, height = layer.box[2] - layer.box[0], layer.box[3] - layer.box[1]
        if isinstance(layer.content, int) and self.scene.is_away(layer.content, index):
            return PanelFrame(_empty_room((width, height), layer.content))
        if layer.bars:
            bar = int(height * layer.bars) // 2 * 2
            film = self._source(layer.content, index, (width, height - 2 * bar)).image
            return PanelFrame(np.asarray(cv2.copyMakeBorder(film, bar, bar, 0, 0, cv2.BORDER_CONSTANT), np.uint8))
        if not layer.own_blur:
            return self._source(layer.content, index, (width, height))
        inner = int(min(width, 0.8 * height)) // 2 * 2
        shown = self._source(layer.content, index, (inner, height))
        behind = cv2.GaussianBlur(cv2.resize(cv2.resize(shown.image, (24, 24)), (width, height)), (0, 0), 5)
        left = (width - inner) // 2
        behind[:, left : left + inner] = shown.image
        box = shown.box and (shown.box[0] + left, shown.box[1], shown.box[2] + left, shown.box[3])
        return PanelFrame(np.asarray(behind, np.uint8), box, shown.expression)

    def _put(self, image: Image, layer: Layer, picture: Image, index: int) -> None:
        x0, y0, x1, y1 = layer.box
        size = (x1 - x0, y1 - y0)
        if layer.border:
            picture = picture.copy()
            _outline(picture, layer, _hue(index / self.scene.fps) if layer.glows else (236, 236, 236))
        share = shapes.mask(size, layer.shape, layer.radius)[..., None]
        if layer.panel is not None:
            share = share * _seam(layer)
        there = image[y0:y1, x0:x1]
        image[y0:y1, x0:x1] = (there + (picture.astype(np.float32) - there) * share).astype(np.uint8)


def _closer(shown: PanelFrame, zoom: float, at: tuple[float, float]) -> PanelFrame:
    """Zoom into a picture around a point, keeping the view inside the picture."""
    height, width = shown.image.shape[:2]
    half = (width / zoom / 2, height / zoom / 2)
    x = min(max(at[0] * width, half[0]), width - half[0])
    y = min(max(at[1] * height, half[1]), height - half[1])
    matrix = f32([[zoom, 0, width / 2 - zoom * x], [0, zoom, height / 2 - zoom * y]])
    image = cv2.warpAffine(
        shown.image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    box: Box | None = None
    if shown.box is not None:
        (dx, dy) = (float(matrix[0, 2]), float(matrix[1, 2]))
        b = shown.box
        box = (b[0] * zoom + dx, b[1] * zoom + dy, b[2] * zoom + dx, b[3] * zoom + dy)
    return PanelFrame(np.asarray(image, np.uint8), box, shown.expression)


def _outline(picture: Image, layer: Layer, color: tuple[int, int, int]) -> None:
    height, width = picture.shape[:2]
    thick = 2 * layer.border
    if layer.shape == "round":
        cv2.ellipse(picture, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, color, thick, cv2.LINE_AA)
        return
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), color, thick)
    if layer.shape == "rounded":
        r = layer.radius
        corners = (((r, r), 180), ((width - r, r), 270), ((width - r, height - r), 0), ((r, height - r), 90))
        for middle, turn in corners:
            cv2.ellipse(picture, middle, (r, r), turn, 0, 90, color, thick, cv2.LINE_AA)


def _hue(seconds: float) -> tuple[int, int, int]:
    """Color that cycles through all hues in four seconds."""
    hsv = np.array([[[int(seconds * 45) % 180, 220, 240]]], np.uint8)
    r, g, b = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]
    return int(r), int(g), int(b)


def _seam(layer: Layer) -> npt.NDArray[np.float32]:
    """Coverage (1, W, 1) that fades in from the left if the layer is the right part of a shared panel."""
    width = layer.box[2] - layer.box[0]
    ramp = np.ones(width, np.float32)
    soft = max(2, width // 8)
    assert layer.panel is not None
    if layer.box[0] > layer.panel[0]:
        ramp[:soft] = np.linspace(0, 1, soft)
    return ramp[None, :, None]


def _gradient(size: tuple[int, int], seconds: float) -> Image:
    """Draw a gradient of two colors that drift over the screen."""
    width, height = size
    x, y = np.linspace(0, 1, 64, dtype=np.float32), np.linspace(0, 1, 36, dtype=np.float32)[:, None]
    level = 0.5 + 0.5 * np.sin(3 * (x + y) + 0.9 * seconds)
    small = f32([60, 20, 110]) * (1 - level[..., None]) + f32([20, 130, 170]) * level[..., None]
    return np.asarray(cv2.resize(small, (width, height)), np.float32).astype(np.uint8)


def _empty_room(size: tuple[int, int], seed: int) -> Image:
    """Draw an empty room, (H, W, 3)."""
    width, height = size
    rng = np.random.default_rng([seed, 77])
    room = np.full((90, 160, 3), rng.integers(60, 180, 3), np.uint8)
    for _ in range(4):
        x, y = int(rng.integers(-20, 140)), int(rng.integers(-20, 70))
        color = tuple(int(v) for v in rng.integers(20, 230, 3))
        cv2.rectangle(room, (x, y), (x + int(rng.integers(20, 70)), y + int(rng.integers(20, 60))), color, -1)
    return np.asarray(cv2.resize(cv2.GaussianBlur(room, (0, 0), 2), (width, height)), np.uint8)


def _floats(box: IntBox) -> Box:
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
