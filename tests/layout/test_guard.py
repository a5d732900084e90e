"""Access control of the review page, tested without a browser."""

import http.client
from urllib.parse import urlsplit

import pytest


def ask(address, path="api/queue", **headers):
    parts = urlsplit(address)
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    line.request("GET", parts.path + path, headers=headers)
    answer = line.getresponse()
    return answer.status, answer


def test_the_page_listens_on_the_loopback_only(address):
    assert urlsplit(address).hostname == "127.0.0.1"


def test_the_address_works_as_it_is_shown(address):
    status, answer = ask(address)
    assert status == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_others_are_refused(address, headers):
    assert ask(address, **headers)[0] == 403


def test_a_stale_version_is_a_conflict_and_nothing_is_written(root):
    from rmset.review.desk import Desk, StaleError

    desk = Desk(root, root.video_ids())
    video = root.video_ids()[0]
    before = root.layout(video)
    with pytest.raises(StaleError, match="changed elsewhere"):
        desk.save(video, before.to_json(), "0" * 16)
    assert root.layout(video) == before


def test_a_layout_that_cannot_be_is_refused(root):
    from rmset.errors import LayoutError
    from rmset.review.desk import Desk

    desk = Desk(root, root.video_ids())
    video = root.video_ids()[0]
    opened = desk.open(video)
    broken = root.layout(video).to_json().replace("300.0", "900.0")
    with pytest.raises(LayoutError, match="inside the frame"):
        desk.save(video, broken, opened["version"])
