"""A video's layout: its segments, with the regions in which the film plays and the people who react.

Frozen, and checked when made. A segment is `[start_frame, end_frame)`; boxes are xyxy, pixels of the source frame,
half-open.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rmset.bounded import parse_json
from rmset.errors import LayoutError, UnreadableError
from rmset.geometry import Box, area, as_boxes, covered, without

LAYOUT_SCHEMA = 1
MOST_SEGMENTS, MOST_BOXES = 5000, 256
"""in a layout, and of each kind in a segment; mashups of an hour have some hundred, and 16"""
_MOST = 2**31 - 1
"""the largest number of a frame or person that the tables hold"""
# A panel in a trigger region: least share of it inside the region, and largest area relative to the region.
_LIES_IN, _SMALLER = 0.9, 0.8


@dataclass(frozen=True)
class TriggerRegion:
    """A rectangle in which the film plays; its pixels are removed before detection."""

    box: Box
    source: Literal["proposed", "manual"] = "proposed"
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        _expect(self.source in ("proposed", "manual"), "source proposed or manual", self.source)
        _expect_share(self.confidence)


@dataclass(frozen=True)
class Person:
    """A reacting person, with the place of their face in the reference frame."""

    person_id: int
    box: Box
    panel: Box | None = None
    """the rectangle in which the person is filmed; crops never reach beyond it"""
    source: Literal["detected", "manual"] = "detected"
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Check that the person can exist."""
        _expect(_is_count(self.person_id), f"a person id from 0 to {_MOST}", self.person_id)
        _expect(self.source in ("detected", "manual"), "source detected or manual", self.source)
        _expect_share(self.confidence)


@dataclass(frozen=True)
class Segment:
    """A run of frames `[start_frame, end_frame)` during which the layout stays the same."""

    start_frame: int
    end_frame: int
    reference_frame: int
    trigger_regions: tuple[TriggerRegion, ...] = ()
    people: tuple[Person, ...] = ()
    reviewed: bool = False
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Refuse frames, answers and numbers of boxes that cannot be."""
        for frame in (self.start_frame, self.end_frame, self.reference_frame):
            _expect(_is_count(frame), f"frames from 0 to {_MOST}", frame)
        _expect(isinstance(self.reviewed, bool), "reviewed true or false", self.reviewed)
        _expect_share(self.confidence)
        boxes = max(len(self.trigger_regions), len(self.people))
        _expect(boxes <= MOST_BOXES, f"at most {MOST_BOXES} regions and as many people in a segment", boxes)

    def holes(self, region: TriggerRegion) -> tuple[Box, ...]:
        """Panels of people that lie in a region: there the panel wins. A film over a panel's corner has none."""
        places = [p.panel for p in self.people if p.panel is not None]
        share = covered(as_boxes(places), as_boxes([region.box]))
        whole = float(area(as_boxes([region.box]))[0])
        return tuple(
            sorted({b for b, s in zip(places, share, strict=True) if s >= _LIES_IN and _area(b) < _SMALLER * whole})
        )

    def removed_from(self, region: TriggerRegion) -> tuple[Box, ...]:
        """Return the rectangles of a region that are really masked: without its holes."""
        return tuple(without(region.box, self.holes(region)))

    @property
    def masked(self) -> tuple[Box, ...]:
        """All rectangles that are really masked."""
        return tuple(box for region in self.trigger_regions for box in self.removed_from(region))


@dataclass(frozen=True)
class Layout:
    """Trigger regions and people of one video: `layouts/<video_id>.json`."""

    video_id: str
    frame_size: tuple[int, int]
    """(width, height) in pixels"""
    segments: tuple[Segment, ...] = field(default=())
    moved: str | None = None
    """why it may not fit: the video's frames have other numbers than when it was drawn; None once it was looked at"""
    corrected: int = 0
    """times that the audit has corrected its people's ids"""

    def __post_init__(self) -> None:
        """Refuse segments, regions and people that cannot be."""
        _expect(isinstance(self.video_id, str) and len(self.video_id) <= 200, "the id of a video", self.video_id)
        for side in self.frame_size:
            _expect(_is_count(side) and 1 <= side <= 1 << 16, "a frame of 1 to 65,536 px", side)
        _expect(len(self.segments) <= MOST_SEGMENTS, f"at most {MOST_SEGMENTS:,} segments", len(self.segments))
        end = 0
        for segment in self.segments:
            here = f"layout of {self.video_id}, segment {segment.start_frame}:{segment.end_frame}"
            if not end <= segment.start_frame < segment.end_frame:
                raise LayoutError(f"{here}: expected segments in order, none empty, none overlapping; set it again")
            end = segment.end_frame
            if not segment.start_frame <= segment.reference_frame < segment.end_frame:
                raise LayoutError(f"{here}: expected the reference frame inside, found {segment.reference_frame}")
            ids = [p.person_id for p in segment.people]
            if len(set(ids)) != len(ids) or any(i < 0 for i in ids):
                raise LayoutError(f"{here}: expected different person ids from 0, found {ids}")
            named = [("trigger region", r.box) for r in segment.trigger_regions]
            named += [(f"person {p.person_id}", p.box) for p in segment.people]
            named += [(f"panel of person {p.person_id}", p.panel) for p in segment.people if p.panel is not None]
            for name, box in named:
                self._check_inside(f"{here}, {name}", box)

    def _check_inside(self, what: str, box: Box) -> None:
        x0, y0, x1, y1 = box
        width, height = self.frame_size
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            found = ",".join(f"{v:g}" for v in box)
            raise LayoutError(f"{what}: expected a box inside the frame 0,0,{width},{height}, found {found}")

    def to_json(self) -> str:
        """As written into the root."""
        raw = {"schema": LAYOUT_SCHEMA, **asdict(self)}
        if self.moved is None:
            del raw["moved"]
        if not self.corrected:
            del raw["corrected"]
        return json.dumps(raw, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "layout") -> Layout:
        """Read a layout file.

        Raises:
            LayoutError: not a layout, or written by a newer program.
        """
        try:
            raw = parse_json(text, name)
            if raw["schema"] > LAYOUT_SCHEMA:
                raise LayoutError(f"{name}: expected schema {LAYOUT_SCHEMA}, found {raw['schema']}; update rmset")
            return cls(
                video_id=raw["video_id"],
                frame_size=(_whole(raw["frame_size"][0]), _whole(raw["frame_size"][1])),
                segments=tuple(_segment(s) for s in raw["segments"]),
                moved=raw.get("moved"),
                corrected=int(raw.get("corrected", 0)),
            )
        except LayoutError as error:
            found = str(error) if str(error).startswith(("layout of", name)) else f"{name}: {error}"
            raise LayoutError(found) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            found = str(error) if isinstance(error, UnreadableError) else repr(error)[:200]
            raise LayoutError(f"{name}: not a layout file ({found}); propose or set it again") from error


def _segment(raw: dict[str, Any]) -> Segment:
    return Segment(
        start_frame=_whole(raw["start_frame"]),
        end_frame=_whole(raw["end_frame"]),
        reference_frame=_whole(raw["reference_frame"]),
        trigger_regions=tuple(
            TriggerRegion(_box(r["box"]), r.get("source", "manual"), _number(r.get("confidence", 1.0)))
            for r in raw["trigger_regions"]
        ),
        people=tuple(
            Person(
                _whole(p["person_id"]),
                _box(p["box"]),
                None if p.get("panel") is None else _box(p["panel"]),
                p.get("source", "manual"),
                _number(p.get("confidence", 1.0)),
            )
            for p in raw["people"]
        ),
        reviewed=raw.get("reviewed", False),
        confidence=_number(raw.get("confidence", 1.0)),
    )


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _box(values: list[float]) -> Box:
    x0, y0, x1, y1 = values
    return (_number(x0), _number(y0), _number(x1), _number(y1))


def _number(value: object) -> float:
    """Return a JSON number; text and true are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > _MOST:
        raise ValueError(f"expected a number up to {_MOST}, found {str(value)[:80]!r}")
    return float(value)


def _whole(value: object) -> int:
    number = _number(value)
    if not number.is_integer():
        raise ValueError(f"expected a whole number, found {number}")
    return int(number)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _expect(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise LayoutError(f"layout: expected {what}, found {str(found)[:80]}; set it again")


def _expect_share(value: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    _expect(is_number and 0 <= value <= 1, "a confidence from 0 to 1", value)
