"""Small roots for the tests of shards, SQL and pairs, with true videos and tracks, without a detector."""

import numpy as np
import pyarrow as pa
import simplejpeg

from rmset import schema
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.shards import CropWriter, write_faces
from rmset.parts.tracks import SOURCES
from rmset.records import VideoRecord
from rmset.root import Root
from rmset.synth.encode import Encoder

FPS = 25.0


def face_table(video_id, rows, segment_of=lambda frame: 0):
    """Face rows from (person, frame, box) tuples, by person and frame, as written by tracking."""
    rows = sorted(rows, key=lambda r: (r[0], r[1]))
    n = len(rows)
    person, frame = np.array([r[0] for r in rows], np.int16), np.array([r[1] for r in rows], np.int32)
    box = np.array([r[2] for r in rows], np.float32).reshape(n, 4)
    eyes = [0.3, 0.4, 0.7, 0.4, 0.5, 0.6, 0.35, 0.8, 0.65, 0.8]
    marks = np.tile(np.array(eyes, np.float32), (n, 1))
    side = (box[:, 2:] - box[:, :2]) if n else np.zeros((0, 2), np.float32)
    marks = marks * np.tile(side, (1, 5)) + np.tile(box[:, :2], (1, 5))
    columns = {
        "video_id": pa.array([video_id] * n, pa.string()),
        "person_id": person,
        "part": np.zeros(n, np.int16),
        "segment": np.array([segment_of(f) for f in frame.tolist()], np.int16),
        "frame_idx": frame,
        "time_ms": frame * 1000 / FPS,
        **{name: np.ascontiguousarray(box[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))},
        "score": np.linspace(0.5, 1, n).astype(np.float32),
        "source": pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), list(SOURCES)),
        "iou_ref": np.ones(n, np.float32),
        "landmarks": pa.FixedSizeListArray.from_arrays(pa.array(marks.reshape(-1), pa.float32()), 10),
    }
    return pa.table(columns, schema=schema.faces())


def video_root(path, frames=30, people=3, size=(192, 96), video_id="v-00000001"):
    """A root with one short video, its layout and its tracks, ready for export."""
    from rmset.files import sha256_of

    root = Root(path)
    rng = np.random.default_rng(0)
    still = np.kron(rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    file = root.files.local(f"videos/{video_id}.mp4")
    with Encoder(file, size, FPS) as encoder:
        for frame in range(frames):
            encoder.write(np.ascontiguousarray(np.roll(still, frame, axis=1)))
    record = VideoRecord(
        video_id, *size, FPS, frames, frames / FPS, "h264", sha256_of(file), file.stat().st_size, title="a world"
    )
    root.write_text(root.record_key(video_id), record.to_json())
    width = size[0] // people
    panels = [(float(p * width), 0.0, float((p + 1) * width), float(size[1])) for p in range(people)]
    crowd = tuple(Person(p, (b[0] + 8, 8, b[2] - 8, 80), b, "manual") for p, b in enumerate(panels))
    half = frames // 2
    film = (TriggerRegion((0.0, 88.0, 20.0, 96.0)),)
    root.write_layout(
        Layout(
            video_id, size, (Segment(0, half, 0, film, crowd, True), Segment(half, frames, half, film, crowd, False))
        )
    )
    rows = [
        (p, f, (b[0] + 10 + f % 3, 10.0, b[0] + 50 + f % 3, 62.0)) for p, b in enumerate(panels) for f in range(frames)
    ]
    with root.files.publish(root.tracks_key(video_id)) as target:
        write_faces(target, face_table(video_id, rows, lambda f: int(f >= half)))
    return root


def picture(number, side=16):
    """A small JPEG that differs from number to number."""
    image = np.full((side, side, 3), number % 256, np.uint8)
    image[: side // 2, : side // 2] = (number // 256) % 256
    return simplejpeg.encode_jpeg(image, quality=90, colorspace="RGB")


def crop_row(video_id, person, frame, *, segment=0, time_ms=None, data=None, **quality):
    """One crop as the export would write it."""
    return {
        "video_id": video_id,
        "person_id": person,
        "segment": segment,
        "frame_idx": frame,
        "time_ms": frame * 1000 / FPS if time_ms is None else time_ms,
        "width": 16,
        "height": 16,
        "image": {"bytes": picture(person * 1000 + frame) if data is None else data, "path": f"{person}-{frame}.jpg"},
        "sharpness": 10.0,
        "brightness": 0.5,
        "yaw": 0.0,
        "padding": 0.0,
    } | quality


def write_crops(root, rows, rows_per_part=1 << 30):
    """Shards of crops, by video, frame and person, and the face rows that belong to them."""
    for video_id in sorted({r["video_id"] for r in rows}):
        mine = sorted((r for r in rows if r["video_id"] == video_id), key=lambda r: (r["frame_idx"], r["person_id"]))
        with root.files.publish_folder(root.crops_key(video_id)) as folder, CropWriter(folder, rows_per_part) as writer:
            for row in mine:
                writer.add(row)
        segments = {r["frame_idx"]: r["segment"] for r in mine}
        faces = [(r["person_id"], r["frame_idx"], (0, 0, 10, 13)) for r in mine]
        with root.files.publish(root.tracks_key(video_id)) as target:
            write_faces(target, face_table(video_id, faces, segments.__getitem__))
    return root


def crop_root(path, people=3, frames=40, rows_per_part=1 << 30, videos=("a", "b")):
    """A root with crops and face rows of all people in every frame, and nothing else."""
    rows = [crop_row(v, p, f) for v in videos for p in range(people) for f in range(frames)]
    return write_crops(Root(path), rows, rows_per_part)


def files_of(root):
    """Every file of a root but the ledger and its index, with its bytes."""
    found = (p for p in root.path.rglob("*") if p.is_file() and "state" not in p.relative_to(root.path).parts)
    return {p.relative_to(root.path).as_posix(): p.read_bytes() for p in found}
