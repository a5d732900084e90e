"""The exception tree.

RmsetError                   one line for the user: what was expected, what was found, what to do
├── UsageError               wrong arguments (exit code 2)
├── ManifestError            a manifest that cannot be read; carries the line
├── RootError                a root that is missing, not writable, or newer than this program
│   └── RemovedError         a video that was removed from the root, or a copy of one
├── VideoError               a file that is not a video, is empty, truncated, or of an unsupported kind
├── FetchError               a video that cannot be downloaded; carries the cause
├── LayoutError              invalid regions or people
├── DetectorError            a detector that cannot be loaded
├── ShardError               a Parquet file that is broken or does not fit its neighbors
├── UnreadableError          a small file that is not a regular file, too large, damaged or nested too deep
├── QueryError               SQL that is wrong or not allowed
└── IncompleteError          some videos failed, the others are done; carries the outcomes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RmsetError(Exception):
    """Base class of this package's exceptions.

    The message is one line in three parts: what was expected, what was found, what to do.
    """

    exit_code = 1


class UsageError(RmsetError):
    """The arguments contradict each other or name something that does not exist."""

    exit_code = 2


class ManifestError(RmsetError):
    """A manifest that cannot be read."""


class RootError(RmsetError):
    """A root that is missing, not writable, or written by a newer program."""


class RemovedError(RootError):
    """A video that was removed from the root, or a copy of one, which may not come back."""


class VideoError(RmsetError):
    """A file that is not a video, is empty, is truncated, or is of an unsupported kind."""


class FetchError(RmsetError):
    """A video that cannot be downloaded.

    Args:
        message: the host's or downloader's own words.
        cause: the kind of cause, as the ledger counts it (`rmset.stages.fetch.causes.Cause`).
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class LayoutError(RmsetError):
    """Invalid regions or people."""


class DetectorError(RmsetError):
    """A detector that is unknown or cannot be loaded."""


class ShardError(RmsetError):
    """A Parquet file that is broken, or inconsistent with its neighbors."""


class UnreadableError(RmsetError, ValueError):
    """A small file that cannot be read within bounds; see `rmset.bounded`."""


class QueryError(RmsetError):
    """SQL that is invalid or not allowed."""


class IncompleteError(RmsetError):
    """Some of several videos failed; the others are done.

    Args:
        message: the first cause, and the number of failures.
        done: outcomes of all stages, or records of the files added.
    """

    def __init__(self, message: str, done: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.done = list(done)
