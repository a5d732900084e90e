"""Cases of unusual files: container × codec × flaw."""

from fractions import Fraction

import cv2
import numpy as np

from .kitchen import COUNT, H264, HEVC, RATE, Case, copied, cut_off, ffmpeg, film, joined, packets, spoiled
from .picture import SIZE

ALL = range(COUNT)
STEP = 1000 / RATE
VP8 = ("-c:v", "libvpx", "-b:v", "2M", "-pix_fmt", "yuv420p", "-g", "12", "-deadline", "realtime", "-cpu-used", "8")
VP9 = ("-c:v", "libvpx-vp9", "-b:v", "2M", "-pix_fmt", "yuv420p", "-g", "12", "-deadline", "realtime", "-cpu-used", "8")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "25", "-pix_fmt", "yuv420p", "-g", "12")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "2", "-pix_fmt", "yuv420p", "-g", "12")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "2")


def sound(seconds):
    """FFmpeg's options for a tone."""
    return ("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}")


def plain(name, how, **more):
    """A healthy file."""
    return Case(name, lambda folder: film(folder / name, *how), **more)


HEALTHY = [
    plain("h264.mp4", H264),
    plain("h264.mkv", H264),
    plain("h264.mov", H264),
    plain("h264.ts", H264),
    plain("h264.flv", H264),
    plain("h264-fragments.mp4", (*H264, "-movflags", "frag_keyframe+empty_moov")),
    plain("h264-open.mkv", (*H264, "-x264-params", "open-gop=1")),
    plain("h264-refresh.ts", (*H264[:-2], "-bf", "0", "-x264-params", "intra-refresh=1:keyint=12")),
    plain("h264-interlaced.ts", (*H264, "-flags", "+ildct+ilme", "-x264-params", "tff=1")),
    plain("h264-one-key.mp4", (*H264, "-g", "600")),
    plain("h264-10bit.mp4", (*H264, "-pix_fmt", "yuv420p10le")),
    plain("h264-444.mp4", (*H264, "-pix_fmt", "yuv444p")),
    plain("hevc.mp4", HEVC),
    plain("hevc-open.mkv", (*HEVC[:-1], HEVC[-1] + ":open-gop=1")),
    plain("hevc-layers.mkv", (*HEVC[:-1], HEVC[-1] + ":temporal-layers=3:b-adapt=0:b-pyramid=1")),
    plain("vp8.webm", VP8),
    plain(
        "vp8-hidden.webm", ("-c:v", "libvpx", "-b:v", "2M", "-g", "12", "-auto-alt-ref", "1", "-lag-in-frames", "16")
    ),
    plain("vp9.webm", VP9),
    plain(
        "vp9-hidden.webm",
        (
            "-c:v",
            "libvpx-vp9",
            "-b:v",
            "2M",
            "-g",
            "24",
            "-auto-alt-ref",
            "1",
            "-lag-in-frames",
            "16",
            "-cpu-used",
            "5",
        ),
    ),
    plain("vp9-alpha.webm", (*VP9, "-pix_fmt", "yuva420p")),
    plain("av1.mp4", AV1),
    plain("av1.webm", AV1),
    plain("mpeg4.avi", MPEG4),
    plain("mpeg4-b.mp4", (*MPEG4, "-bf", "2")),
    plain(
        "mpeg4-packed.avi",
        ("-c:v", "libxvid", "-q:v", "2", "-g", "12", "-bf", "2", "-vtag", "XVID"),
        numbers=None,
        notes=("timed",),
    ),
    plain("msmpeg4.avi", ("-c:v", "msmpeg4", "-q:v", "2", "-g", "12")),
    plain("mpeg2.ts", MPEG2),
    plain("mpeg2.mpg", (*MPEG2, "-f", "vob")),
    plain("mpeg1.mpg", ("-c:v", "mpeg1video", "-q:v", "2", "-g", "12", "-bf", "2")),
    plain("wmv2.wmv", ("-c:v", "wmv2", "-q:v", "2", "-g", "12")),
    plain("flv1.flv", ("-c:v", "flv", "-q:v", "2", "-g", "12")),
    plain("theora.ogv", ("-c:v", "libtheora", "-q:v", "9", "-g", "12")),
    plain("mjpeg.avi", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
    plain("prores.mov", ("-c:v", "prores_ks", "-profile:v", "0")),
    plain("ffv1.mkv", ("-c:v", "ffv1", "-g", "10", "-pix_fmt", "yuv420p")),
    plain("huffyuv.avi", ("-c:v", "huffyuv", "-pix_fmt", "yuv422p")),
    Case(
        "loop.gif",
        lambda f: film(f / "loop.gif", "-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse", rate=25),
        times=[40.0 * n for n in ALL],
    ),
    Case("one.mp4", lambda f: film(f / "one.mp4", *H264, numbers=[7]), numbers=[7]),
    Case("two.mkv", lambda f: film(f / "two.mkv", *H264, numbers=[7, 9]), numbers=[7, 9]),
]


def late_ts(folder):
    return packets(film(folder / "whole.ts", *H264), folder / "late.ts", lambda n: n >= 5)


def open_cut(folder):
    whole = film(folder / "whole.mkv", *HEVC[:-1], HEVC[-1] + ":open-gop=1")
    return packets(whole, folder / "open-cut.mkv", lambda n: n >= 12 + 1)


def open_cut_h264(folder):
    whole = film(folder / "whole.mkv", *H264, "-x264-params", "open-gop=1:scenecut=0:bframes=3:b-adapt=0")
    return packets(whole, folder / "open-cut-h264.mkv", lambda n: n >= 12 + 1)


def beside_cover(folder):
    cv2.imwrite(str(folder / "cover.png"), np.full((300, 300, 3), 90, np.uint8))
    video = film(folder / "video.mp4", *H264)
    how = ("-map", "1", "-map", "0", "-c:v:0", "mjpeg", "-disposition:v:0", "attached_pic", "-c:v:1", "copy")
    ffmpeg("-i", video, "-i", folder / "cover.png", *how, folder / "cover.mp4")
    return folder / "cover.mp4"


def song(folder):
    cv2.imwrite(str(folder / "cover.png"), np.full((300, 300, 3), 90, np.uint8))
    how = ("-map", "0", "-map", "1", "-c:a", "aac", "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    ffmpeg(*sound(2), "-i", folder / "cover.png", *how, folder / "song.mp4")
    return folder / "song.mp4"


def beside_slides(folder):
    slides = film(folder / "slides.mkv", *H264, numbers=[100, 101], rate=1)
    video = film(folder / "video.mkv", *H264)
    how = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "0", "-disposition:v:1", "default")
    ffmpeg("-i", slides, "-i", video, *how, folder / "slides-first.mkv")
    return folder / "slides-first.mkv"


def with_sound(folder):
    video = film(folder / "video.mp4", *H264)
    ffmpeg("-i", video, *sound(2), "-map", "1", "-map", "0", "-c:v", "copy", "-c:a", "aac", folder / "sound-first.mp4")
    return folder / "sound-first.mp4"


def shown(name, flag, **more):
    """A file with a rotation in its header, whose stored pictures are upright after it."""

    def make(folder):
        change = more.get("change")
        video = film(folder / "stored.mp4", *H264, change=change)
        return copied(video, folder / name, before=flag)

    return Case(name, make, notes=more.get("notes", ()))


def resized(width, height):
    return lambda image: cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def two_recordings(folder):
    parts = [film(folder / f"{n}.ts", *H264, numbers=range(20 * n, 20 * n + 20)) for n in range(2)]
    return joined(folder / "two-recordings.ts", *parts)


def long_pause(folder):
    first = film(folder / "0.ts", *H264, numbers=range(20))
    second = film(folder / "1.ts", *H264, "-output_ts_offset", "3600", numbers=range(20, 40))
    return joined(folder / "pause.ts", first, second)


def sizes(folder, name, *sizes_of):
    parts = [
        film(
            folder / f"{n}.ts",
            *H264,
            "-output_ts_offset",
            str(n * 20 / RATE),
            numbers=range(20 * n, 20 * n + 20),
            change=resized(*size),
        )
        for n, size in enumerate(sizes_of)
    ]
    return joined(folder / name, *parts)


def webrtc(folder):
    parts = [
        film(folder / f"{n}.webm", *VP8, numbers=range(20 * n, 20 * n + 20), change=resized(*size))
        for n, size in enumerate(((320, 240), (160, 120)))
    ]
    import av

    with av.open(str(folder / "webrtc.webm"), "w") as out:
        stream, start = None, 0
        for part in parts:
            with av.open(str(part)) as read:
                stream = stream or out.add_stream_from_template(read.streams.video[0])
                for packet in read.demux(video=0):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = packet.pts + start, packet.dts + start, stream
                        out.mux(packet)
            start += 667
    return folder / "webrtc.webm"


UNEVEN = np.cumsum([0, *np.random.default_rng(3).integers(20, 90, COUNT - 1)]).astype(float).tolist()


def uneven(folder, name):
    """Pictures at uneven times, written by PyAV."""
    import av

    from .picture import picture

    with av.open(str(folder / name), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"g": "12", "bf": "2", "crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, at in enumerate(UNEVEN):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = int(at), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return folder / name


def held_avi(folder):
    """Repeated pictures: AVI stores an empty chunk for each."""
    uneven = ("-vf", "settb=1/90,setpts=N*3", "-fps_mode", "passthrough", "-enc_time_base", "1:90")
    return film(folder / "held.avi", *H264[:-2], "-bf", "0", *uneven)


FLAWED = [
    Case("late.ts", late_ts, numbers=range(12, COUNT), notes=("lost",), quick=True),
    Case("open-cut.mkv", open_cut, numbers=None, notes=("lost",)),
    Case("open-cut-h264.mkv", open_cut_h264, numbers=None),
    Case("h264-b.avi", lambda f: film(f / "h264-b.avi", *H264), notes=("timed",), quick=True),
    Case("hevc-b.avi", lambda f: film(f / "hevc-b.avi", *HEVC), refused="no frame can be decoded"),
    Case("held.avi", held_avi, times=[STEP * n for n in ALL]),
    Case("uneven.mkv", lambda f: uneven(f, "uneven.mkv"), times=UNEVEN),
    Case("uneven.mp4", lambda f: uneven(f, "uneven.mp4"), times=UNEVEN),
    Case(
        "doubled-times.mkv",
        lambda f: copied(
            film(f / "a.mkv", *H264[:-2], "-bf", "0"),
            f / "doubled-times.mkv",
            "-bsf:v",
            "setts=pts=floor(N/2)*66:dts=floor(N/2)*66",
        ),
        times=[66.0 * (n // 2) for n in ALL],
    ),
    Case(
        "starts-late.mkv", lambda f: copied(film(f / "a.mkv", *H264), f / "starts-late.mkv", "-output_ts_offset", "5")
    ),
    Case(
        "starts-late.mp4", lambda f: copied(film(f / "a.mp4", *H264), f / "starts-late.mp4", "-output_ts_offset", "5")
    ),
    Case("wraps.ts", lambda f: copied(film(f / "a.ts", *H264), f / "wraps.ts", "-output_ts_offset", "95442.5")),
    Case("trim-end.mp4", lambda f: copied(film(f / "a.mp4", *H264), f / "trim-end.mp4", "-t", "0.5"), numbers=None),
    Case(
        "trim-start.mp4",
        lambda f: copied(film(f / "a.mp4", *H264, "-g", "30"), f / "trim-start.mp4", before=("-ss", "0.5")),
        numbers=range(15, COUNT),
        notes=("hidden",),
        quick=True,
    ),
    Case("two-recordings.ts", two_recordings, notes=("restarted",), quick=True),
    Case("pause.ts", long_pause, notes=("restarted",)),
    Case("sizes.ts", lambda f: sizes(f, "sizes.ts", (320, 240), (240, 180)), notes=("sizes",)),
    Case("webrtc.webm", webrtc, notes=("sizes",), times=[STEP * n if n < 20 else 667 + STEP * (n - 20) for n in ALL]),
    Case("cover.mp4", beside_cover, quick=True),
    Case("song.mp4", song, refused="sound with a picture", quick=True),
    Case("slides-first.mkv", beside_slides, notes=("stream",), referee=False),
    Case("sound-first.mp4", with_sound),
    shown("turned-90.mp4", ("-display_rotation", "90"), change=lambda i: np.rot90(i, -1), notes=("turned",)),
    shown("turned-180.mp4", ("-display_rotation", "180"), change=lambda i: np.rot90(i, 2), notes=("turned",)),
    shown("turned-270.mp4", ("-display_rotation", "270"), change=lambda i: np.rot90(i, 1), notes=("turned",)),
    shown("hflip.mp4", ("-display_hflip",), change=lambda i: i[:, ::-1], notes=("mirrored",)),
    shown("vflip.mp4", ("-display_vflip",), change=lambda i: i[::-1], notes=("mirrored",)),
    Case(
        "askew.mp4",
        lambda f: copied(film(f / "a.mp4", *H264), f / "askew.mp4", before=("-display_rotation", "30")),
        refused="askew",
    ),
    Case(
        "sar-4-3.mp4",
        lambda f: film(f / "sar-4-3.mp4", *H264, "-vf", "setsar=4/3", change=resized(240, 240)),
        notes=("squared",),
        quick=True,
    ),
    Case(
        "sar-1-2.mkv",
        lambda f: film(f / "sar-1-2.mkv", *H264, "-vf", "setsar=1/2", change=resized(320, 120)),
        notes=("squared",),
    ),
    Case(
        "sar-mpeg2.ts",
        lambda f: film(f / "sar-mpeg2.ts", *MPEG2, "-vf", "setdar=4/3", change=resized(240, 240)),
        notes=("squared",),
    ),
    Case("sar-absurd.mp4", lambda f: film(f / "sar-absurd.mp4", *H264, "-vf", "setsar=1/20"), notes=("squared",)),
    Case(
        "hd-untagged.mp4",
        lambda f: film(f / "hd-untagged.mp4", *H264, change=resized(1280, 960), numbers=range(12)),
        numbers=range(12),
        size=(1280, 960),
        notes=("color",),
    ),
    Case("12:30 reaction.mp4", lambda f: film(f / "plain.mp4", *H264).rename(f / "12:30 reaction.mp4")),
    Case("a%03d.mp4", lambda f: film(f / "plain.mp4", *H264).rename(f / "a%03d.mp4")),
    Case(
        "cut.mp4",
        lambda f: cut_off(film(f / "a.mp4", *H264, "-movflags", "faststart"), f / "cut.mp4", 0.6),
        numbers=None,
        fault="cut short",
    ),
    Case(
        "cut-no-header.mp4",
        lambda f: cut_off(film(f / "a.mp4", *H264), f / "cut-no-header.mp4", 0.6),
        refused="invalid data",
    ),
    Case("cut.avi", lambda f: cut_off(film(f / "a.avi", *MPEG4), f / "cut.avi", 0.6), numbers=None),
    Case("cut.ts", lambda f: cut_off(film(f / "a.ts", *H264), f / "cut.ts", 0.6), numbers=None),
    Case(
        "spoiled.mp4",
        lambda f: spoiled(film(f / "a.mp4", *H264), f / "spoiled.mp4", 0.5, 3000),
        numbers=None,
        fault="decode|damaged",
        referee=False,
    ),
    Case(
        "spoiled.ts",
        lambda f: spoiled(film(f / "a.ts", *H264), f / "spoiled.ts", 0.5, 3000),
        numbers=None,
        fault="missing",
        referee=False,
    ),
    Case("bare.h264", lambda f: film(f / "bare.h264", *H264), refused="ffmpeg -i"),
    Case(
        "page.mp4",
        lambda f: (f / "page.mp4").write_text("<html>sorry</html>") and f / "page.mp4",
        refused="expected a video",
    ),
    Case("empty.mp4", lambda f: (f / "empty.mp4").touch() or f / "empty.mp4", refused="empty file"),
    Case(
        "list.mp4",
        lambda f: (f / "list.mp4").write_text("#EXTM3U\n#EXTINF:1\na.ts\n") and f / "list.mp4",
        refused="playlist|invalid data",
    ),
    Case(
        "tone.mp4",
        lambda f: ffmpeg(*sound(1), "-c:a", "aac", f / "tone.mp4") or f / "tone.mp4",
        refused="without a video",
    ),
]

CASES = [*HEALTHY, *FLAWED]
