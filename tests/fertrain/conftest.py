import os
import signal
import sys
from pathlib import Path

import fer_worlds as worlds
import pytest
import torch
from hypothesis import settings

from rmset_cli.fertrain.app import main

# time limits mean nothing on a shared machine
settings.register_profile("fertrain", deadline=None, max_examples=40)
settings.load_profile("fertrain")


# the data are tiny: waiting threads cost more than they gain, most of all beside other load
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests from the user's datasets.toml and from one in the working folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.class_folders(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="session")
def ferplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.ferplus(tmp_path_factory.mktemp("ferplus"))


@pytest.fixture(scope="session")
def real_ferplus() -> Path:
    folder = os.environ.get("RMSET_TEST_DATA")
    if not folder or not (Path(folder) / "ferplus" / "fer2013new.csv").is_file():
        pytest.skip("RMSET_TEST_DATA is not set to a folder with ferplus/fer2013new.csv")
    return Path(folder) / "ferplus"


@pytest.fixture(scope="session")
def mashup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.rmset_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
def fertrain(monkeypatch, capsys):
    """The program as it is typed: arguments -> exit code, output, errors."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["fertrain", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
