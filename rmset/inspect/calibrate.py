"""Speed of this machine, measured on a small composed mashup and stored for next time."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rmset.bounded import read_json
from rmset.outputs import written
from rmset.parts.frames import VideoReader
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.stages import audit, export, fetch, layout, track

SECONDS = 2.0
SIZE = (1920, 1080)


@dataclass(frozen=True)
class Rates:
    """Rates of one worker on this machine."""

    decode_fps: float
    """frames of 1080p per second"""
    per_video_s: float
    """proposing a layout uses samples only, so the length of a video hardly matters"""
    track_s_per_face: float
    """s per person and frame, the audit included, decoding left out"""
    export_s_per_crop: float
    bytes_per_crop: float
    """in the shard, 260 px, quality 95"""
    cores: int
    busy: float
    """cores that one worker keeps busy: decoding and the nets have threads of their own"""
    measured: str = ""
    """UTC day"""

    def speedup(self, jobs: int) -> float:
        """Return how many times as fast so many workers are as one, with what the cores can do as the limit."""
        return max(1.0, min(float(jobs), self.cores / self.busy))


def cache_path() -> Path:
    """Return the file of this machine's rates; another version of the program measures again."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rmset" / f"rates-{platform.node() or 'here'}-{version('rmset')}.json"


def rates(*, again: bool = False, progress: Progress = silent) -> Rates:
    """Return the rates of this machine; measure them if unknown or `again` is set."""
    path = cache_path()
    if not again:
        try:
            known = Rates(**read_json(path))
            if known.cores == (os.cpu_count() or 1):
                return known
        except (OSError, ValueError, TypeError):
            # Not measured yet, or measured by an incompatible version.
            pass
    found = measure(progress)
    with written(path, mode=None) as partial:
        partial.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    return found


def measure(progress: Progress = silent) -> Rates:
    """Measure, in a temporary root; takes some ten seconds."""
    from rmset.synth.compose import compose_demo

    with tempfile.TemporaryDirectory(prefix="rmset-rates-") as folder:
        progress("calibrate", 0, 6)
        mashup = Path(folder) / "mashup.mp4"
        compose_demo(mashup, seconds=SECONDS, size=SIZE)
        progress("calibrate", 1, 6)
        root = Root(Path(folder) / "root")
        video_id = fetch.add(root, mashup).video_id
        began = time.perf_counter()
        with VideoReader(mashup) as reader:
            frames = sum(1 for _ in reader.frames())
        decode_fps = frames / (time.perf_counter() - began)
        progress("calibrate", 2, 6)
        begin, spent = time.perf_counter(), time.process_time()
        began = time.perf_counter()
        layout.propose(root, video_id, layout.ProposeConfig())
        layout_s = time.perf_counter() - began
        progress("calibrate", 3, 6)
        # The first report comes after the first frame: the time before is loading the detector.
        moments = [time.perf_counter()]
        counts = track.run(root, video_id, track.TrackConfig(), lambda *_: moments.append(time.perf_counter()))
        faces = max(1.0, float(counts["faces"]))
        load_s, track_s = moments[1] - moments[0], moments[-1] - moments[1]
        progress("calibrate", 4, 6)
        began = time.perf_counter()
        audit.run(root, video_id, audit.AuditConfig())
        audit_s = time.perf_counter() - began
        progress("calibrate", 5, 6)
        began = time.perf_counter()
        crops = max(1.0, float(export.run(root, video_id, export.ExportConfig())["crops"]))
        export_s = time.perf_counter() - began
        busy = (time.process_time() - spent) / (time.perf_counter() - begin)
        size = sum(root.files.stamp(k).bytes for k in root.files.keys(f"{root.crops_key(video_id)}/*"))
        progress("calibrate", 6, 6)
    return Rates(
        decode_fps=round(decode_fps, 1),
        per_video_s=round(layout_s + load_s, 2),
        track_s_per_face=max(0.0, track_s + audit_s - frames / decode_fps) / faces,
        export_s_per_crop=max(0.0, export_s - frames / decode_fps) / crops,
        bytes_per_crop=round(size / crops),
        cores=os.cpu_count() or 1,
        busy=round(busy, 2),
        measured=time.strftime("%Y-%m-%d", time.gmtime()),
    )
