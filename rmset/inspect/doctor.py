"""Requirements of collecting that are missing on this machine, with a remedy for each."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from rmset.errors import RootError
from rmset.inspect.estimate import Estimate, free_bytes
from rmset.root import Root

OLD_DAYS = 60
"""YouTube changes more often than that"""
CODECS = {"h264": "H.264", "vp9": "VP9", "av1": "AV1"}
ENOUGH_BYTES = 20 * 10**9
OLDEST_DENO = (2, 0, 0)


@dataclass(frozen=True)
class Diagnosis:
    """Result of one check."""

    what: str
    state: Literal["ok", "warning", "missing"]
    found: str
    remedy: str = ""


def examine(root: Root, estimate: Estimate | None = None, today: date | None = None) -> list[Diagnosis]:
    """Check all requirements of collecting, without changes and without network."""
    return [
        yt_dlp_age(today or datetime.now(UTC).date()),
        *javascript(),
        *codecs(),
        ffmpeg(),
        opencv(),
        detector(),
        disk(root, estimate),
        writable(root),
    ]


def yt_dlp_age(today: date) -> Diagnosis:
    """Whether yt-dlp is of this season; its version is its day."""
    remedy = "pip install --upgrade 'yt-dlp[default]'"
    try:
        version = importlib.metadata.version("yt-dlp")
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis("yt-dlp", "missing", "not installed", remedy)
    parts = [int(n) for n in re.findall(r"\d+", version)[:3]]
    days = (today - date(*parts)).days if len(parts) == 3 else 0
    if days > OLD_DAYS:
        return Diagnosis("yt-dlp", "warning", f"{version}, {days} days old", remedy)
    return Diagnosis("yt-dlp", "ok", f"{version}, {max(0, days)} days old")


def javascript() -> Iterator[Diagnosis]:
    """Yield the runtime and the scripts with which yt-dlp solves YouTube's challenges."""
    path = shutil.which("deno") or _packaged_deno()
    remedy = "pip install deno (the extra rmset[youtube]), or https://deno.com; without it YouTube hides formats"
    if path is None:
        yield Diagnosis("deno", "missing", "not found on PATH", remedy)
    else:
        version = _first_line([path, "--version"])
        numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
        state: Literal["ok", "warning"] = "ok" if numbers >= OLDEST_DENO else "warning"
        yield Diagnosis("deno", state, version or path, "" if state == "ok" else remedy)
    try:
        yield Diagnosis("yt-dlp-ejs", "ok", importlib.metadata.version("yt-dlp-ejs"))
    except importlib.metadata.PackageNotFoundError:
        yield Diagnosis("yt-dlp-ejs", "missing", "not installed", "pip install 'yt-dlp[default]'")


def codecs() -> Iterator[Diagnosis]:
    """Yield decoders in PyAV's libraries, for what platforms serve."""
    import av

    for name, label in CODECS.items():
        # One standard may have several decoders; any of them is enough.
        alternatives = [name, *(["libdav1d"] if name == "av1" else [])]
        have = [a for a in alternatives if a in av.codecs_available]
        remedy = "" if have else "pip install --upgrade --force-reinstall av (its wheels bring all decoders)"
        found = f"{', '.join(have) or 'no decoder'} in PyAV {av.__version__}"
        yield Diagnosis(f"decode {label}", "ok" if have else "missing", found, remedy)


def ffmpeg() -> Diagnosis:
    """Check for ffmpeg, which only sound needs."""
    path = shutil.which("ffmpeg")
    if path is None:
        return Diagnosis(
            "ffmpeg", "warning", "not found; needed for `fetch --audio` alone, all else is done with PyAV",
            "Debian, Ubuntu: apt install ffmpeg",
        )  # fmt: skip
    return Diagnosis("ffmpeg", "ok", _first_line([path, "-version"])[:60] or path)


def opencv() -> Diagnosis:
    """Check OpenCV, which on servers often lacks a desktop library."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        if "libGL" in str(error) or "libgthread" in str(error) or "libglib" in str(error):
            return Diagnosis(
                "OpenCV", "missing", str(error),
                "Debian, Ubuntu: apt install libgl1 libglib2.0-0t64; or, without root: "
                "pip uninstall opencv-python && pip install opencv-python-headless",
            )  # fmt: skip
        return Diagnosis("OpenCV", "missing", str(error), "pip install --force-reinstall opencv-python")
    return Diagnosis("OpenCV", "ok", str(cv2.__version__))


def detector() -> Diagnosis:
    """Check the weights of the default detector, which come inside a package."""
    spec = importlib.util.find_spec("facenet_pytorch")
    remedy = "pip install --force-reinstall --no-deps facenet-pytorch==2.5.3"
    if spec is None or spec.origin is None:
        return Diagnosis("detector weights", "missing", "facenet-pytorch is not installed", remedy)
    folder = Path(spec.origin).parent / "data"
    lacking = [n for n in ("pnet.pt", "rnet.pt", "onet.pt") if not (folder / n).is_file()]
    if lacking:
        return Diagnosis("detector weights", "missing", f"no {', '.join(lacking)} in facenet-pytorch", remedy)
    return Diagnosis(
        "detector weights", "ok", "MTCNN in facenet-pytorch " + importlib.metadata.version("facenet-pytorch")
    )


def disk(root: Root, estimate: Estimate | None = None) -> Diagnosis:
    """Check the free disk, against an estimate if there is one."""
    place = root.files.workspace()
    free = free_bytes(place)
    needed = estimate.needed_bytes if estimate else ENOUGH_BYTES
    found = f"{free / 1e9:.1f} GB free at {place}"
    if estimate:
        found += f", {needed / 1e9:.1f} GB needed"
    if free < needed:
        remedy = "free some, choose another --root, or export with --stride"
        return Diagnosis("disk", "missing" if estimate else "warning", found, remedy)
    return Diagnosis("disk", "ok", found)


def writable(root: Root) -> Diagnosis:
    """Check that the root is writable."""
    try:
        root.files.check_writable()
    except RootError as error:
        return Diagnosis("root", "missing", str(error), "choose another --root or $RMSET_ROOT")
    return Diagnosis("root", "ok", f"{root.place} can be written to")


def _packaged_deno() -> str | None:
    """Return the runtime of the package `deno`, which lies beside Python's own program even if that is not on PATH."""
    import sys

    beside = Path(sys.executable).parent / "deno"
    return str(beside) if beside.is_file() else None


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
