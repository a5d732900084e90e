"""No command looks a name up or opens a connection unasked, in any of its processes, and none leaves an id at home.

Two recorders: Python's own calls through a `sitecustomize`, and where the system has it `strace`, which sees programs of
other languages too.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
# ask it for the user's name, and where it runs not, a look-up of a host is seen on its way to the name server.
FAR = re.compile(
    r"(?:connect|sendto|sendmsg)\(.*?(?:sa_family=AF_INET,(?!.*inet_addr\(\"(?:127\.|0\.0\.0\.0)).*"
    r"|sa_family=AF_INET6,(?!.*\"::1?\").*|sin6?_port=htons\(53\).*|io\.systemd\.Resolve.*)"
)


def strace(folder):
    """Words that put a command under strace; none where the system lacks it or forbids it."""
    words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(folder / "strace")]
    if shutil.which("strace") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words
    return []


@pytest.fixture
def recorded(tmp_path):
    """Run a command in a home of its own; what it looked up, and what it left at home."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(RECORDER)
    (tmp_path / "home").mkdir()
    log = tmp_path / "lookups"
    log.write_text("")

    def run(*words, code=0):
        environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "CI", "WANDB_MODE")} | {
            "PYTHONPATH": str(tmp_path / "site"), "RECORDED_LOOKUPS": str(log), "HOME": str(tmp_path / "home"),
            "MPLCONFIGDIR": str(tmp_path / "mpl"), "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }  # fmt: skip
        command = [*strace(tmp_path), str(BIN / words[0]), *map(str, words[1:])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert done.returncode == code, done.stderr
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


@pytest.mark.slow
def test_building_a_root_with_workers_looks_nothing_up(recorded, mashup, tmp_path):
    place = ("--root", tmp_path / "root", "-q")
    recorded("rmset", "add", mashup[0], *place)
    recorded("rmset", "layout", "propose", *place)
    recorded("rmset", "track", "--jobs", "2", *place)
    recorded("rmset", "export", "--size", "64", *place)
    recorded("rmset", "build", tmp_path / "root" / "none.toml", *place, code=1)


def test_looking_at_a_root_looks_nothing_up(recorded, finished_root, mashup, tmp_path):
    root = shutil.copytree(finished_root.path, tmp_path / "root")
    (video_id,) = finished_root.video_ids()
    place = ("--root", root, "-q")
    for words in (
        ("status",), ("verify",), ("stats",), ("sql", "select count(*) from faces"), ("pairs", "--sample", "2"),
        ("sheet", video_id, "-o", tmp_path / "x.png"), ("preview", video_id, "-o", tmp_path / "x.mp4", "--seconds", "0.5"),
        ("layout", "check"), ("layout", "show", video_id), ("evaluate", "--truth", mashup[0].with_name("mashup.truth.json")),
        ("export", "--size", "48", "--force"),
    ):  # fmt: skip
        recorded("rmset", *words, *place)


def test_help_and_doctor_look_nothing_up(recorded):
    recorded("rmset", "--help")
    recorded("fertrain", "--help")
    recorded("fertrain", "recipes")
    recorded("fertrain", "datasets", "list")


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
def test_training_and_judging_look_nothing_up(recorded, images, tmp_path):
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
        "1",
    )
    recorded("fertrain", "supervised", *common, "--tensorboard", "--out", tmp_path / "run")
    recorded("fertrain", "evaluate", tmp_path / "run", "--on", f"folder:{images}")
    recorded("fertrain", "predict", tmp_path / "run", images / "test", "-o", tmp_path / "p.csv")


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
