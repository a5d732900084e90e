"""Contents of a panel: the protocol of panel sources, and the generated person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rmset.synth.arrays import Box, Image
from rmset.synth.faces import Person
from rmset.synth.minds import Story
from rmset.synth.motion import Motion


@dataclass(frozen=True)
class PanelFrame:
    """One panel's picture at one frame, with its face."""

    image: Image
    """(H, W, 3) RGB"""
    box: Box | None = None
    """the face, xyxy pixels of the panel; it may reach beyond the panel"""
    expression: str | None = None


class PanelSource(Protocol):
    """Content of a panel: a generated person, a clip or a film."""

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the panel's content at a frame of the mashup, `size` (width, height) pixels large."""

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Frames among the mashup's first `frames` at which the content changes direction."""


class GeneratedPerson:
    """A person who follows a script."""

    def __init__(self, person: Person, number: int, script: Story, motion: Motion, fps: float) -> None:
        """Make the panel of a person; `number` is the person's index in the script."""
        self._person, self._number, self._script, self._motion, self._fps = person, number, script, motion, fps

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Draw the person with the script's expression at this frame."""
        expression, intensity = self._script.expression_at(self._number, index)
        drawn = self._person.render(expression, intensity, self._motion.at(index / self._fps), size)
        return PanelFrame(drawn.image, drawn.box, self._script.label_at(self._number, index))

    def loop_points(self, frames: int) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's argument
        """Return no points: a generated person never repeats."""
        return ()
