from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmset.manifest import Entry
from rmset.root import Root
from rmset.stages.fetch.config import FetchConfig
from rmset.stages.fetch.run import Fetched, fetch

from .host import Host

# yt-dlp looks for plugins once, in the folders of the import path.
sys.path.append(str(Path(__file__).parent / "plugins/recorded"))


@pytest.fixture
def host() -> Iterator[Host]:
    served = Host()
    yield served
    served.close()


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    place = Root(tmp_path / "root")
    place.path.mkdir()
    return place


def gentle(**changes: object) -> FetchConfig:
    """A configuration for a local, patient host."""
    return FetchConfig(**({"min_height": 48, "sleep": 0, "pause": 0.01, "backoff": 0.2, "timeout": 1.0} | changes))


def fetch_all(root: Root, urls: list[str | Entry], retry: object = (), **changes: object) -> dict[str, Fetched]:
    """Fetch and return outcomes by the last part of their URL."""
    entries = [u if isinstance(u, Entry) else Entry(u, line=n + 2) for n, u in enumerate(urls)]
    ended = list(fetch(root, entries, gentle(**changes), retry=retry))
    return {o.record.url.rsplit("/", 1)[-1]: o for o in ended}
