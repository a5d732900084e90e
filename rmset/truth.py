"""Ground truth of a composed mashup: `<name>.truth.json`.

The composer writes it, `rmset evaluate` reads it. All boxes are xyxy, pixels of the composed frame, half-open.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rmset.bounded import read_json
from rmset.errors import RmsetError
from rmset.geometry import Box
from rmset.outputs import written

SCHEMA = 1
MOST_BYTES = 1 << 30
"""one line a face: an hour of eight people is about 100 MB"""


@dataclass(frozen=True)
class TruthLayer:
    """One picture on the screen; of a segment's layers, later ones cover earlier ones."""

    content: str
    """`film`, or a person's number"""
    box: Box
    shape: str = "box"
    """`box`, `rounded` or `round` (the ellipse inside the box)"""
    radius: int = 0
    """of the corners of `rounded`, px"""


@dataclass(frozen=True)
class TruthOverlay:
    """Something drawn over everything in frames `[start_frame, end_frame)`."""

    kind: str
    box: Box
    start_frame: int
    end_frame: int


@dataclass(frozen=True)
class TruthSegment:
    """A run of frames `[start_frame, end_frame)` during which nothing in the layout moves."""

    start_frame: int
    end_frame: int
    trigger_regions: tuple[Box, ...]
    panels: dict[int, Box]
    """person -> the rectangle in which that person is filmed"""
    layers: tuple[TruthLayer, ...] = ()
    """layers of an edited mashup, later over earlier ones: the film's pixels are those where its layers are visible"""


@dataclass(frozen=True)
class TruthFace:
    """One face in one frame."""

    frame: int
    person: int
    box: Box
    expression: str | None
    visible: float
    """share of the box that lies inside the person's panel, 0 to 1"""


@dataclass(frozen=True)
class Truth:
    """Ground truth of one composed video."""

    fps: float
    frame_size: tuple[int, int]
    """(width, height) in pixels"""
    segments: tuple[TruthSegment, ...]
    faces: tuple[TruthFace, ...]
    loop_points: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """person -> frames at which that person's clip changes direction or restarts"""
    delays: dict[int, int] = field(default_factory=dict)
    """person -> delay of that person's reactions to the film, frames"""
    identities: dict[int, str] = field(default_factory=dict)
    """person -> identity, the same in all videos; empty if identities are unknown"""
    overlays: tuple[TruthOverlay, ...] = ()
    """graphics drawn over all layers"""
    transitions: tuple[tuple[int, int], ...] = ()
    """runs of frames `[start, end)` that blend with the layout before"""

    def write(self, path: Path) -> None:
        """Write as JSON, one face a line, so that the file can be read and compared by eye."""
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "fps": self.fps,
            "frame_size": list(self.frame_size),
            "segments": [
                {
                    "start_frame": s.start_frame,
                    "end_frame": s.end_frame,
                    "trigger_regions": [list(b) for b in s.trigger_regions],
                    "panels": {str(p): list(b) for p, b in sorted(s.panels.items())},
                }
                | ({"layers": [asdict(layer) for layer in s.layers]} if s.layers else {})
                for s in self.segments
            ],
            "loop_points": {str(p): list(frames) for p, frames in sorted(self.loop_points.items())},
            "delays": {str(p): delay for p, delay in sorted(self.delays.items())},
            "identities": {str(p): name for p, name in sorted(self.identities.items())},
        }
        if self.overlays:
            head["overlays"] = [asdict(o) for o in self.overlays]
        if self.transitions:
            head["transitions"] = [list(t) for t in self.transitions]
        faces = ",\n".join(
            json.dumps(
                {
                    "frame": f.frame,
                    "person": f.person,
                    "box": [round(v, 2) for v in f.box],
                    "expression": f.expression,
                    "visible": round(f.visible, 4),
                }
            )
            for f in self.faces
        )
        with written(path, mode=None) as partial:
            partial.write_text(json.dumps(head, indent=1)[:-2] + f',\n "faces": [\n{faces}\n]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read a truth file.

        Raises:
            RmsetError: the file is missing, is not JSON, or lacks a key.
        """
        try:
            raw = read_json(path, MOST_BYTES)
            if raw["schema"] > SCHEMA:
                raise RmsetError(
                    f"truth file {path}: expected schema {SCHEMA} or older, found {raw['schema']}; update rmset"
                )
            return cls(
                fps=float(raw["fps"]),
                frame_size=(int(raw["frame_size"][0]), int(raw["frame_size"][1])),
                segments=tuple(
                    TruthSegment(
                        int(s["start_frame"]),
                        int(s["end_frame"]),
                        tuple(_box(b) for b in s["trigger_regions"]),
                        {int(p): _box(b) for p, b in s["panels"].items()},
                        tuple(
                            TruthLayer(str(la["content"]), _box(la["box"]), str(la["shape"]), int(la["radius"]))
                            for la in s.get("layers", ())
                        ),
                    )
                    for s in raw["segments"]
                ),
                faces=tuple(
                    TruthFace(int(f["frame"]), int(f["person"]), _box(f["box"]), f["expression"], float(f["visible"]))
                    for f in raw["faces"]
                ),
                loop_points={int(p): tuple(frames) for p, frames in raw.get("loop_points", {}).items()},
                delays={int(p): int(delay) for p, delay in raw.get("delays", {}).items()},
                identities={int(p): str(name) for p, name in raw.get("identities", {}).items()},
                overlays=tuple(
                    TruthOverlay(str(o["kind"]), _box(o["box"]), int(o["start_frame"]), int(o["end_frame"]))
                    for o in raw.get("overlays", ())
                ),
                transitions=tuple((int(a), int(b)) for a, b in raw.get("transitions", ())),
            )
        except OSError as error:
            raise RmsetError(
                f"truth file {path}: cannot be read ({error.strerror}); give a .truth.json file"
            ) from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise RmsetError(f"truth file {path}: not a truth file ({error!r}); compose it again") from error


def _box(values: list[float]) -> Box:
    x0, y0, x1, y1 = values
    return (float(x0), float(y0), float(x1), float(y1))
