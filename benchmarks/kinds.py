"""Ten kinds of realistically edited mashups, each composed four times: for tuning, for checks, and for two final tests.

The four parts share no cuts, seeds or generated people, and each kind differs between them in layout, film, number of
people or edits. The seven clips of people are split once. Scores of `held-out` were read while the program changed;
`unseen` and `fresh` are each for one measurement after all changes before it.

    python -m benchmarks.kinds --half tuning [NAME ...]      scores of one part
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.mashups import cache_folder, clips_folder
from rmset.inspect.evaluate import video as evaluate
from rmset.parts.detect import load
from rmset.parts.identity import resolve
from rmset.pipeline import run_stages
from rmset.root import Root
from rmset.stages import audit, fetch, layout, track
from rmset.synth.acts import AnySize
from rmset.synth.clips import ClipSource, find_clips
from rmset.synth.edits import edited, extra_people
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.identity import cast
from rmset.synth.layouts import make_layout
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson, PanelSource
from rmset.synth.scene import FILM, scene_of
from rmset.synth.script import write_script
from rmset.synth.stage import compose_scene
from rmset.truth import Truth

SIZE, SECONDS, FPS = (960, 540), 11.0, 30.0
_HELD_OUT = ("d12", "d14", "d18", "webcam")
PEOPLE = {"tuning": ("d3", "d6", "d10"), "held-out": _HELD_OUT, "unseen": _HELD_OUT, "fresh": _HELD_OUT}


@dataclass(frozen=True)
class Kind:
    """One kind of edited mashup."""

    name: str
    layout: str
    people: int
    film: str
    edits: tuple[str, ...]
    seconds: float = SECONDS
    size: tuple[int, int] = SIZE
    """(width, height), px"""
    cover: bool = True
    """whether clips fill their panels and lose the overhang; else they are shown whole between black bars"""


KINDS: tuple[Kind, ...] = (
    Kind("rounded-row", "row", 6, "film_street_faces", ("rounded", "duo", "captions", "film-cuts")),
    Kind("grid-jumps", "3x3", 8, "generated", ("punch-ins", "jump-cuts", "leave", "film-cuts")),
    Kind("vertical", "3x3", 5, "film_with_face", ("vertical", "film-cuts")),
    Kind("own-blur", "2x3", 5, "generated", ("own-blur", "borders", "countdown", "film-cuts")),
    Kind("corner", "inset", 1, "film_street_faces", ("film-full", "film-cuts")),
    Kind("film-full", "3x3", 7, "generated", ("film-full", "film-cuts")),
    Kind("title-fade", "3x3", 8, "film_with_face", ("title", "fade", "moment", "end-card", "film-cuts"), 16.0),
    Kind("moment", "2x3", 5, "film_street_faces", ("moment", "film-cuts")),
    Kind("places", "2x3", 5, "generated", ("swap", "replace", "film-cuts")),
    Kind("end-card", "3x3", 8, "film_with_face", ("end-card", "film-cuts")),
)
"""in the order of the issue that asked for them"""

HELD_OUT: tuple[Kind, ...] = (
    Kind("rounded-row", "bordered", 5, "film_with_face", ("rounded", "duo", "captions", "stickers", "film-cuts")),
    Kind("grid-jumps", "2x3", 5, "film_with_face", ("punch-ins", "jump-cuts", "leave", "film-cuts", "low-bitrate")),
    Kind("vertical", "3x3", 6, "film_without_face", ("square", "film-cuts")),
    Kind("own-blur", "3x3", 6, "film_with_face", ("own-blur", "borders", "countdown", "film-cuts")),
    Kind("corner", "inset", 1, "film_with_face", ("film-full", "film-cuts", "captions")),
    Kind("film-full", "3x3", 5, "film_street_faces", ("film-full", "film-cuts")),
    Kind("title-fade", "2x3", 5, "film_without_face", ("title", "fade", "moment", "end-card", "film-cuts"), 16.0),
    Kind("moment", "3x3", 7, "generated", ("moment", "film-cuts")),
    Kind("places", "3x3", 7, "film_with_face", ("swap", "replace", "film-cuts")),
    Kind("end-card", "2x3", 5, "film_street_faces", ("end-card", "film-cuts")),
)
"""the same kinds, cut another way"""

UNSEEN: tuple[Kind, ...] = (
    Kind("rounded-row", "row", 5, "noface_face", ("rounded", "captions", "countdown", "film-cuts")),
    Kind("grid-jumps", "3x3", 7, "face_noface", ("punch-ins", "jump-cuts", "leave", "film-cuts", "borders")),
    Kind("vertical", "2x3", 4, "noface_face", ("vertical", "stickers", "film-cuts")),
    Kind("own-blur", "2x3", 4, "face_noface", ("own-blur", "borders", "captions", "film-cuts")),
    Kind("corner", "inset", 1, "noface_face", ("film-full", "film-cuts", "countdown")),
    Kind("film-full", "3x3", 6, "noface_face", ("film-full", "film-cuts", "captions")),
    Kind("title-fade", "3x3", 6, "generated", ("title", "fade", "moment", "end-card", "film-cuts"), 16.0),
    Kind("moment", "side", 4, "face_noface", ("moment", "film-cuts")),
    Kind("places", "bordered", 5, "noface_face", ("swap", "replace", "film-cuts")),
    Kind("end-card", "2x3", 4, "generated", ("end-card", "film-cuts")),
)
"""once more, with films that the others have not; measured once, then *rounded-row* was looked at"""

FRESH: tuple[Kind, ...] = (
    Kind("rounded-row", "row", 4, "face_noface", ("rounded", "stickers", "countdown", "film-cuts")),
    Kind("grid-jumps", "bordered", 6, "noface_face", ("punch-ins", "jump-cuts", "leave", "film-cuts", "captions")),
    Kind("vertical", "2x2", 3, "face_noface", ("vertical", "captions", "film-cuts")),
    Kind("own-blur", "side", 5, "noface_face", ("own-blur", "borders", "countdown", "film-cuts")),
    Kind("corner", "inset", 1, "generated", ("film-full", "film-cuts", "stickers")),
    Kind("film-full", "2x3", 5, "face_noface", ("film-full", "film-cuts", "countdown")),
    Kind("title-fade", "bordered", 5, "noface_face", ("title", "fade", "moment", "end-card", "film-cuts"), 16.0),
    Kind("moment", "3x3", 8, "noface_face", ("moment", "film-cuts", "captions")),
    Kind("places", "side", 6, "face_noface", ("swap", "replace", "film-cuts")),
    Kind("end-card", "3x3", 6, "noface_face", ("end-card", "film-cuts", "stickers")),
)
"""once more, composed before the changes that followed from that look; measured once after them"""
PARTS = {"tuning": KINDS, "held-out": HELD_OUT, "unseen": UNSEEN, "fresh": FRESH}


def compose(kind: Kind, half: str, cache: Path, *, turn: int = 0) -> Path:
    """Return the video of a kind, composed unless it is in the cache, with its truth beside it."""
    name = f"kind-{half}-{kind.name}" + (f"-{turn}" if turn else "")
    output = cache / f"{name}.mp4"
    if output.exists() and output.with_name(f"{name}.truth.json").exists():
        return output
    seed = sum(f"{kind.name}/{half}/{turn}".encode()) * 7919 % 100_003
    frames = round(kind.seconds * FPS)
    screen = make_layout(kind.layout, kind.people, kind.size)
    scene = edited(scene_of(screen, frames, FPS), kind.edits, seed)
    count = kind.people + extra_people(kind.edits)
    story, moves, cuts = np.random.default_rng(seed).spawn(3)
    longest = frames + max(scene.ahead(c) for c in (*scene.people, FILM))
    script = write_script(story, count, longest, FPS)
    files = [p for p in find_clips(clips_folder()) if p.stem.removeprefix("person_") in PEOPLE[half]]
    # Real people first in the places that change; the rest are generated, others in each half.
    order = np.random.default_rng(seed).permutation(len(files))
    detector = load("mtcnn")
    people: dict[int, PanelSource] = {}
    real = list(np.random.default_rng(seed + 1).permutation(count)[: len(files)])
    for number, identity in enumerate(cast("mashup", count, seed)):
        if number in real:
            clip = files[order[real.index(number)]]
            people[number] = _clip(clip, frames + scene.ahead(number), cache, detector, cover=kind.cover)
        else:
            people[number] = GeneratedPerson(Person(identity), number, script, draw_motion(moves), FPS)
    film: PanelSource = GeneratedFilm(cut_film(cuts, longest, FPS), seed)
    if kind.film != "generated":
        film = _clip(next(clips_folder().glob(f"{kind.film}.*")), longest, cache, None)
    compose_scene(output, scene, people, film)
    return output


def _clip(path: Path, frames: int, cache: Path, detector: object, *, cover: bool = True) -> AnySize:
    detect = (lambda image: detector.detect(image, 40).boxes) if detector is not None else None  # type: ignore[attr-defined]
    return AnySize(lambda size: ClipSource(path, size, frames, FPS, cover=cover, detect=detect, cache=cache / "boxes"))


@dataclass(frozen=True)
class Row:
    """Scores of one video."""

    name: str
    half: str
    recall: float
    precision: float
    idf1: float
    switches: int
    trigger_iou: float
    panels_masked: int
    people_missed: int
    confidence: float
    """the least of the layout's and the audit's"""
    said: str
    """the audit's worst answer, if one is bad"""
    mended: float
    """IDF1 after the audit's corrections and tracking again, as `rmset build` does; as before where there are none"""
    mended_confidence: float
    layout_s: float
    track_s: float
    audit_s: float


def measure(kind: Kind, half: str, video: Path) -> Row:
    """Lay out, track and audit one video, and compare with its truth."""
    truth = Truth.read(video.with_name(f"{video.stem}.truth.json"))
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        video_id = fetch.add(root, video).video_id
        began = time.perf_counter()
        layout.propose(root, video_id, layout.ProposeConfig())
        laid = time.perf_counter() - began
        began = time.perf_counter()
        track.run(root, video_id, track.TrackConfig())
        tracked = time.perf_counter() - began
        began = time.perf_counter()
        said = audit.run(root, video_id, audit.AuditConfig(embedder=resolve("auto")))
        audited = time.perf_counter() - began
        scores = evaluate(root, video_id, truth).row
        sure = root.confidence(video_id) or 0.0
        mended, mended_sure = _mended(root, video_id, truth) or (float(scores["idf1"]), sure)
    return Row(
        kind.name, half, *(round(float(scores[k]), 4) for k in ("recall", "precision", "idf1")),
        int(scores["id_switches"]), round(float(scores["trigger_iou"]), 4), int(scores["panels_masked"]),
        int(scores["people_missed"]), round(sure, 3), str(said.get("worst", "")),
        round(mended, 4), round(mended_sure, 3), round(laid, 1), round(tracked, 1),
        round(audited, 1),
    )  # fmt: skip


def _mended(root: Root, video_id: str, truth: Truth) -> tuple[float, float] | None:
    """Return IDF1 and confidence after the audit's corrections, as `rmset build` makes them; None if it has none."""
    found = root.audit(video_id)
    if found is None or not found.renames:
        return None
    steps = [("track", track.TrackConfig()), ("audit", audit.AuditConfig(embedder=resolve("auto")))]
    failed = [o.error for o in run_stages(root, video_id, steps) if o.status == "failed"]
    if failed:
        raise RuntimeError(f"{video_id}: {failed[0]}")
    return float(evaluate(root, video_id, truth).row["idf1"]), root.confidence(video_id) or 0.0


def main() -> None:
    """Compose missing videos, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--half", choices=[*PARTS, "all"], default="tuning")
    parser.add_argument("--compose-only", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    halves = list(PARTS) if options.half == "all" else [options.half]
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    rows = []
    for half in halves:
        for kind in PARTS[half]:
            if options.names and kind.name not in options.names:
                continue
            video = compose(kind, half, cache)
            if options.compose_only:
                print(video, flush=True)
                continue
            rows.append(measure(kind, half, video))
            print(" ".join(f"{k}={v}" for k, v in asdict(rows[-1]).items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
