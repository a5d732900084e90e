"""Faces of any target, predicted: pictures, videos whose people are followed, folders of both, roots.

pictures                 detector -> crops
videos                   rmset's tracker follows everyone (`rmset.parts.roam`) -> crops, with a number per person
roots                    their own tracks and crops
-> probabilities, in batches -> averaged over each person's neighboring frames, if asked
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from rmset.errors import RmsetError, UsageError, VideoError
from rmset.geometry import Box
from rmset.parts.cropping import cut
from rmset.parts.detect import load as load_detector
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import VideoReader, ahead
from rmset.parts.pixels import pixels_of
from rmset.parts.probe import VIDEO_SUFFIXES, probe
from rmset.parts.roam import RoamConfig, Roamer
from rmset.parts.shards import keys_of, packed_keys, read_faces
from rmset.progress import Progress, silent
from rmset.root import Root

from ..errors import DatasetError
from ..transforms.input_spec import InputSpec
from ..unlabeled.crops import CropDataset, open_crops
from .calibration import tempered
from .features import OpenedRun, extract, on_root
from .predict import Found, Frame, Prediction, crop_widening, faces_of, files_in, picture, predicted
from .smooth import smoothed

_NOTHING = np.empty((0, 0, 3), np.uint8)
Tell = Callable[[RmsetError], None]


@dataclass(frozen=True)
class FaceConfig:
    """How faces are found and predicted."""

    detect: bool = True
    """Find faces; False uses each picture whole."""
    detector: str = "mtcnn"
    """`mtcnn` or `yunet`."""
    min_face: float = 40
    """Smallest face to look for, px."""
    widen: float | None = None
    """Margin of a crop, as a share of the face's width; None: as in the run's training data, else 0.31."""
    stride: int = 1
    """Every how many frames of a video."""
    follow: bool = True
    """Follow the people of videos; needs `mtcnn`. Otherwise every frame is searched by itself."""
    smooth_s: float = 0.0
    """Seconds over which a person's probabilities are averaged; 0 for none."""
    temperature: float = 1.0
    """Probabilities are softmax(logits / temperature)."""

    def __post_init__(self) -> None:
        if self.stride < 1 or self.min_face <= 0 or (self.widen is not None and self.widen < 0) or self.smooth_s < 0:
            raise UsageError(
                "expected `stride` 1 or more, `min_face` above 0, `widen` and `smooth` 0 or more, found "
                f"{self.stride}, {self.min_face}, {self.widen} and {self.smooth_s}"
            )
        if self.smooth_s and not self.follows:
            raise UsageError(
                "expected people that are followed for `smooth`, found single faces; it needs detection by mtcnn, and "
                "following"
            )

    @property
    def follows(self) -> bool:
        """Whether people of videos are followed."""
        return self.follow and self.detect and self.detector == "mtcnn"


def is_root(target: Path) -> bool:
    """Whether a folder is a data set: it holds records of videos, or crops."""
    return target.is_dir() and any(any(target.glob(p)) for p in ("videos/*.json", "crops/*/part-*.parquet"))


def predict_faces(
    run: OpenedRun, target: Path, config: FaceConfig, *, progress: Progress = silent, tell: Tell
) -> Iterator[Prediction]:
    """Yield every face of a target, file by file, frame by frame.

    Args:
        run: the run.
        target: a picture, a video, a folder of both, or a root with crops.
        config: how faces are found and predicted.
        progress: progress callback.
        tell: callback for errors of single files of a folder, and for videos that end early.

    Raises:
        UsageError: there is nothing at `target`.
        DatasetError: it is one file, and not an image.
        VideoError: it is one file, and not a video.
        RootError: it is a root without crops.
    """
    if is_root(target):
        yield from _of_root(run, Root(target), config, progress)
        return
    found = found_in(run.spec, target, config, progress, tell)
    every = predicted(run.model, run.spec, found, temperature=config.temperature)
    if not config.smooth_s:
        yield from every
        return
    for _, of_file in groupby(every, key=lambda p: p.frame.file):
        yield from smoothed(list(of_file), config.smooth_s)


def found_in(spec: InputSpec, target: Path, config: FaceConfig, progress: Progress, tell: Tell) -> Iterator[Found]:
    """Yield the faces of pictures and videos, before they are predicted; see `predict_faces`."""
    widen = crop_widening(spec, config.widen)
    files, alone = files_in(target), target.is_file()
    # loaded when the first file needs it
    detector, nets = None, None
    for done, file in enumerate(files, start=1):
        try:
            is_film = file.suffix.lower() in VIDEO_SUFFIXES
            if is_film and config.follows:
                nets = nets or Nets("auto")
                yield from followed(file, spec, nets, config, widen, progress if alone else silent, tell)
            else:
                frames = (
                    _frames(file, config.stride, progress if alone else silent, tell) if is_film else [picture(file)]
                )
                for frame in frames:
                    detector = detector or (load_detector(config.detector) if config.detect else None)
                    yield from faces_of(frame, spec, detector, config.min_face, widen)
        except (DatasetError, VideoError) as error:
            if alone:
                raise
            tell(error)
        if not alone:
            progress("predict", done, len(files))


def followed(
    file: Path, spec: InputSpec, nets: Nets, config: FaceConfig, widen: float, progress: Progress, tell: Tell
) -> Iterator[Found]:
    """Yield everyone's faces in a video, with a number per person."""
    seen = probe(file)
    pace = max(1, round(seen.fps / config.stride))
    whole: Box = (0.0, 0.0, float(seen.width), float(seen.height))
    roamer = Roamer(nets, (seen.width, seen.height), RoamConfig(pace, min_face=config.min_face))
    with VideoReader(file, index=seen.index) as reader:
        for frame in ahead(reader.frames(stride=config.stride)):
            now = roamer.step(pixels_of(frame))
            light = Frame(str(file), frame.frame_idx, frame.time_ms, _NOTHING)
            for k, person in enumerate(now.people.tolist()):
                x0, y0, x1, y1 = now.faces.boxes[k].tolist()
                box: Box = (x0, y0, x1, y1)
                crop = cut(frame.rgb, box, whole, spec.size, widen).image
                yield Found(light, k, box, float(now.faces.scores[k]), crop, person)
            progress("predict", frame.frame_idx + 1, seen.frame_count)
    _report(file, reader.fault or seen.fault, tell)


def _frames(file: Path, stride: int, progress: Progress, tell: Tell) -> Iterator[Frame]:
    """Yield every `stride`-th frame with its pixels."""
    seen = probe(file)
    with VideoReader(file, index=seen.index) as reader:
        for frame in reader.frames(stride=stride):
            yield Frame(str(file), frame.frame_idx, frame.time_ms, frame.rgb)
            progress("predict", frame.frame_idx + 1, seen.frame_count)
    _report(file, reader.fault or seen.fault, tell)


def _report(file: Path, fault: str | None, tell: Tell) -> None:
    if fault:
        tell(VideoError(f"{file}: {fault}; the frames up to there are used"))


def _of_root(run: OpenedRun, root: Root, config: FaceConfig, progress: Progress) -> Iterator[Prediction]:
    """Yield the crops of a root with the boxes of its tracks, video by video, frame by frame."""
    crops = open_crops(root)
    images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
    keys = crops.keys
    for number, video_id in enumerate(keys.video_ids):
        rows = keys.rows_of(number)
        rows = rows[np.lexsort((keys.person[rows], keys.frame[rows]))]
        rows = rows[keys.frame[rows] % config.stride == 0] if config.stride > 1 else rows
        found = extract(run.model, run.projection, images, spec, rows.tolist(), progress=progress)
        probabilities = tempered(found.probabilities.double().numpy(), config.temperature)
        boxes, scores = _boxes(root, video_id, keys.person[rows], keys.frame[rows])
        of_video, before, face = [], -1, 0
        for k, row in enumerate(rows.tolist()):
            frame, person = int(keys.frame[row]), int(keys.person[row])
            face = face + 1 if frame == before else 0
            before = frame
            place = Frame(video_id, frame, float(keys.time_ms[row]), _NOTHING)
            shares = tuple(float(v) for v in probabilities[k])
            of_video.append(Prediction(place, face, boxes[k], scores[k], shares, person))
        yield from smoothed(of_video, config.smooth_s) if config.smooth_s else of_video


def _boxes(root: Root, video_id: str, person: np.ndarray, frame: np.ndarray) -> tuple[list[Box], list[float]]:
    """Box and score of each face; a face without a row in the tracks is a damaged root.

    Raises:
        DatasetError: a crop has no face row.
    """
    columns = ["person_id", "frame_idx", "x0", "y0", "x1", "y1", "score"]
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        raise DatasetError(f"expected tracks of {video_id} in {root.place}, found none; run `rmset track {video_id}`")
    faces = read_faces(root.files.local(key), columns)
    known = keys_of(faces)
    order = np.argsort(known, kind="stable")
    wanted = packed_keys(person, frame)
    at = np.minimum(np.searchsorted(known[order], wanted), max(0, len(known) - 1))
    if not len(known) or not np.array_equal(known[order][at], wanted):
        raise DatasetError(
            f"expected a face row for each crop of {video_id} in {root.place}, found crops without; run "
            f"`rmset export {video_id}`"
        )
    values = np.stack([faces[name].to_numpy()[order][at] for name in columns[2:]], axis=1).tolist()
    return [(v[0], v[1], v[2], v[3]) for v in values], [v[4] for v in values]
