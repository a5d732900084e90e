"""Recall and precision of recognizing copies of videos, on composed mashups and re-uploads of them.

    RMSET_TEST_DATA=… python -m benchmarks.copies --folder /tmp/copies [--side tuning|held-out] [--others N] [--write]

Ten mashups a side, 24 s each, of other people on each side; every one is re-uploaded in ten ways. Several mashups show
the same film at the same time with other people, in two of them over the whole screen behind the people.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import av
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

from benchmarks.report import Line, publish
from rmset.parts.fingerprint import Fingerprint
from rmset.parts.twins import Twin, twin
from rmset.read.fingerprints import fingerprint_of, read_fingerprint, write_fingerprint
from rmset.synth.compose import compose_clips

PEOPLE = {
    "tuning": ("person_d3", "person_d6", "person_d10", "person_webcam"),
    "held-out": ("person_d12", "person_d14", "person_d18", "face_noface"),
}
FILMS = {"street": "film_street_faces", "face": "film_with_face", "cartoon": "film_without_face"}
PLAN: tuple[tuple[str, str, float, tuple[str, ...]], ...] = (
    ("2x2", "street", 0, ()), ("2x2", "street", 0, ()), ("side", "face", 0, ()), ("side", "face", 0, ()),
    ("row", "cartoon", 0, ()), ("row", "cartoon", 0, ()), ("2x2", "cartoon", 2, ()),
    ("side", "street", 0, ("film-full",)), ("side", "street", 0, ("film-full",)), ("bordered", "face", 0, ()),
)  # fmt: skip
"""layout, film, its start in s, edits"""
KINDS = {
    "encoded again, 30 fps, larger": ("fps=30,scale=854:480", 30),
    "cropped by 5 %": ("crop=iw*0.95:ih*0.95:iw*0.02:ih*0.03,scale=640:360", 26),
    "cropped by 15 %": ("crop=iw*0.85:ih*0.85:iw*0.15:ih*0.05,scale=640:360", 26),
    "mirrored": ("hflip", 26),
    "10 % faster": ("setpts=PTS/1.1,fps=25", 26),
    "10 % slower": ("setpts=PTS/0.9,fps=25", 26),
    "240p": ("scale=426:240", 33),
    "logo and banner": (
        "drawbox=iw*0.78:ih*0.04:iw*0.18:ih*0.16:white@0.9:fill,drawbox=0:ih*0.92:iw:ih*0.08:blue:fill", 26,
    ),
    "mirrored, cropped by 10 %, 7 % faster, 240p": (
        "hflip,crop=iw*0.9:ih*0.9:iw*0.05:ih*0.1,setpts=PTS/1.07,scale=426:240,fps=24", 30,
    ),
    "first 5 s cut, cropped, 5 % slower": (
        "trim=start=5,setpts=(PTS-STARTPTS)/0.95,crop=iw:ih*0.86:0:ih*0.07,fps=30", 28,
    ),
}  # fmt: skip
Key = tuple[int, str]
"""mashup, and what was done to it"""


def encode(source: Path, target: Path, filters: str, crf: int, start: float = 0) -> Path:
    """Re-encode a video by FFmpeg."""
    if not target.exists():
        words = [get_ffmpeg_exe(), "-v", "error", "-y", "-threads", "1", "-ss", f"{start:.2f}", "-i", str(source)]
        words += ["-an", "-vf", filters, "-c:v", "libx264", "-crf", str(crf), "-preset", "veryfast", str(target)]
        subprocess.run(words, check=True)
    return target


def mashup(clips: Path, folder: Path, side: str, number: int) -> Path:
    """Compose one mashup: people from random seconds, some mirrored, faster or slower."""
    layout, film, start, edits = PLAN[number]
    target, cast = folder / f"{number}.mp4", folder / f"cast-{number}"
    if target.exists():
        return target
    cast.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([number, side == "held-out"])
    for place, name in enumerate(rng.permutation(PEOPLE[side])):
        source = next(clips.glob(f"{name}.*"))
        with av.open(str(source)) as container:
            seconds = float(container.duration or 0) / 1e6
        begin, flip, speed = rng.uniform(0, seconds * 0.6), bool(rng.integers(2)), rng.uniform(0.85, 1.15)
        filters = f"setpts={1 / speed:.4f}*PTS{',hflip' if flip else ''},fps=25"
        encode(source, cast / f"person_{place}.mp4", filters, 16, begin)
    shown = encode(next(clips.glob(f"{FILMS[film]}.*")), folder / f"{film}-{start:g}.mp4", "fps=25", 16, start)
    seed = int(rng.integers(1000))
    compose_clips(
        target, cast, shown, seconds=24, size=(640, 360), people=3, layout=layout, fps=25, edits=edits, seed=seed
    )
    return target


def fingerprints(clips: Path, folder: Path, side: str) -> dict[Key, Fingerprint]:
    """Make all videos of a side, and their fingerprints."""
    found: dict[Key, Fingerprint] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(PLAN)):
        original = mashup(clips, folder, side, number)
        videos = {"": original}
        for place, (kind, (filters, crf)) in enumerate(KINDS.items()):
            videos[kind] = encode(original, folder / f"{number}-{place}.mp4", filters, crf)
        for kind, path in videos.items():
            kept = path.with_suffix(".parquet")
            if not kept.exists():
                write_fingerprint(kept, fingerprint_of(path, None), "")
            found[number, kind] = read_fingerprint(kept)[0]
    return found


def measured(found: dict[Key, Fingerprint], others: int) -> list[Line]:
    """Compare each original with its copies, and with other mashups and their copies."""
    pairs = [(a, b) for a, b in combinations(sorted(found), 2) if not (a[1] and b[1])]
    own = [(a, b) for a, b in pairs if a[0] == b[0]]
    strange = [(a, b) for a, b in pairs if a[0] != b[0]]
    strange = [strange[n] for n in np.random.default_rng(0).permutation(len(strange))[:others]]
    same = {pair: twin(found[pair[0]], found[pair[1]]) for pair in own}
    other = {pair: twin(found[pair[0]], found[pair[1]]) for pair in strange}
    right, wrong = _copies(same.values()), _copies(other.values())
    lines = [
        Line("recall", f"{right} of {len(own)} copies: {right / len(own):.3f}", "≥ 0.98", right >= 0.98 * len(own)),
        Line(
            "precision",
            f"{right} of {right + wrong}: {right / max(1, right + wrong):.3f}; {wrong} of {len(strange)} other pairs",
            "≥ 0.99", right >= 0.99 * (right + wrong),
        ),
    ]  # fmt: skip
    for kind in KINDS:
        mine = [how for (_, b), how in same.items() if b[1] == kind]
        least = min((how.share for how in mine if how is not None), default=0.0)
        lines.append(Line(f"… {kind}", f"{_copies(mine)} of {len(mine)}; least share of like blocks {least:.2f}"))
    return lines


def _copies(found: Sequence[Twin | None] | object) -> int:
    return sum(how is not None and how.is_copy for how in found)  # type: ignore[attr-defined]


def main() -> None:
    """Measure and print, or write benchmarks/results/copies-<side>.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the videos are made, and kept")
    parser.add_argument("--side", choices=[*PEOPLE], default="held-out")
    parser.add_argument("--others", type=int, default=400, help="pairs of different mashups")
    parser.add_argument("--write", action="store_true", help="write the table into the repository")
    arguments = parser.parse_args()
    clips = Path(os.environ["RMSET_TEST_DATA"]) / "clips"
    found = fingerprints(clips, arguments.folder / arguments.side, arguments.side)
    name = f"copies_{arguments.side.replace('-', '_')}"
    notes = ["`ALIKE` and `AGAINST` of rmset/parts/twins.py were chosen on the side `tuning`"]
    publish(
        name, f"Copies of videos, {arguments.side}", measured(found, arguments.others), notes, write=arguments.write
    )


if __name__ == "__main__":
    main()
