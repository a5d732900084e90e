"""Videos modeled after public bug reports of other tools: each is read as a player shows it."""

import pytest

from rmset.errors import VideoError
from rmset.parts.frames import VideoReader
from rmset.parts.probe import probe

SHOWN = {
    "cover0.mp4": (90, (640, 360), {"stream"}),
    "h264.avi": (90, (640, 360), {"timed"}),
    "hflip.mp4": (90, (640, 360), {"mirrored"}),
    "move_cut.mkv": (80, (640, 360), {"lost"}),
    "sar43.mp4": (90, (640, 360), {"squared"}),
    "sizes.ts": (60, (640, 360), {"sizes", "restarted"}),
    "trim_end.mp4": (30, (640, 360), {"hidden"}),
    "vflip.mp4": (90, (640, 360), {"mirrored"}),
    "webrtc.webm": (90, (640, 360), {"sizes"}),
    "x264.avi": (90, (640, 360), {"timed"}),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_odd_video_is_read_as_a_player_shows_it_by_every_reader(real_data, name):
    frames, size, notes = SHOWN[name]
    found = probe(real_data / "odd_videos" / name)
    assert (found.frame_count, (found.width, found.height), set(found.notes)) == (frames, size, notes)
    assert found.fault is None
    with VideoReader(real_data / "odd_videos" / name, index=found.index) as reader:
        every = {f.frame_idx: (f.time_ms, hash(f.rgb.tobytes())) for f in reader.frames()}
        assert list(every) == list(range(frames))
        times = [time for time, _ in every.values()]
        assert times == sorted(times)
        assert times[-1] == pytest.approx((frames - 1) * 1000 / 30, abs=2)
        for stride in (3, 7):
            some = {f.frame_idx: (f.time_ms, hash(f.rgb.tobytes())) for f in reader.frames(stride=stride)}
            assert some == {n: every[n] for n in range(0, frames, stride)}
        wanted = [0, 1, *range(5, frames, 11), frames - 1]
        assert {f.frame_idx: (f.time_ms, hash(f.rgb.tobytes())) for f in reader.sample(wanted)} == {
            n: every[n] for n in wanted
        }


def test_sound_with_a_cover_is_no_video(real_data):
    with pytest.raises(VideoError, match="sound with a picture"):
        probe(real_data / "odd_videos" / "song.mp4")
