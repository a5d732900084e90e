"""One pace for all workers: all keep a host's silence, and one probe ends or prolongs it."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest

from rmset.manifest import Entry
from rmset.root import Root
from rmset.stages.fetch import ledger
from rmset.stages.fetch.causes import Cause
from rmset.stages.fetch.pace import HostSilent, Pace, Stopped, host_of, retry_after
from rmset.stages.fetch.run import Fetching

from .clips import small
from .conftest import fetch_all, gentle
from .host import Fault, Host, too_many


def test_names_of_one_platform_share_a_pace() -> None:
    assert host_of("https://www.youtube.com/watch?v=x") == host_of("https://youtube.com/")
    assert host_of("https://rr1---sn-a.googlevideo.com/x") == host_of("https://rr7---sn-b.googlevideo.com/y")
    assert host_of("http://127.0.0.1:1/") != host_of("http://127.0.0.1:2/")
    assert host_of("http://[::1]:80/") == "::1:80"


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after({"Retry-After": "120"}, 0) == 120
    assert retry_after({"Retry-After": formatdate(1_000_060, usegmt=True)}, 1_000_000) == 60
    assert retry_after({"Retry-After": formatdate(5, usegmt=True)}, 1_000_000) == 0
    assert retry_after({"Retry-After": "soon"}, 0) is None
    assert retry_after({}, 0) is None


def test_silence_doubles_with_every_refused_probe_and_ends_with_an_answer() -> None:
    told: list[float] = []
    pace = Pace(backoff=0.1, tell=lambda host, until, why: told.append(until - time.time()))
    for _ in range(3):
        pace.enter("h")
        pace.refused("h", "429")
    assert [round(t, 1) for t in told] == [0.1, 0.2, 0.4]
    pace.enter("h")
    pace.answered("h")
    assert pace.silences() == {}
    pace.refused("h", "429")
    assert round(told[-1], 1) == 0.1


def test_requests_already_under_way_do_not_double_the_silence() -> None:
    pace = Pace(backoff=10)
    for _ in range(5):
        pace.refused("h", "429")
    (until, _, _) = pace.silences()["h"]
    assert 9 < until - time.time() <= 10


def test_a_bot_check_is_over_when_a_whole_visit_ends_well() -> None:
    pace = Pace(backoff=0.01)
    pace.refused("h", "not a bot", whole_visit=True)
    pace.enter("h")
    pace.answered("h")
    assert pace.silences()
    pace.answered("h", visited=True)
    assert not pace.silences()


def test_a_probe_that_ends_without_an_answer_prolongs_the_silence() -> None:
    pace = Pace(backoff=0.01)
    pace.refused("h", "429")
    pace.enter("h")
    pace.left()
    (until, _, _) = pace.silences()["h"]
    assert until > time.time()


def test_one_worker_probes_while_the_others_wait() -> None:
    pace = Pace(backoff=0.05)
    pace.refused("h", "429")
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        pace.enter("h")
        inside.append(1)
        most.append(len(inside))
        if len(most) == 1:
            time.sleep(0.2)
            assert len(inside) == 1
        pace.answered("h")

    workers = [threading.Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(most) == 5


def test_patience_ends_and_a_stop_wakes_waiting_workers() -> None:
    pace = Pace(patience=5)
    pace.refused("h", "429 Too Many Requests", 60)
    with pytest.raises(HostSilent, match="429"):
        pace.enter("h")
    pace = Pace(backoff=60)
    pace.refused("h", "429")
    ended: list[type] = []

    def work() -> None:
        try:
            pace.enter("h")
        except Stopped:
            ended.append(Stopped)

    worker = threading.Thread(target=work)
    worker.start()
    pace.stop()
    worker.join()
    assert ended == [Stopped]


def silent_spans(host: Host, seconds: float) -> list[tuple[float, float]]:
    return [(seen.time, seen.time + seconds) for seen in host.log if seen.status == 429]


def test_in_a_storm_no_request_falls_into_a_silence(host: Host, root: Root, clips_folder: Path) -> None:
    """Four workers, every request refused for a while: one probe per interval, then everything arrives."""
    body = small(clips_folder)
    urls = [host.put(f"/{n}.mp4", body) for n in range(8)]
    started = time.time()
    wait = 0.4
    host.chance = lambda path, nth: too_many(wait) if time.time() < started + 1.5 else None
    outcomes = fetch_all(root, urls, jobs=4)
    assert {o.record.status for o in outcomes.values()} == {"done"}
    refused = [seen for seen in host.log if seen.status == 429]
    # Only requests already under way at the first refusal may fall into its silence.
    for probe in refused[4:]:
        assert not any(begin + 0.1 < probe.time < end - 0.02 for begin, end in silent_spans(host, wait))
    probes = [seen.time for seen in refused[4:]]
    assert all(later - earlier >= wait - 0.02 for earlier, later in pairwise(probes))
    assert host.open_most <= 4


def test_a_host_that_asks_for_longer_than_the_patience_is_left_to_the_next_run(
    host: Host, root: Root, clips_folder: Path
) -> None:
    urls = [host.put(f"/{n}.mp4", small(clips_folder)) for n in range(5)]
    host.chance = lambda path, nth: too_many(3600)
    outcomes = fetch_all(root, urls, jobs=1, patience=10)
    assert {o.record.cause for o in outcomes.values()} == {Cause.RATE_LIMITED}
    assert "asks for silence until" in (outcomes["4.mp4"].record.error or "")
    assert len(host.log) == 1
    host.chance = lambda path, nth: None
    fetch_all(root, urls, patience=10)
    assert len(host.log) == 1, "also the next run keeps the silence that was asked for"


def test_a_silent_host_does_not_stop_the_others(host: Host, root: Root, clips_folder: Path) -> None:
    other = Host()
    try:
        slow, fast = host.put("/slow.mp4", small(clips_folder)), other.put("/fast.mp4", small(clips_folder))
        # Silent until the other video has arrived, but not forever: a failed video must not hang the test.
        host.chance = lambda path, nth: too_many(0.2) if nth < 300 and not root.video_ids() else None
        order = list(fetch_all(root, [slow, fast], jobs=2))
        assert order == ["fast.mp4", "slow.mp4"]
    finally:
        other.close()


def test_stopping_ends_waiting_workers_and_leaves_the_videos_waiting(
    host: Host, root: Root, clips_folder: Path
) -> None:
    url = host.put("/a.mp4", small(clips_folder))
    host.chance = lambda path, nth: too_many(3600)
    fetching = Fetching(root, gentle(), tell=lambda host, until, why: fetching.stop())
    outcomes = list(fetching.outcomes([Entry(url)]))
    assert [o.record.status for o in outcomes] == ["waiting"]
    assert [r.status for r in ledger.read_all(root)] == ["waiting"]


def test_a_bot_check_makes_all_workers_back_off(host: Host, root: Root, clips_folder: Path) -> None:
    """Only the message shows a bot check, not the status, so the pace learns of it at the visit's end."""
    url = host.put("/a.mp4", small(clips_folder))
    told: list[str] = []
    host.faults["/a.mp4"] = [Fault(403, reason="Sign in to confirm you are not a bot")] * 3
    fetching = Fetching(root, gentle(backoff=0.05), tell=lambda host, until, why: told.append(why))
    (outcome,) = fetching.outcomes([Entry(url)])
    assert outcome.record.status == "done"
    assert len(told) == 3
    assert all("not a bot" in why for why in told)
