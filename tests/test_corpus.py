"""Unusual videos: each is read correctly (by FFmpeg and by the numbers in its pictures), refused, or flagged.

`python tests/test_corpus.py` prints the outcome of each.
"""

import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from rmset.errors import VideoError
from rmset.inspect.verify import verify
from rmset.layout_record import Layout, Person, Segment
from rmset.parts import cropping
from rmset.parts.pictures import decode
from rmset.parts.shards import batches, read_faces
from rmset.parts.survey import survey
from rmset.pipeline import run_stage
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.export import ExportConfig
from rmset.stages.layout import sampling
from rmset.stages.track import TrackConfig

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
from corpus.cases import CASES, STEP
from corpus.kitchen import referee
from corpus.picture import BOX, SIZE, number_in

pytest.importorskip("imageio_ffmpeg", reason="needs FFmpeg: install the extra dev")


# Damage lies behind the first key frame's group; what a decoder invents for it is not the same every time.
WHOLE = 12


def seen_in(frames, size, whole):
    """Frame -> time, number in the picture, and a hash of its pixels; for damaged frames only the time."""
    return {
        f.frame_idx: (f.time_ms, *((number_in(f.rgb, size), zlib.crc32(f.rgb)) if f.frame_idx < whole else ()))
        for f in frames
    }


def check_readers(root, record):
    """Check that all readers and strides give the same picture and time for a frame; return numbers and times."""
    size, count = record.frame_size, record.frame_count
    whole = count if record.fault is None else WHOLE
    with reader_of(root, record.video_id) as reader:
        every = seen_in(reader.frames(), size, whole)
        numbers = [number_in(f.rgb, size) for f in reader.frames()]
        assert list(every) == list(range(count))
        for stride, start in ((3, 0), (7, 0), (7, 2)):
            assert seen_in(reader.frames(start=start, stride=stride), size, whole) == {
                n: every[n] for n in range(start, count, stride)
            }
        for wanted in (
            sampling.plan(count, record.fps, reader.index.keys),
            range(1, count, 9),
            [*reader.index.keys],
            range(count),
        ):
            assert seen_in(reader.sample(list(wanted)), size, whole) == {n: every[n] for n in wanted}
    times = [time for time, *_ in every.values()]
    assert times[0] == 0
    assert (np.diff(times) >= 0).all()
    return numbers, times


def check_stages(root, record, numbers):
    """Check that rows have the times of their frames, and that each crop shows the number of its frame."""
    width, height = record.frame_size
    sx, sy = width / SIZE[0], height / SIZE[1]
    box = (BOX[0] * sx, BOX[1] * sy, BOX[2] * sx, BOX[3] * sy)
    person = Person(0, box, (0.0, 0.0, float(width), float(height)))
    root.write_layout(
        Layout(record.video_id, record.frame_size, (Segment(0, record.frame_count, 0, (), (person,), True),))
    )
    for stride in (1, 3):
        for name, config in (("track", TrackConfig(stride=stride)), ("export", ExportConfig(size=128, stride=stride))):
            outcome = run_stage(root, record.video_id, name, config)
            assert outcome.status == "done", outcome.error
        rows = read_faces(root.files.local(root.tracks_key(record.video_id))).to_pylist()
        assert len(rows) >= 0.8 * len(range(0, record.frame_count, stride))
        faces = {row["frame_idx"]: row for row in rows}
        seen = 0
        for key in root.files.keys(f"{root.crops_key(record.video_id)}/*.parquet"):
            for batch in batches(root.files.local(key), ["frame_idx", "time_ms", "image"], 64):
                for crop in batch.to_pylist():
                    face = faces[crop["frame_idx"]]
                    assert crop["time_ms"] == face["time_ms"]
                    window = cropping.widened((face["x0"], face["y0"], face["x1"], face["y1"]))
                    image = decode(crop["image"]["bytes"])
                    found = number_in(image, record.frame_size, tuple(round(v) for v in window))
                    if numbers[crop["frame_idx"]] is not None and (record.fault is None or crop["frame_idx"] < WHOLE):
                        assert found == numbers[crop["frame_idx"]], crop["frame_idx"]
                    seen += 1
        assert seen == sum(row["frame_idx"] % stride == 0 for row in rows)
    if record.fault is None:
        assert list(verify(root, frames=5)) == []


def outcome_of(case, folder):
    """Add a file and compare everything with its truth; return the outcome as one line."""
    path = case.make(folder)
    root = Root(folder / "root")
    if case.refused:
        with pytest.raises(VideoError, match=f"(?i){case.refused}"):
            fetch.add(root, path)
        assert root.video_ids() == []
        return f"refused: {case.refused}"
    record = fetch.add(root, path, copy=True)
    few, many = survey(path, threads=1), survey(path, threads=3)
    assert few.packet.tolist() == many.packet.tolist(), "frames do not depend on the decoder's threads"
    numbers, times = check_readers(root, record)
    assert set(case.notes) <= set(record.notes), record.notes
    assert record.frame_size == case.size
    if case.fault:
        assert re.search(case.fault, record.fault or ""), record.fault
    if case.numbers is not None:
        assert record.fault is None
        assert numbers == list(case.numbers)
        expected = case.times or [STEP * n for n in range(len(numbers))]
        np.testing.assert_allclose(times, expected, atol=1.1)
    if case.referee:
        shown = referee(path, record.frame_size)
        whole = None if record.fault is None else WHOLE
        assert len(numbers) == len(shown)
        assert numbers[:whole] == shown[:whole]
    check_stages(root, record, numbers)
    notes = "; ".join(record.notes.values())
    return (
        f"{len(numbers)} frames right"
        + (f", flagged: {record.fault}" if record.fault else "")
        + (f" ({notes})" if notes else "")
    )


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=() if c.quick else pytest.mark.slow) for c in CASES])
def test_an_odd_file_comes_out_right_or_is_refused_or_flagged(case, tmp_path):
    outcome_of(case, tmp_path)


if __name__ == "__main__":
    import tempfile
    import traceback

    wanted = set(sys.argv[1:])
    for case in CASES:
        if wanted and case.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            try:
                print(f"{case.name:22} {outcome_of(case, Path(place))}", flush=True)
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)
                line = next((f.lineno for f in reversed(where) if f.filename == __file__), 0)
                print(
                    f"{case.name:22} !! {type(error).__name__} line {line}: {' '.join(str(error).split())[:600]}",
                    flush=True,
                )
