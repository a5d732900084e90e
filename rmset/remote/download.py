"""`python -m rmset.remote.download URL NAME PATH [SIZE]`: download one object, for a process that cannot itself."""

from __future__ import annotations

import sys
from pathlib import Path

from rmset.errors import RmsetError
from rmset.remote.store import ObjectStore


def main(url: str, name: str, path: str, size: str | None = None) -> int:
    """Download an object, in parts if its size is known; an error is the last line of stderr."""
    try:
        if size is None:
            Path(path).write_bytes(ObjectStore(url).get(name)[0])
        else:
            ObjectStore(url).download(name, Path(path), int(size))
    except FileNotFoundError:
        return 3
    except (RmsetError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
