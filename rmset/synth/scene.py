"""Scene of an edited mashup: shots of layers, overlays over them, cuts inside panels, absent people.

A scene is plain data; edits (`rmset.synth.edits`) map scenes to scenes, and `rmset.synth.stage` draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from rmset.synth.layouts import IntBox, PanelLayout

FILM: Literal["film"] = "film"
Content = int | Literal["film"]
"""a person's number, or the film"""
Shape = Literal["box", "rounded", "round"]
Background = Literal["black", "blurred", "gradient"]


@dataclass(frozen=True)
class Layer:
    """One picture on the screen; later layers cover earlier ones."""

    content: Content
    box: IntBox
    """px of the frame"""
    shape: Shape = "box"
    """`round` is the ellipse inside the box"""
    radius: int = 0
    """radius of the corners of `rounded`, px"""
    border: int = 0
    """width of the line around it, inside the box, px"""
    glows: bool = False
    """whether the line changes color over time"""
    panel: IntBox | None = None
    """panel shared with another person; None if the panel is the layer's own box"""
    own_blur: bool = False
    """whether the content is shown smaller, over its own blur"""
    bars: float = 0.0
    """share of the height taken by each of the black bars above and below the content"""


@dataclass(frozen=True)
class Shot:
    """Frames `[start, end)` with constant layers."""

    start: int
    end: int
    layers: tuple[Layer, ...]
    background: Background = "black"
    title: str | None = None
    """text of a title card shown instead of the layers' contents"""
    face: int | None = None
    """person whose still picture is on the title card"""
    fade: int = 0
    """frames at the beginning that blend with the shot before"""


@dataclass(frozen=True)
class Overlay:
    """Graphic drawn over all layers in frames `[start, end)`."""

    kind: Literal["caption", "countdown", "sticker", "end card"]
    box: IntBox
    start: int
    end: int
    seed: int = 0


@dataclass(frozen=True)
class Cut:
    """Change inside a content from a frame on: zoom, shift or jump in time."""

    frame: int
    zoom: float = 1.0
    """1 shows the whole content"""
    at: tuple[float, float] = (0.5, 0.5)
    """center of the visible part, as a share of width and height"""
    skip: int = 0
    """frames by which the content is ahead"""


@dataclass(frozen=True)
class Scene:
    """A whole edited mashup."""

    frame_size: tuple[int, int]
    fps: float
    frames: int
    shots: tuple[Shot, ...]
    overlays: tuple[Overlay, ...] = ()
    cuts: Mapping[Content, tuple[Cut, ...]] = field(default_factory=dict)
    away: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """person -> frames `[start, end)` in which their panel is empty"""
    crf: int = 20
    """x264's constant rate factor: higher is a lower bitrate"""

    @property
    def people(self) -> tuple[int, ...]:
        """Numbers of all people in any shot or on any title card, ascending."""
        shown = {layer.content for shot in self.shots for layer in shot.layers if isinstance(layer.content, int)}
        return tuple(sorted(shown | {shot.face for shot in self.shots if shot.face is not None}))

    def split_at(self, frame: int) -> Scene:
        """Split the shot at a frame into two."""
        shots: list[Shot] = []
        for shot in self.shots:
            if shot.start < frame < shot.end:
                shots += [replace(shot, end=frame), replace(shot, start=frame, fade=0)]
            else:
                shots.append(shot)
        return replace(self, shots=tuple(shots))

    def during(self, start: int, end: int, change: Callable[[Shot], Shot]) -> Scene:
        """Apply a change to all shots in frames `[start, end)`, splitting shots at both ends."""
        cut = self.split_at(start).split_at(end)
        return replace(cut, shots=tuple(change(s) if start <= s.start and s.end <= end else s for s in cut.shots))

    def with_cuts(self, content: Content, *cuts: Cut) -> Scene:
        """Return the scene with more cuts inside one content."""
        mine = tuple(sorted((*self.cuts.get(content, ()), *cuts), key=lambda c: c.frame))
        return replace(self, cuts={**self.cuts, content: mine})

    def cut_at(self, content: Content, frame: int) -> Cut:
        """Return the cut of a content that holds at a frame."""
        return next((c for c in reversed(self.cuts.get(content, ())) if c.frame <= frame), Cut(0))

    def ahead(self, content: Content) -> int:
        """Extra frames of a content, beyond the scene's length, that its jumps ahead need."""
        return max((cut.skip for cut in self.cuts.get(content, ())), default=0)

    def is_away(self, person: int, frame: int) -> bool:
        """Whether a person's panel is empty at a frame."""
        return any(start <= frame < end for start, end in self.away.get(person, ()))


def scene_of(layout: PanelLayout, frames: int, fps: float) -> Scene:
    """Make the scene of an unedited layout: one shot."""
    shape: Shape = "rounded" if layout.corner_radius else "box"
    people = [Layer(p, box, shape, layout.corner_radius, layout.frame) for p, box in layout.panels.items()]
    films = [Layer(FILM, box, shape, layout.corner_radius, layout.frame) for box in layout.triggers]
    background: Background = "blurred" if layout.background == "blurred" else "black"
    return Scene(layout.frame_size, fps, frames, (Shot(0, frames, (*people, *films), background),))
