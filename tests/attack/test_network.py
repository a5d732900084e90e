"""No command accesses the network without a request, in any of its processes, or leaves an id in the home folder.

Two recorders: Python's own calls through a `sitecustomize`, and `strace` if the system has it, which also records
programs in other languages.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.attack import tally
from tests.attack.commands import CASES
from tests.attack.processes import COLLECT

BIN = Path(sys.executable).parent
RECORDER = """
import os, socket, sys
def _note(what):
    with open(os.environ["RECORDED_LOOKUPS"], "a") as file:
        file.write(what + chr(10))
_own = ("127.", "::1", "localhost", "0.0.0.0")
def _audit(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"):
        if not str(arguments[0]).startswith(_own) and arguments[0] not in (None, "", b""):
            _note(f"{event} {arguments}")
    elif event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(_own):
            _note(f"{event} {address}")
sys.addaudithook(_audit)
"""
# connect() and sendto() to another machine, or to a name server on this one. The cache daemon nscd is left out: libraries
# use it to look up the user's name, and a look-up of a host is still recorded on its way to the name server.
FAR = re.compile(
    r"(?:connect|sendto|sendmsg)\(.*?(?:sa_family=AF_INET,(?!.*inet_addr\(\"(?:127\.|0\.0\.0\.0)).*"
    r"|sa_family=AF_INET6,(?!.*\"::1?\").*|sin6?_port=htons\(53\).*|io\.systemd\.Resolve.*)"
)


def strace(folder):
    """Arguments that run a command under strace; empty if the system lacks or forbids it."""
    words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(folder / "strace")]
    if shutil.which("strace") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words
    return []


@pytest.fixture
def recorded(tmp_path):
    """Run a command in its own home folder; return its network accesses, and the files it left there."""
    for name in ("site", "home", "place"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(RECORDER)
    log = tmp_path / "lookups"
    log.write_text("")
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "CI", "WANDB_MODE")} | {
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(COLLECT / "plugins/recorded"))),
        "RMSET_RECORDED_SEARCH": str(COLLECT / "recorded_search.json"),
        "RECORDED_LOOKUPS": str(log), "HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1",
        "MPLCONFIGDIR": str(tmp_path / "mpl"), "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }  # fmt: skip

    def run(*words, code=0, until=None):
        command = [*strace(tmp_path), str(BIN / words[0]), *map(str, words[1:])]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path / "place"
        )
        if until is not None:
            until(process)
        _, said = process.communicate()
        assert process.returncode == code, said
        assert log.read_text() == "", words
        traced = tmp_path / "strace"
        far = (
            [line for line in traced.read_text(errors="replace").splitlines() if FAR.search(line)]
            if traced.exists()
            else []
        )
        assert far == [], words
        left = [p.relative_to(tmp_path / "home").as_posix() for p in (tmp_path / "home").rglob("*") if p.is_file()]
        assert left == [], words

    return run


def test_the_recorders_see_a_lookup_and_a_connection(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    code = "import socket\ntry: socket.create_connection(('name.invalid', 80), 1)\nexcept OSError: pass\n"
    code += "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
    log = tmp_path / "lookups"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "RECORDED_LOOKUPS": str(log)}
    subprocess.run([*strace(tmp_path), sys.executable, "-c", code], check=False, env=environment, capture_output=True)
    assert "name.invalid" in log.read_text()
    assert "192.0.2.1" in log.read_text()
    if (tmp_path / "strace").exists():
        assert any("192.0.2.1" in line for line in (tmp_path / "strace").read_text().splitlines() if FAR.search(line))


def program(pid):
    """The process itself, or the one that strace runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int((children or [pid])[0])


QUICK = ("status", "sql", "recipes")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_no_command_looks_anything_up(recorded, world, tmp_path, name):
    """All commands of both programs: a new one without a case fails `test_every_command_has_a_case`.

    The host of the fetching tests is this machine; no other host is accessed.
    """
    case = CASES[name]
    world.prepare(case, tmp_path / "place")
    recorded(*world.words(case), code=case.code)
    tally.note("commands under the recorder", name, cases=1)


@pytest.mark.slow
def test_the_demo_looks_nothing_up(recorded, tmp_path):
    recorded("rmset", "demo", "-o", "demo", "--quiet")
    tally.note("commands under the recorder", "rmset demo", cases=1)


def test_the_review_page_looks_nothing_up(recorded, world, tmp_path):
    """The server is asked for its page, then stopped."""
    pytest.importorskip("uvicorn")
    world.prepare(CASES["layout check"], tmp_path / "place")

    def until(process):
        line = ""
        while "http://" not in line:
            line = process.stdout.readline()
            assert line, "the page ended"
        url = re.search(r"http://\S+", line)[0]
        with urllib.request.urlopen(url) as page:
            assert page.status == 200
        os.kill(program(process.pid), signal.SIGTERM)

    recorded("rmset", "layout", "review", "--root", "root", "--no-open", code=143, until=until)
    tally.note("commands under the recorder", "rmset layout review", cases=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A tiny labeled folder set."""
    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"):
            (folder / split / name).mkdir(parents=True)
            for i in range(2):
                cv2.imwrite(str(folder / split / name / f"{i}.png"), rng.integers(0, 255, (32, 32, 3)).astype(np.uint8))
    return folder


@pytest.mark.slow
def test_an_offline_run_of_weights_and_biases_looks_nothing_up(recorded, images, tmp_path):
    pytest.importorskip("wandb")
    common = (
        "--labeled",
        f"folder:{images}",
        "--model",
        "resnet10t",
        "--image-size",
        "32",
        "--epochs",
        "1",
        "--workers",
        "0",
    )
    recorded("fertrain", "supervised", *common, "--wandb", "private", "--out", tmp_path / "run")


def test_telemetry_is_switched_off_by_the_import():
    code = (
        "import rmset, os, sys\n"
        "assert os.environ['HF_HUB_DISABLE_TELEMETRY'] == '1'\n"
        "import openvino\n"
        "assert 'openvino_telemetry.main' not in sys.modules\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_HUB")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    for package in ("fertrain", "rmset_cli.fertrain.app", "rmset_cli.rmset.app"):
        subprocess.run(
            [sys.executable, "-c", code.replace("import rmset", f"import {package}", 1)], check=True, env=environment
        )
