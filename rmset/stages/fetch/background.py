"""Background fetching: videos that have arrived are processed while others are still being downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

from rmset.manifest import Entry
from rmset.stages.fetch.run import Fetched, Fetching


class Background:
    """Outcomes of a run of fetching, handed over as videos arrive. A context manager: leaving it ends the run.

    with Background(fetching, entries) as arrivals:
        for outcome in arrivals:
            work_on(outcome.record.video_id)
    """

    def __init__(self, fetching: Fetching, entries: Sequence[Entry]) -> None:
        self._fetching, self._entries = fetching, entries
        self._arrived: SimpleQueue[Fetched | BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="fetching", daemon=True)

    def __enter__(self) -> Iterator[Fetched]:
        """Begin."""
        self._thread.start()
        return self._outcomes()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run, wherever it is."""
        self._fetching.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            for outcome in self._fetching.outcomes(self._entries):
                self._arrived.put(outcome)
            self._arrived.put(None)
        except BaseException as error:
            # Raised again where the outcomes are read.
            self._arrived.put(error)

    def _outcomes(self) -> Iterator[Fetched]:
        while (arrived := self._arrived.get()) is not None:
            if isinstance(arrived, BaseException):
                raise arrived
            yield arrived
