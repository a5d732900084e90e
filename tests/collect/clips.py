"""Tiny real videos, encoded here, in the formats that hosts serve."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np


def encode(path: Path, *, size: tuple[int, int] = (96, 64), seconds: float = 4.0, fps: int = 10, codec: str = "libx264",
           noise: int = 60, seed: int = 0, form: str | None = None, options: dict[str, str] | None = None) -> Path:  # fmt: skip  # noqa: E501
    """Encode moving noise with a key frame every second, so that several can be damaged."""
    rng = np.random.default_rng(seed)
    width, height = size
    small = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    base = np.kron(small, np.ones((8, 8, 1), np.uint8))[:height, :width]
    base = np.pad(base, ((0, height - base.shape[0]), (0, width - base.shape[1]), (0, 0)), mode="edge")
    with av.open(str(path), "w", format=form, options=options or {}) as out:
        stream = out.add_stream(codec, rate=fps, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = fps
        stream.codec_context.options = {"preset": "ultrafast", "threads": "1"} if codec == "libx264" else {}
        for i in range(round(seconds * fps)):
            image = np.roll(base, 4 * i, axis=1)
            if noise:
                image = np.clip(image.astype(int) + rng.integers(-noise, noise, image.shape), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return path


@cache
def _small(folder: str, seconds: float, seed: int, size: tuple[int, int]) -> bytes:
    path = Path(folder) / f"clip-{seconds}-{seed}-{size[0]}x{size[1]}.mp4"
    return encode(path, seconds=seconds, seed=seed, size=size, options={"movflags": "faststart"}).read_bytes()


def small(folder: Path, seconds: float = 4.0, seed: int = 0, size: tuple[int, int] = (96, 64)) -> bytes:
    """The bytes of a small MP4 whose index comes first."""
    return _small(str(folder), seconds, seed, size)


def hls(folder: Path, heights: tuple[int, ...] = (480, 720, 1080)) -> dict[str, bytes]:
    """Name -> bytes of a master playlist, its variants and their segments."""
    master = ["#EXTM3U"]
    for height in heights:
        sub = folder / str(height)
        sub.mkdir(parents=True, exist_ok=True)
        encode(sub / "list.m3u8", size=(height * 16 // 9 // 2 * 2, height), seconds=3, fps=5, noise=0, form="hls",
               options={"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod"})  # fmt: skip
        master += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={height * 1000},RESOLUTION={height * 16 // 9 // 2 * 2}x{height}",
            f"{height}/list.m3u8",
        ]
    (folder / "master.m3u8").write_text("\n".join(master) + "\n")
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def dash(folder: Path, height: int = 1080) -> dict[str, bytes]:
    """Name -> bytes of a DASH manifest and its segments."""
    folder.mkdir(parents=True, exist_ok=True)
    encode(folder / "film.mpd", size=(height * 16 // 9 // 2 * 2, height), seconds=3, fps=5, noise=0, form="dash",
           options={"seg_duration": "1", "use_template": "1"})  # fmt: skip
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
