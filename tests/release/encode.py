"""Other encodings of a video, made by FFmpeg."""

import subprocess

import pytest


def encode(source, path, *how):
    """Encode a video again; `how` are FFmpeg's options for the output."""
    program = pytest.importorskip("imageio_ffmpeg", reason="needs FFmpeg: install the extra dev").get_ffmpeg_exe()
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ("-i", source, "-an", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", *how, path)
    subprocess.run([program, "-v", "error", "-nostdin", "-y", *map(str, words)], check=True)
    return path
