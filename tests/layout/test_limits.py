"""Limits of the review page against other users and broken layouts: connections, time, memory, one video."""

import http.client
import json
import resource
import socket
import time
from dataclasses import asdict
from urllib.parse import urlsplit

import pytest

from rmset.errors import LayoutError
from rmset.layout_record import MOST_BOXES, MOST_SEGMENTS, Layout, Person, Segment, TriggerRegion
from rmset.review import limits
from rmset.stages.layout import check


def ask(address, method="GET", path="api/queue", body=None, **headers):
    parts = urlsplit(address)
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    line.request(method, parts.path + path, body=body, headers=headers)
    answer = line.getresponse()
    return answer.status, answer.read()


def drawn():
    """Contents of a layout file with two segments, one person and one region."""
    person = Person(0, (20.0, 20.0, 60.0, 70.0), (0.0, 0.0, 160.0, 180.0), "detected", 0.9)
    region = TriggerRegion((200.0, 40.0, 300.0, 140.0), "proposed", 0.9)
    segments = (Segment(0, 20, 5, (region,), (person,)), Segment(20, 30, 25, (region,)))
    return json.loads(Layout("v", (320, 180), segments).to_json())


def plain(root):
    video = root.video_ids()[0]
    return video, json.loads(root.layout(video).to_json())


SPOILT = {
    "NaN box": lambda v: v["segments"][0]["people"][0].update(box=[float("nan"), 0, 1, 1]),
    "infinite box": lambda v: v["segments"][0]["people"][0].update(box=[0, 0, float("inf"), 1]),
    "huge id": lambda v: v["segments"][0]["people"][0].update(person_id=10**30),
    "large id": lambda v: v["segments"][0]["people"][0].update(person_id=2**31),
    "negative id": lambda v: v["segments"][0]["people"][0].update(person_id=-1),
    "half an id": lambda v: v["segments"][0]["people"][0].update(person_id=0.5),
    "an id that is text": lambda v: v["segments"][0]["people"][0].update(person_id="0"),
    "source of nothing": lambda v: v["segments"][0]["people"][0].update(source={}),
    "unknown source": lambda v: v["segments"][0]["trigger_regions"][0].update(source="x"),
    "confidence of 2": lambda v: v["segments"][0]["trigger_regions"][0].update(confidence=2),
    "confidence of NaN": lambda v: v["segments"][0].update(confidence=float("nan")),
    "confidence that is text": lambda v: v["segments"][0].update(confidence="1"),
    "reviewed by a word": lambda v: v["segments"][0].update(reviewed="no"),
    "huge frame": lambda v: v["segments"][-1].update(end_frame=10**30),
    "a frame's fraction": lambda v: v["segments"][0].update(start_frame=0.5),
    "no size": lambda v: v.update(frame_size=[0, 0]),
    "a huge size": lambda v: v.update(frame_size=[10**9, 10**9]),
    "a list for segments": lambda v: v.update(segments=[[]]),
    "a number for people": lambda v: v["segments"][0].update(people=3),
    "an id of a list": lambda v: v.update(video_id=[]),
    "a schema of text": lambda v: v.update(schema="1"),
    "a box of three": lambda v: v["segments"][0]["people"][0].update(box=[1, 2, 3]),
    "true for a number": lambda v: v["segments"][0]["people"][0].update(box=[True, 0, 9, 9]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_an_invalid_layout_is_refused_on_reading(name):
    value = drawn()
    SPOILT[name](value)
    with pytest.raises(LayoutError) as told:
        Layout.from_json(json.dumps(value), "x.json")
    assert len(str(told.value).splitlines()) == 1
    assert len(str(told.value)) < 600


@pytest.mark.parametrize("text", ["", "[]", "null", "3", '"x"', "[" * 90_000, '{"schema": 1}', "\x00", '{"a":' * 9999])
def test_what_is_no_layout_is_one_line(text):
    with pytest.raises(LayoutError, match=r"^x\.json"):
        Layout.from_json(text, "x.json")


def many(segments, people):
    value = drawn()
    one = value["segments"][0]["people"][0]
    faces = [{**one, "person_id": n, "panel": None, "box": [n % 300, n % 170, n % 300 + 5, n % 170 + 5]}
             for n in range(people)]  # fmt: skip
    cut = [{"start_frame": n, "end_frame": n + 1, "reference_frame": n, "trigger_regions": [], "people": faces}
           for n in range(segments)]  # fmt: skip
    return json.dumps({**value, "segments": cut})


def test_segments_and_boxes_are_counted():
    for segments, people in ((MOST_SEGMENTS + 1, 0), (40_000, 0), (1, MOST_BOXES + 1)):
        with pytest.raises(LayoutError, match="at most"):
            Layout.from_json(many(segments, people))
    layout = Layout.from_json(many(MOST_SEGMENTS, 2))
    assert len(check(layout, MOST_SEGMENTS)) >= MOST_SEGMENTS
    assert len(check(Layout.from_json(many(2, MOST_BOXES)), 2)) > 0


def test_the_page_answers_spoilt_layouts_with_one_line_and_goes_on(address, root):
    video, before = plain(root)
    version = json.loads(ask(address, path=f"api/layout/{video}")[1])["version"]
    for spoil in SPOILT.values():
        _, value = plain(root)
        spoil(value)
        status, body = ask(address, "PUT", f"api/layout/{video}", json.dumps(value), **{"If-Match": version})
        assert status == 422, body
        assert len(json.loads(body)["error"].splitlines()) == 1
    assert json.loads(root.layout(video).to_json()) == before
    assert ask(address)[0] == 200


def test_an_unreadable_layout_affects_only_its_own_video(address, root):
    one, other = root.video_ids()
    for text in ("[]", "\x00", "[" * 50_000, '{"schema": 1, "frame_size": [1e999, 1]}'):
        root.write_text(root.layout_key(one), text)
        status, body = ask(address)
        assert status == 200
        assert {row["video_id"] for row in json.loads(body)} == {one, other}
        assert ask(address, path=f"api/layout/{one}")[0] == 422
        assert ask(address, path=f"api/layout/{other}")[0] == 200
    root.files.local(root.layout_key(one)).unlink()
    assert ask(address, "PUT", f"api/layout/{one}", root.layout(other).to_json(), **{"If-Match": "x"})[0] == 422


@pytest.mark.parametrize(
    "path", ["9" * 5000 + "/64", "-1/64", "1e3/64", "0/" + "9" * 30, "²/64", "99999999999999999999/64", "0/0x40"]
)
def test_numbers_of_frames_are_numbers(path, address, root):
    from urllib.parse import quote

    status, _ = ask(address, path=f"api/frame/{root.video_ids()[0]}/{quote(path)}")
    assert status in (404, 422)


def test_a_body_of_six_hundred_megabytes_is_not_read(address, root):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for headers in ("Content-Length: 600000000", "Transfer-Encoding: chunked", "Content-Length: -5"):
        parts = urlsplit(address)
        line = socket.create_connection((parts.hostname, parts.port), timeout=30)
        head = f"PUT {parts.path}api/layout/{root.video_ids()[0]} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n\r\n"
        line.sendall(head.encode())
        sent, chunk = 0, b"100000\r\n" + bytes(1 << 20) + b"\r\n" if "chunked" in headers else bytes(1 << 20)
        try:
            while sent < 600 << 20:
                line.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 32 << 20, headers
        line.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert ask(address)[0] == 200


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_half_open_connections_of_strangers_leave_the_page_alive(head, address):
    parts = urlsplit(address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    lines = []
    for _ in range(1300):
        lines.append(socket.create_connection((parts.hostname, parts.port), timeout=30))
        lines[-1].sendall(head)
    assert ask(address)[0] == 200
    for line in lines:
        line.close()
    assert ask(address)[0] == 200


def test_a_head_that_never_ends_is_not_waited_for(address, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_S", 0.3)
    parts = urlsplit(address)
    line = socket.create_connection((parts.hostname, parts.port), timeout=30)
    began = time.monotonic()
    try:
        while True:
            line.sendall(b"X")
            time.sleep(0.05)
            if time.monotonic() - began > 300:
                pytest.fail("the connection was kept")
    except OSError:
        pass


def test_endless_headers_are_refused(address):
    parts = urlsplit(address)
    line = socket.create_connection((parts.hostname, parts.port), timeout=30)
    sent = 0
    try:
        line.sendall(b"GET / HTTP/1.1\r\n")
        while sent < 64 << 20:
            line.sendall(b"x-a: " + b"y" * 4096 + b"\r\n")
            sent += 4096
    except OSError:
        pass
    assert sent < 16 << 20


def test_every_layout_of_the_root_is_still_read(root):
    for video in root.video_ids():
        layout = root.layout(video)
        assert Layout.from_json(layout.to_json()) == layout
        assert asdict(layout)["segments"]
