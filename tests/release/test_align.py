"""Alignment by hashes alone: any offset, other rates and tempos, cut parts; other videos are refused."""

import numpy as np
import pytest

from rmset.release.align import align
from rmset.release.hashes import Frames

COUNT, RATE = 1200, 30.0


def walk(seed, count=COUNT):
    """Hashes of a video: from frame to frame the picture changes in a few bits, what moves in more."""
    random = np.random.default_rng(seed)
    pictures = np.cumsum(random.random((count, 256)) < 0.01, axis=0) % 2
    moves = np.cumsum(random.random((count, 64)) < 0.1, axis=0) % 2
    return np.packbits(pictures, axis=1), np.packbits(moves, axis=1)


def video(shown, times, noise=0.0, seed=1, of=0):
    """A video that shows these frames at these times, ms, with a share of its bits flipped."""
    random = np.random.default_rng(seed)
    pictures, moves = walk(of)

    def noisy(rows):
        return rows ^ np.packbits(random.random((len(rows), rows.shape[1] * 8)) < noise, axis=1)

    return Frames(np.asarray(times, float), noisy(pictures[shown]), noisy(moves[shown]), np.full(len(shown), 3.0, "f4"))


@pytest.fixture(scope="module")
def released():
    return video(np.arange(COUNT), np.arange(COUNT) * 1000 / RATE)


def resampled(rate, tempo=1.0, start=0.0, stop=COUNT / RATE):
    """Frames that another rate shows of a part of the video, s, and their times."""
    times = np.arange(0, (stop - start) / tempo, 1 / rate)
    shown = np.rint((start + times * tempo) * RATE).astype(int).clip(max=COUNT - 1)
    return shown, times * 1000


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
@pytest.mark.parametrize("tempo", [1.0, 25 / 24])
def test_frames_of_other_rates_are_exact(released, rate, tempo):
    shown, times = resampled(rate, tempo, start=4.107)
    found = align(released, video(shown, times, noise=0.02))
    assert found is not None
    given = found.released >= 0
    # Of several that show one frame, one is given.
    assert (found.released[given] == shown[given]).mean() > 0.999
    assert found.frames == len(np.unique(shown))
    assert found.tempo == pytest.approx(tempo)
    assert found.offset_ms == pytest.approx(4107, abs=1000 / RATE)


def test_a_part_cut_from_the_middle_is_gone_and_the_rest_aligned(released):
    shown = np.concatenate([np.arange(0, 500), np.arange(740, COUNT)])
    found = align(released, video(shown, np.arange(len(shown)) * 1000 / RATE, noise=0.02))
    assert found is not None
    assert found.pieces == 2
    given = found.released >= 0
    assert given.mean() > 0.97
    assert np.array_equal(found.released[given], shown[given])


def test_foreign_parts_are_gone(released):
    pictures, moves = walk(7)
    mine = video(np.arange(COUNT), np.arange(COUNT) * 1000 / RATE)
    looks, motions = mine.hashes.copy(), mine.motion.copy()
    looks[300:700], motions[300:700] = pictures[300:700], moves[300:700]
    found = align(released, Frames(mine.time_ms, looks, motions, mine.strength))
    assert found is not None
    assert (found.released[320:680] == -1).all()
    assert np.array_equal(found.released[:280], np.arange(280))
    assert np.array_equal(found.released[720:], np.arange(720, COUNT))


def test_another_video_is_none(released):
    assert align(released, video(np.arange(COUNT), np.arange(COUNT) * 1000 / RATE, of=5)) is None


def test_the_margin_tells_that_a_still_video_cannot_be_placed(released):
    still = np.zeros(COUNT, int)
    frames = video(still, np.arange(COUNT) * 1000 / RATE)
    found = align(frames, Frames(frames.time_ms, frames.hashes, frames.motion, np.zeros(COUNT, np.float32)))
    assert found is not None
    assert found.margin == 0
