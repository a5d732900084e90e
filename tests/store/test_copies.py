"""Copies of removed videos are recognized at their arrival, whatever was done to them, and other videos are not."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from rmset import removal
from rmset.errors import RemovedError, RootError
from rmset.inspect.absence import absence
from rmset.parts.fingerprint import SIDE, Fingerprint, fingerprint, moments
from rmset.parts.twins import twin
from rmset.read.fingerprints import fingerprint_of, kept_fingerprint, read_fingerprint
from rmset.root import Root
from rmset.stages import fetch
from rmset.synth.encode import Encoder
from rmset_cli.rmset.app import app

SIZE, FPS, SECONDS = (160, 96), 10.0, 16


def pictures(seed, film=0):
    """A mashup in miniature: a film that cuts (left) and six panels of blobs that move in their own way."""
    rng, cuts = np.random.default_rng(seed), np.random.default_rng(film + 1000)
    panels = rng.uniform(-1, 1, (6, 8, 2)), rng.uniform(0.5, 3, (6, 8)), rng.uniform(0, 6, (6, 8))
    scenes = cuts.integers(0, 255, (40, 4, 4)).astype(np.uint8)
    times = np.sort(cuts.uniform(0, SECONDS, 20))
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 32)), axis=-1)
    for n in range(int(FPS * SECONDS)):
        t = n / FPS
        image = np.full((SIZE[1], SIZE[0]), 16, np.uint8)
        scene = scenes[np.searchsorted(times, t)]
        image[:, :40] = cv2.resize(scene, (40, 96), interpolation=cv2.INTER_NEAREST)
        for p in range(6):
            blobs = np.zeros(grid.shape[:2])
            for k in range(8):
                at = panels[0][p, k] + 0.6 * np.sin(panels[1][p, k] * t + panels[2][p, k])
                blobs += np.exp(-((grid - at) ** 2).sum(axis=-1) * 6)
            x, y = 40 + 40 * (p % 3), 48 * (p // 3) + 8
            image[y : y + 32, x : x + 40] = np.clip(40 + 160 * blobs, 0, 255)
        yield image


def write(path, images, size=SIZE, fps=FPS):
    with Encoder(path, size, fps) as encoder:
        for image in images:
            encoder.write(np.ascontiguousarray(np.repeat(cv2.resize(image, size)[..., None], 3, axis=2)))
    return path


def cropped(image, x0=0.1, y0=0.02, x1=0.98, y1=0.9):
    height, width = image.shape
    return image[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)]


def with_logo(image):
    image = image.copy()
    image[4:16, 130:156] = 250
    return image


EDITS = {
    "smaller": (lambda i: i, (128, 72), FPS),
    "mirrored": (lambda i: i[:, ::-1], SIZE, FPS),
    "cropped": (cropped, SIZE, FPS),
    "faster": (lambda i: i, SIZE, FPS * 1.1),
    "slower": (lambda i: i, SIZE, FPS * 0.9),
    "logo": (with_logo, SIZE, FPS),
    "all": (lambda i: cropped(with_logo(i))[:, ::-1], (128, 72), FPS * 1.06),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Files: the original, its copies, and three others."""
    folder = tmp_path_factory.mktemp("films")
    original = list(pictures(1))
    made = {"original": write(folder / "original.mp4", original)}
    for name, (edit, size, fps) in EDITS.items():
        made[name] = write(folder / f"{name}.mp4", map(edit, original), size, fps)
    made["part"] = write(folder / "part.mp4", original[50:])
    made["same film"] = write(folder / "same-film.mp4", pictures(2))
    made["other"] = write(folder / "other.mp4", pictures(3, film=7))
    made["black"] = write(folder / "black.mp4", (np.full_like(original[0], 16) for _ in range(60)))
    return made


@pytest.fixture(scope="module")
def prints(films):
    return {name: fingerprint_of(path, None) for name, path in films.items()}


@pytest.mark.parametrize("name", [*EDITS, "part"])
def test_a_copy_is_recognized_in_both_directions(prints, name):
    for one, two in ((prints["original"], prints[name]), (prints[name], prints["original"])):
        found = twin(one, two)
        assert found is not None
        assert found.is_copy, found


def test_the_edit_is_measured(prints):
    assert twin(prints["original"], prints["mirrored"]).mirrored
    assert twin(prints["original"], prints["faster"]).speed == pytest.approx(1.1, abs=0.01)
    assert twin(prints["original"], prints["part"]).offset_s == pytest.approx(5, abs=0.3)
    window = twin(prints["original"], prints["cropped"]).window
    np.testing.assert_allclose(window, (0.1, 0.02, 0.98, 0.9), atol=0.03)


@pytest.mark.parametrize("name", ["same film", "other", "black"])
def test_another_video_is_no_copy_even_of_the_same_film(prints, name):
    for one, two in ((prints["original"], prints[name]), (prints[name], prints["original"])):
        found = twin(one, two)
        assert found is None or not found.is_copy


def test_a_fingerprint_holds_no_picture_that_stands_still():
    still = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    assert not fingerprint([still] * 40).signal.any()


def test_moments_are_those_of_the_clock_not_of_the_frames():
    assert moments(np.array([0.0, 100, 200, 900, 1000])).tolist() == [0, 2, 2, 2, 4]
    assert moments(np.empty(0)).tolist() == []


def test_fingerprints_of_the_same_video_are_the_same_bytes(films, tmp_path):
    root = Root(tmp_path / "root")
    video = fetch.add(root, films["original"]).video_id
    first = kept_fingerprint(root, video)
    key = f"state/fingerprints/{video}.parquet"
    before = root.files.sha256(key)
    root.files.local(key).write_bytes(b"damaged")
    np.testing.assert_array_equal(kept_fingerprint(root, video).signal, first.signal)
    assert root.files.sha256(key) == before


def test_copies_of_a_removed_video_are_refused_and_others_taken(films, tmp_path):
    root = Root(tmp_path / "root")
    video = fetch.add(root, films["original"]).video_id
    early = fetch.add(root, films["faster"]).video_id
    removal.remove_video(root, video, "taken down")
    assert isinstance(read_fingerprint(root.files.local(root.removed_fingerprint_key(video)))[0], Fingerprint)
    for name in ("mirrored", "all"):
        with pytest.raises(RemovedError, match=f"a copy of {video} .*which was removed on .*taken down") as refused:
            fetch.add(root, films[name])
        assert "\n" not in str(refused.value)
    kept = fetch.add(root, films["same film"]).video_id
    assert fetch.add(root, films["mirrored"], allow_copies_of=[video]).video_id in root.video_ids()
    findings = {f.video_id: f.problem for f in absence(root)}
    assert f"looks like {video}, which was removed (at 1.10 of its speed)" in findings[early]
    assert kept not in findings


def test_a_manifest_goes_on_after_a_copy(films, tmp_path):
    root = Root(tmp_path / "root")
    removal.remove_video(root, fetch.add(root, films["original"]).video_id, "taken down")
    (tmp_path / "m.csv").write_text(f"video\n{films['smaller']}\n{films['other']}\n")
    command = ["fetch", str(tmp_path / "m.csv"), "--allow-local-files", "--root", str(root.path), "--min-height", "48"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert "a copy of original-" in told.output
    assert [v.partition("-")[0] for v in root.video_ids()] == ["other"]


def test_a_damaged_fingerprint_of_a_removed_video_stops_arrivals(films, tmp_path):
    root = Root(tmp_path / "root")
    video = fetch.add(root, films["original"]).video_id
    removal.remove_video(root, video, "taken down")
    root.files.local(root.removed_fingerprint_key(video)).write_bytes(b"nothing")
    with pytest.raises(RootError, match="expected a fingerprint, found"):
        fetch.add(root, films["other"])
