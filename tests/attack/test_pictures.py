"""Pictures and weights with a false, huge size are refused before memory is allocated."""

import resource
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from fertrain.datasets.images import decode as decode_labeled
from fertrain.datasets.sources import FolderBytes, ZipBytes
from fertrain.errors import DatasetError, WeightsError
from fertrain.models import weights
from fertrain.transforms.input_spec import InputSpec
from rmset.parts.pictures import decode
from tests.attack import tally

GIB = 1 << 30


def jpeg(width, height):
    """A small JPEG whose header has another size."""
    import simplejpeg

    data = bytearray(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8), quality=50, colorspace="RGB"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png(width, height):
    """A PNG of one color, which compresses to few bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packed = zlib.compressobj(9)
    row = b"\0" * (1 + width * 3)
    body = b"".join(packed.compress(row) for _ in range(min(height, 50))) + packed.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head), 0, 0, 14 + len(head)) + head


def gif(width, height):
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00" + b"\0" * 6 + frame + b";"


def webp(width, height):
    body = b"VP8L" + struct.pack("<I", 5) + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0"
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def tiff(width, height):
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (279, 4, 1, 1),
    ]
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *t) for t in tags)
        + b"\0\0\0\0"
    )


def pnm(width, height):
    return f"P6 {width} {height} 255\n".encode() + b"\0" * 30


HUGE = {
    "jpeg": jpeg(65500, 65500), "png": png(30000, 30000), "bmp": bmp(30000, 30000), "gif": gif(65535, 65535),
    "webp": webp(16383, 16383), "tiff": tiff(60000, 60000), "pnm": pnm(60000, 60000),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
def test_a_picture_that_says_it_is_huge_is_refused_before_it_is_decoded(kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="pixels"):
        decode(HUGE[kind])
    for gray in (False, True):
        with pytest.raises(DatasetError):
            decode_labeled(HUGE[kind], "x", gray=gray)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp"])
def test_pictures_of_ordinary_size_are_decoded(kind):
    import cv2

    image = np.full((40, 60, 3), 128, np.uint8)
    data = bytes(cv2.imencode(".jpg" if kind == "jpeg" else f".{kind}", image)[1])
    assert decode(data).shape == (40, 60, 3)
    assert decode_labeled(data, "x", gray=True).shape == (40, 60, 1)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_pictures_are_refused_or_decoded(seed):
    import cv2

    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 255, (40, 60, 3)).astype(np.uint8)
    sources = [bytes(cv2.imencode(end, noise)[1]) for end in (".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm")]
    sources += list(HUGE.values())
    for _ in range(150):
        data = bytearray(sources[rng.integers(len(sources))])
        for _ in range(rng.integers(1, 8)):
            data[rng.integers(min(len(data), 80))] = rng.integers(256)
        if rng.random() < 0.3:
            del data[rng.integers(1, len(data)) :]
        try:
            image = decode(bytes(data))
        except ValueError as error:
            said = str(error)
            assert "\n" not in said
        else:
            assert image.size <= 3 * 100_000_000
        try:
            decode_labeled(bytes(data), "x", gray=False)
        except DatasetError as error:
            said = str(error)
            assert "\n" not in said
    tally.note("fuzzed inputs", "pictures under two decoders", cases=150)


def test_files_that_never_end_are_no_pictures(tmp_path):
    import os

    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(40 * GIB)
    for name in ("fifo.png", "zero.png", "sparse.png"):
        with pytest.raises(DatasetError):
            FolderBytes(tmp_path).get(name)


def test_a_member_of_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.png", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(b"\0" * (1 << 20))
    with pytest.raises(DatasetError, match="at most"):
        ZipBytes(tmp_path / "x.zip").get("x.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    "meta",
    [
        {"model": "vit_giant_patch14_224"},
        {"model": "eva_giant_patch14_224"},
        {"labels": '["x"]', "head": "embedding 2000000000"},
        {"labels": "[" + ", ".join(f'"{i}"' for i in range(200_000)) + "]", "head": "embedding 300000"},
    ],
    ids=["vit", "eva", "embedding", "labels"],
)  # fmt: skip
def test_a_tiny_file_that_names_a_giant_network_is_refused_before_it_is_built(tmp_path, meta):
    """Load it in a separate process, whose memory is measured."""
    spec = _spec()
    path = tmp_path / "x.safetensors"
    import torch
    from safetensors.torch import save_file

    save_file(
        {"head.weight": torch.zeros(2, 4)}, str(path),
        metadata={"model": "resnet10t", "labels": '["a", "b"]', "input": spec, "head": "linear"} | meta,
    )  # fmt: skip
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom fertrain.errors import WeightsError\nfrom fertrain.models import weights\n"
        "import timm\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: weights.load(Path(sys.argv[1]))\nexcept WeightsError as error: print(str(error).count(chr(10)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    lines, grown = map(int, done.stdout.split())
    assert lines == 0
    assert grown < 700 << 10


def test_an_image_size_that_no_network_has_is_refused(tmp_path):
    import json

    import torch
    from safetensors.torch import save_file

    spec = json.loads(_spec()) | {"size": 1_000_000}
    save_file(
        {"head.weight": torch.zeros(2, 4)}, str(tmp_path / "x.safetensors"),
        metadata={"model": "resnet10t", "labels": '["a", "b"]', "input": json.dumps(spec)},
    )  # fmt: skip
    with pytest.raises(WeightsError, match="4096 px"):
        weights.load(tmp_path / "x.safetensors")


def _spec():
    return InputSpec(64, 3, (0.5,) * 3, (0.5,) * 3).to_json()
