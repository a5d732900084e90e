"""Overhead of `rmset fetch` compared with `curl` on the same files from the same server.

    python -m benchmarks.fetch --write

A server in its own process sends MP4 files, at full speed and at the speed of a household line. Both clients fetch one
file after the other. `rmset` also probes every file, decodes its key frames, hashes it, and writes its ledger.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np

from benchmarks.report import Line, in_turn, publish, ratio
from rmset.manifest import Entry, write
from rmset.stages.fetch.visit import VERSION

CASES = (  # name, files, frames in each, bytes per second (0: no limit)
    ("large files, no limit", 6, 120, 0),
    ("small files, no limit", 30, 6, 0),
    ("large files, 100 Mbit/s", 6, 120, 12_500_000),
)
ROUNDS = 3


def encode(path: Path, frames: int) -> None:
    """Encode 1080p noise, which compresses badly: about 0.4 MB per frame."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.gop_size = 60
        stream.codec_context.options = {"preset": "ultrafast", "crf": "30"}
        for _ in range(frames):
            small = rng.integers(0, 255, (270, 480, 3), dtype=np.uint8)
            image = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())


def serve(folder: Path, speed: int, port: object) -> None:
    """Serve the folder's files, at most `speed` bytes per second and connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = (folder / self.path.strip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            step = speed // 50 if speed else len(body)
            try:
                for at in range(0, len(body), step):
                    self.wfile.write(body[at : at + step])
                    if speed:
                        time.sleep(0.02)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            # A client that needs no more of a file closes the connection.
            pass

    server = Server(("127.0.0.1", 0), Handler)
    port.put(server.server_address[1])  # type: ignore[attr-defined]
    server.serve_forever()


def compare(files: int, frames: int, speed: int) -> str:
    """Measure one case."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder, root = Path(name), Path(name) / "root"
        encode(folder / "0.mp4", frames)
        for n in range(1, files):
            shutil.copyfile(folder / "0.mp4", folder / f"{n}.mp4")
        port = context.Queue()
        server = context.Process(target=serve, args=(folder, speed, port), daemon=True)
        server.start()
        base = f"http://127.0.0.1:{port.get()}"
        urls = [f"{base}/{n}.mp4" for n in range(files)]
        write(folder / "m.csv", [Entry(u) for u in urls])
        got = folder / "got"
        got.mkdir()

        def curl() -> None:
            command = ["curl", "-s", "--remote-name-all", "--output-dir", str(got), *urls]
            subprocess.run(command, check=True, capture_output=True)

        def ours() -> None:
            shutil.rmtree(root, ignore_errors=True)
            main = "from rmset_cli.rmset.app import main; main()"
            options = ["--root", str(root), "--sleep", "0", "--jobs", "1", "--quiet"]
            command = [sys.executable, "-c", main, "fetch", str(folder / "m.csv"), *options]
            subprocess.run(command, check=True, capture_output=True)

        used = os.times().children_user + os.times().children_system
        for _ in range(ROUNDS):
            ours()
        # Processor seconds: other load lengthens the wait, not the work.
        cpu = (os.times().children_user + os.times().children_system - used) / ROUNDS / files
        took = in_turn(ROUNDS, curl=curl, ours=ours)
        server.terminate()
        size = (folder / "0.mp4").stat().st_size / 1e6
    theirs, mine = statistics.median(took["curl"]), statistics.median(took["ours"])
    overhead = (mine - theirs) / files
    times = f"curl {theirs:.2f} s, rmset {mine:.2f} s, ratio {1 / ratio(took, 'ours', 'curl'):.2f}"
    return f"{files} x {size:.1f} MB: {times}, {overhead:.2f} s more a video, {cpu:.2f} s of processor"


def main() -> None:
    """Run all cases; `--write` stores the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = []
    for name, files, frames, speed in CASES:
        lines.append(Line(name, compare(files, frames, speed)))
    notes = [
        "Beyond the transfer, each file is probed, its key frames decoded, hashed, synchronized to disk and recorded.",
        "The program's own start (yt-dlp with its extractors: about a second) is in the figures, once a run.",
        f"yt-dlp {VERSION}; one connection after the other in both.",
    ]
    publish("fetch", "Fetching beside curl", lines, notes, write=options.write)


if __name__ == "__main__":
    main()
