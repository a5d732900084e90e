"""Make `old_root.zip`: a root of commit 1db390a, before frames were numbered as in a player.

Run with that commit's code: `PYTHONPATH=CHECKOUT_OF_1db390a python tests/data/make_old_root.py`. All people in it are
generated. `whole` is a healthy video; `late` is the same as a transport stream whose first packets are lost, so that
the first frames cannot be decoded; `wide` has pixels that are not square, and an unreviewed layout.
"""

import sys
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path

import av

from rmset.pipeline import build
from rmset.records import Layout, Person, Segment, TriggerRegion
from rmset.stages import fetch
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from rmset.store import Root
from rmset.synth.compose import compose_demo

LOST, START, END = 7, 10, 30


def encoded(frames, path, *, shape=None):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"g": "16", "bf": "2", "crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 30), 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def late(source, path):
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(read.demux(video=0)):
            if packet.dts is not None and number >= LOST:
                packet.stream = stream
                out.mux(packet)


def layout_of(video_id, truth, *, reviewed):
    (true,) = truth.segments
    first = {f.person: f.box for f in truth.faces if f.frame == START}
    people = []
    for person, panel in sorted(true.panels.items()):
        b, source = first[person], "manual" if reviewed else "detected"
        box = (max(b[0], panel[0]), max(b[1], panel[1]), min(b[2], panel[2]), min(b[3], panel[3]))
        people.append(Person(person, box, panel, source))
    regions = tuple(TriggerRegion(b, "manual" if reviewed else "proposed") for b in true.trigger_regions)
    segment = Segment(START, END, START, regions, tuple(people), reviewed)
    return Layout(video_id, truth.frame_size, (segment,))


with tempfile.TemporaryDirectory() as place:
    folder = Path(place)
    truth = compose_demo(folder / "film.mp4", seconds=1.6, size=(320, 180), layout="2x2", seed=3)
    with av.open(str(folder / "film.mp4")) as read:
        frames = list(read.decode(video=0))
    encoded(frames, folder / "whole.mp4")
    encoded(frames, folder / "whole.ts")
    late(folder / "whole.ts", folder / "late.ts")
    encoded(frames, folder / "wide.mp4", shape=Fraction(4, 3))
    root = Root(folder / "root")
    for name in ("whole.mp4", "late.ts", "wide.mp4"):
        record = fetch.add(root, folder / name, copy=True)
        root.write_layout(layout_of(record.video_id, truth, reviewed=name != "wide.mp4"))
    steps = [("track", TrackConfig(precision="f32")), ("export", ExportConfig(size=32, stride=2, quality=90))]
    outcomes = list(build(root, root.video_ids(), steps))
    print(*outcomes, sep="\n")
    with zipfile.ZipFile(Path(sys.argv[0]).with_name("old_root.zip"), "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in root.path.rglob("*") if p.is_file() and "locks" not in p.parts):
            info = zipfile.ZipInfo(path.relative_to(root.path).as_posix())
            out.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
