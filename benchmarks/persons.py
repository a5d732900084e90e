"""False and missed links between tracks, by dlib's embeddings.

    RMSET_TEST_DATA=… python -m benchmarks.persons [--keep FILE.npz] [--write]

Tracks are three parts of each clip, plain, mirrored, recolored, and at a width of 200 px, with eight faces each. Four
people chose the threshold (`tuning`), four were looked at once (`held out`). Single pictures of FERPlus give pairs of
many more people; some of them are one person, or one photograph, twice.
"""

from __future__ import annotations

import argparse
import os
import zipfile
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from scipy.stats import beta

from benchmarks.report import Line, publish
from rmset.geometry import as_boxes
from rmset.parts.detect import load
from rmset.parts.frames import Image, VideoReader
from rmset.parts.identity.dlib import DlibEmbedder
from rmset.people.cluster import apart
from rmset.people.linking import thresholds

TUNING = ("person_d3", "person_d6", "person_d10", "person_webcam")
HELD_OUT = ("person_d12", "person_d14", "person_d18", "film_with_face")
# face_noface shows the man of person_webcam.
AGAIN = {"face_noface": "person_webcam"}
PARTS, FACES, PICTURES = 3, 8, 1500
# Where the face lies in FERPlus's pictures at 192 px.
_FACE = [[24.0, 8.0, 168.0, 190.0]]
_SAME_PHOTOGRAPH = 0.9

Array = npt.NDArray


def edited(image: Image, how: str) -> Image:
    """Return a picture as another mashup might show it."""
    if how == "mirrored":
        return np.ascontiguousarray(image[:, ::-1])
    if how == "recolored":
        color = image.astype(np.float32) * np.array([1.15, 0.95, 0.75], np.float32) + np.array([8, 0, -8], np.float32)
        return np.asarray(255 * (np.clip(color, 0, 255) / 255) ** 1.2, np.uint8)
    if how == "small":
        scale = 200 / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=60)
        return np.asarray(simplejpeg.decode_jpeg(data), np.uint8)
    return image


def tracks_of(clips: Path) -> dict[str, Array]:
    """Return the embeddings of each track, by `person/part/edit`."""
    detector, embedder = load("mtcnn"), DlibEmbedder()
    found: dict[str, list[Array]] = {}
    for name in (*TUNING, *HELD_OUT, *AGAIN):
        with VideoReader(next(clips.glob(f"{name}.*"))) as reader:
            total = len(reader.index.time_ms)
            for part in range(PARTS):
                low, high = total * part // PARTS, total * (part + 1) // PARTS - 1
                frames = sorted({int(v) for v in np.linspace(low, high, FACES)})
                for frame in reader.sample(frames):
                    for how in ("plain", "mirrored", "recolored", "small"):
                        image = edited(frame.rgb, how)
                        boxes = detector.detect(image).boxes
                        if len(boxes):
                            largest = np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
                            vector = embedder.embed(image, as_boxes(boxes[[largest], :4]))[0]
                            found.setdefault(f"{name}/{part}/{how}", []).append(vector)
    return {track: np.stack(vectors) for track, vectors in found.items() if len(vectors) >= 3}


def pictures_of(archive: Path) -> tuple[Array, Array]:
    """Return embeddings (N, 128) and blurred pixels (N, 2304), of length 1, of some pictures."""
    embedder, vectors, pixels = DlibEmbedder(), [], []
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".png"))
        for place in np.random.default_rng(0).permutation(len(names))[:PICTURES]:
            gray = cv2.imdecode(np.frombuffer(file.read(names[place]), np.uint8), cv2.IMREAD_GRAYSCALE)
            large = cv2.resize(gray, (192, 192), interpolation=cv2.INTER_CUBIC)
            image = np.ascontiguousarray(np.repeat(large[..., None], 3, axis=2))
            vectors.append(embedder.embed(image, as_boxes(np.array(_FACE)))[0])
            blurred = cv2.GaussianBlur(gray, (0, 0), 1.5).astype(np.float32).ravel()
            pixels.append(blurred - blurred.mean())
    flat = np.stack(pixels)
    return np.stack(vectors), flat / np.linalg.norm(flat, axis=1, keepdims=True)


def rate(false: int, pairs: int) -> str:
    """Return false links in a million pairs, with the interval of Clopper and Pearson."""
    low = float(beta.ppf(0.025, false, pairs - false + 1)) if false else 0.0
    high = float(beta.ppf(0.975, false + 1, pairs - false))
    return f"{false:,} of {pairs:,} pairs: {1e6 * false / pairs:,.0f} in 10⁶ [{1e6 * low:,.0f}, {1e6 * high:,.0f}]"


def side_lines(tracks: dict[str, Array], people: tuple[str, ...], name: str, limit: float) -> list[Line]:
    """Measure the pairs of tracks of some people."""
    mine = {track: vectors for track, vectors in tracks.items() if _person(track) in people}
    same, other = [], []
    for one, two in combinations(mine, 2):
        distance = apart(mine[one], mine[two])
        if _person(one) != _person(two):
            other.append(distance)
        elif one.rpartition("/")[0] != two.rpartition("/")[0]:
            same.append(distance)
    linked = float(np.mean(np.array(same) < limit))
    return [
        Line(f"tracks of {len(people)} people, {name}: false links", rate(sum(d < limit for d in other), len(other))),
        Line("… nearest different people", f"{min(other):.3f}"),
        Line("… one person's tracks of other seconds linked", f"{linked:.0%} of {len(same)}; farthest {max(same):.3f}"),
    ]


def _person(track: str) -> str:
    clip = track.split("/")[0]
    return AGAIN.get(clip, clip)


def main() -> None:
    """Measure and print, or write benchmarks/results/persons.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="file of embeddings, made if it is not there; biometric data")
    parser.add_argument("--write", action="store_true", help="write the table into the repository")
    arguments = parser.parse_args()
    data = Path(os.environ["RMSET_TEST_DATA"])
    if arguments.keep is not None and arguments.keep.exists():
        kept = dict(np.load(arguments.keep))
        vectors, pixels = kept.pop("vectors"), kept.pop("pixels")
        tracks = kept
    else:
        tracks = tracks_of(data / "clips")
        vectors, pixels = pictures_of(data / "ferplus" / "images.zip")
        if arguments.keep is not None:
            np.savez(arguments.keep, vectors=vectors, pixels=pixels, **tracks)
    limit, suggest = thresholds(DlibEmbedder())
    lines = [Line("linked below, suggested below", f"{limit:.4f}, {suggest:.3f}")]
    for people, name in ((TUNING, "tuning"), (HELD_OUT, "held out"), ((*TUNING, *HELD_OUT), "both sides")):
        lines += side_lines(tracks, people, name, limit)
    one, two = np.triu_indices(len(vectors), 1)
    square = (vectors.astype(np.float64) ** 2).sum(axis=1)
    table = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * vectors.astype(np.float64) @ vectors.T, 0))
    distance, alike = table[one, two], (pixels @ pixels.T)[one, two] > _SAME_PHOTOGRAPH
    close = distance[~alike]
    lines.append(Line("single FERPlus pictures, 48 px: links", rate(int((close < limit).sum()), len(close))))
    lines += [Line(f"… at {tried:.2f}", rate(int((close < tried).sum()), len(close))) for tried in (0.3, 0.35, 0.45)]
    notes = [
        f"{int(alike.sum()):,} pairs of FERPlus pictures are left out as one photograph (correlation above 0.9)",
        "linked FERPlus pictures bound false links from above: part of them are one person, most of the others infants",
        "pairs of tracks share people, so the intervals are too narrow",
    ]
    publish("persons", "Links between tracks", lines, notes, write=arguments.write)


if __name__ == "__main__":
    main()
