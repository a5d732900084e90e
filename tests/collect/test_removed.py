"""Videos that were removed from a root are not fetched again."""

from __future__ import annotations

from pathlib import Path

from rmset.removal import remove_video
from rmset.root import Root
from rmset.stages.fetch.causes import Cause

from .clips import small
from .conftest import fetch_all
from .host import Host


def test_a_removed_video_is_not_asked_for_again(host: Host, root: Root, clips_folder: Path) -> None:
    body = small(clips_folder)
    url = host.put("/a.mp4", body)
    fetched = fetch_all(root, [url])["a.mp4"].record.video_id
    remove_video(root, fetched, "taken down")
    visits = len(host.paths())
    record = fetch_all(root, [url])["a.mp4"].record
    assert (record.status, record.cause) == ("failed", Cause.TAKEN_OUT)
    assert record.error is not None
    assert record.error.endswith("taken down")
    assert len(host.paths()) == visits
    assert root.video_ids() == []


def test_the_bytes_of_a_removed_video_are_refused_under_another_address(
    host: Host, root: Root, clips_folder: Path
) -> None:
    body = small(clips_folder)
    fetched = fetch_all(root, [host.put("/a.mp4", body)])["a.mp4"].record.video_id
    remove_video(root, fetched, "taken down")
    record = fetch_all(root, [host.put("/b.mp4", body)])["b.mp4"].record
    assert (record.status, record.cause) == ("failed", Cause.TAKEN_OUT)
    assert root.files.keys("videos/*") + root.files.keys("state/downloads/*") == []
