"""Fixtures of the attacks on all commands: a warm process and a tiny world, each made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.processes import Victims
from tests.attack.world import World
from tests.collect.host import Host


@pytest.fixture(scope="session")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    """Processes of both programs, warm."""
    started = Victims(tmp_path_factory.mktemp("victims"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def world(victims: Victims, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Inputs of commands, and a host that serves some of them."""
    host = Host()
    yield World(tmp_path_factory.mktemp("world"), victims, host)
    host.close()
