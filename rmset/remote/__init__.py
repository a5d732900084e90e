"""Roots on object stores: `s3://bucket/prefix`, `gs://…`, `az://…`.

key ── commits ──> object of the bucket ── cache ──> local file

`files` implements `rmset.files.Files` over six parts: `store` (requests, retries, errors) over `settings` (server and
credentials, from the environment), `commits` (which objects are the root's files), `lease` (locks that expire, with
fencing), `cache` (local copies), `ranges` (parts of large objects).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmset.remote.files import RemoteFiles

__all__ = ["is_remote", "open_files"]

# A path of the command line has lost one of its slashes.
_URL = re.compile(r"(s3|gs|az):/+(.*)", re.DOTALL)


def is_remote(place: Path | str) -> bool:
    """Whether this names a root on an object store.

    >>> is_remote("s3://bucket/rmset"), is_remote("data/rmset")
    (True, False)
    """
    return _URL.fullmatch(str(place)) is not None


def open_files(place: Path | str) -> RemoteFiles:
    """Return the files of a root on an object store; no request is made yet.

    The local copies are in `$RMSET_CACHE`, else in the user's cache folder, and take at most `$RMSET_CACHE_SIZE`.

    Raises:
        UsageError: no bucket is named, or the size is none.
        RootError: the extra `s3` is not installed.
    """
    from rmset.remote.cache import parse_size
    from rmset.remote.files import RemoteFiles

    found = _URL.fullmatch(str(place))
    assert found is not None
    folder = os.environ.get("RMSET_CACHE")
    return RemoteFiles(
        f"{found[1]}://{found[2].strip('/')}",
        cache=Path(folder) if folder else None,
        cache_size=parse_size(os.environ.get("RMSET_CACHE_SIZE")),
    )
