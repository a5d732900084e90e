"""Faults of a video, and corrections that players apply, in words."""

from __future__ import annotations

from fractions import Fraction

from rmset.parts.display import Size
from rmset.parts.seen import Seen
from rmset.parts.times import Times

# Longest plausible last frame, seconds and share of the video: a video that ends earlier is truncated.
_HELD_S, _HELD = 2.0, 0.02


def cut_short(seen: Seen, times: Times, promised: int, length: float, late: float) -> str | None:
    if len(seen.pts) < promised:
        return f"cut short: {len(seen.pts)} of {promised} frames are in the file"
    end = float(times.ms[-1]) / 1000 + late
    if length - end > max(_HELD_S, _HELD * length):
        return f"cut short: {end:.1f} of {length:.1f} s are in the file"
    return None


def fault_of(seen: Seen, times: Times) -> str | None:
    count = len(seen.packet)
    if seen.stopped:
        return f"reading stops after frame {count - 1}: {seen.stopped}"
    if errors := [(frame, why) for frame, _, why in seen.errors if frame]:
        (frame, why), more = errors[0], len(errors) - 1
        return f"a packet near frame {frame} does not decode: {why}" + (f" ({more} more behind it)" if more else "")
    if seen.damaged:
        frame = seen.damaged[0]
        at = times.ms[frame] / 1000
        return f"{len(seen.damaged)} of {count} frames are damaged, the first is {frame} at {at:.2f} s"
    if seen.broken:
        frame = sum(packet < seen.broken[0] for packet in seen.packet)
        return f"bytes are missing at {len(seen.broken)} packets, the first near frame {frame}"
    if len(seen.turns) > 1:
        return f"from frame {seen.turns[1][0]} on the picture is to be turned otherwise; it is shown as at first"
    return None


def _places(changes: list[tuple[int, Size]]) -> str:
    more = len(changes) - 2
    return f"frame {changes[1][0]}" + (f" and {more} later ones" if more else "")


def notes_of(seen: Seen, times: Times, shape: Fraction | None, stored: Size) -> dict[str, str]:
    """Return the corrections that players apply and plain readers do not."""
    notes: dict[str, str] = {}
    first, turn = seen.sizes[0][1], seen.turns[0][1]
    if seen.lost:
        notes["lost"] = f"{seen.lost} packets at the beginning depend on pictures that are not in the file; not counted"
    if seen.hidden:
        notes["hidden"] = f"{len(seen.hidden)} packets are hidden by an edit list"
    if stored != first:
        notes["squared"] = f"pixels of {shape} made square: {first[0]}x{first[1]} is shown as {stored[0]}x{stored[1]}"
    elif shape and shape != 1:
        notes["squared"] = f"pixels of {shape} cannot be meant; taken as square"
    if len(seen.sizes) > 1:
        width, height = seen.sizes[1][1]
        notes["sizes"] = (
            f"the size changes at {_places(seen.sizes)}, there from {first[0]}x{first[1]} to {width}x{height}; "
            "all pictures are scaled to the first size"
        )
    if turn.is_mirror:
        notes["mirrored"] = "mirrored as the file asks"
    elif not turn.is_none:
        notes["turned"] = "turned as the file asks"
    if times.continued:
        frame = times.continued[0]
        more = f" and {len(times.continued) - 1} later ones" if len(times.continued) > 1 else ""
        notes["restarted"] = f"time starts anew at frame {frame}{more}; it is continued there"
    if times.source != "pts":
        notes["timed"] = "frames do not say, in order, when they are shown; taken from when they are decoded"
    if seen.untagged:
        notes["color"] = "color is not tagged; taken as BT.709 by its size"
    return notes
