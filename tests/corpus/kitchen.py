"""Makers of unusual files: pictures encoded by FFmpeg, packets moved, bytes changed."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .picture import SIZE, number_in, picture

RATE, COUNT = 30, 40
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "2")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv420p", "-x265-params",
        "log-level=none:keyint=12:min-keyint=12:bframes=3")  # fmt: skip


def ffmpeg_program():
    """The FFmpeg of the wheel `imageio-ffmpeg`."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments, pipe=b""):
    """Run FFmpeg; return its stdout."""
    done = subprocess.run(
        [ffmpeg_program(), "-v", "error", "-nostdin" if not pipe else "-hide_banner", "-y", *map(str, arguments)],
        input=pipe, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr.decode(errors='replace')[-800:]}")
    return done.stdout


def stored(numbers, change=None):
    """Raw bytes of pictures, and their size."""
    images = [np.ascontiguousarray(change(picture(n)) if change else picture(n)) for n in numbers]
    return b"".join(i.tobytes() for i in images), (images[0].shape[1], images[0].shape[0])


def film(path, *how, numbers=range(COUNT), change=None, rate=RATE, before=()):
    """Encode pictures of the given numbers; `how` are FFmpeg's options for the output."""
    data, (width, height) = stored(numbers, change)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), *before, "-i", "-")
    ffmpeg(*raw, *(how or H264), path, pipe=data)
    return path


def copied(source, path, *how, before=()):
    """Copy the packets to another file."""
    ffmpeg(*before, "-i", source, "-map", "0", "-c", "copy", *how, path)
    return path


def joined(path, *parts):
    """Concatenate the bytes of files."""
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    return path


def packets(source, path, keep, **options):
    """Copy the packets of a video for whose number `keep` is true to another file."""
    import av

    with av.open(str(source)) as read, av.open(str(path), "w", **options) as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(p for p in read.demux(video=0) if p.size):
            if keep(number):
                packet.stream = stream
                out.mux(packet)
    return path


def cut_off(source, path, share):
    """Keep the first `share` of a file's bytes."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def spoiled(source, path, place, length):
    """Write random bytes at a position given as a share of the file's length."""
    data = bytearray(source.read_bytes())
    at = int(len(data) * place)
    data[at : at + length] = np.random.default_rng(7).integers(0, 256, length, np.uint8).tobytes()
    path.write_bytes(bytes(data))
    return path


def referee(path, size):
    """Numbers in the pictures decoded by FFmpeg itself, in order, without times."""
    width, height = size
    how = ("-fps_mode", "passthrough", "-vf", f"scale={width}:{height}:flags=area", "-f", "rawvideo")
    data = ffmpeg("-i", f"file:{path}", "-an", *how, "-pix_fmt", "rgb24", "-")
    images = np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)
    return [number_in(image, size) for image in images]


@dataclass(frozen=True)
class Case:
    """One unusual file and its truth."""

    name: str
    make: object
    """a function from a folder to the file in it"""
    numbers: object = range(COUNT)
    """numbers of the pictures that a player shows, in order; None where damage decides"""
    times: object = None
    """ms of each; as the rate has it if omitted"""
    size: tuple = SIZE
    notes: tuple = ()
    """kinds of notes that the record must have"""
    fault: str | None = None
    """words of the fault that is recorded"""
    refused: str | None = None
    """words with which the file is refused"""
    quick: bool = False
    """run with every test run"""
    referee: bool = True
    """whether FFmpeg shows the same"""
    tags: dict = field(default_factory=dict)


def place(folder, name) -> Path:
    """A path in a folder."""
    return Path(folder) / name
