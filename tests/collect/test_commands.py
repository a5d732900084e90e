"""The commands of collecting: fetch, add, build, status, doctor, estimate."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rmset.engine import build
from rmset.errors import ManifestError, UsageError
from rmset.inspect import doctor
from rmset.inspect.calibrate import Rates
from rmset.inspect.estimate import PAPER_COVERAGE, estimate
from rmset.layout_record import Layout, Person, Segment
from rmset.manifest import Entry, write
from rmset.root import Root
from rmset.stages import fetch as collect
from rmset.stages.export import ExportConfig
from rmset.stages.fetch.background import Background
from rmset.stages.fetch.run import Fetching
from rmset_cli.rmset.app import app
from rmset_cli.rmset.fetching import parse_moment, parse_rate

from .clips import small
from .conftest import gentle
from .host import Host, too_many
from .test_faults import damaged

QUICK = ["--min-height", "48", "--sleep", "0", "--pause", "0.01", "--backoff", "0.1", "--timeout", "2"]


def rmset(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def rows(result: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_fetch_ends_with_a_table_of_causes_and_status_shows_them(host: Host, root: Root, clips_folder: Path) -> None:
    good = host.put("/good.mp4", small(clips_folder))
    write(root.path / "m.csv", [Entry(good), Entry(host.url + "/a.mp4"), Entry(host.url + "/b.mp4")])
    done = rmset("fetch", root.path / "m.csv", "--root", root.path, *QUICK, "--format", "csv")
    assert done.exit_code == 1
    assert [(r["state"], r["cause"], r["videos"]) for r in rows(done)] == [
        ("done", "", "1"),
        ("failed", "removed", "2"),
    ]
    assert "404" in rows(done)[1]["in its own words"]
    shown = {r["video_id"].rpartition("-")[0]: r for r in rows(rmset("status", "--root", root.path, "-f", "csv"))}
    assert shown["good"]["fetch"] == "done"
    assert shown["good"]["track"] == "waiting"
    assert shown["a"]["fetch"] == "failed"
    assert shown["a"]["why"].startswith("removed: ")
    causes = rows(rmset("status", "--causes", "--root", root.path, "-f", "csv"))
    assert [(r["state"], r["cause"], r["videos"]) for r in causes] == [("done", "", "1"), ("failed", "removed", "2")]
    assert "how fetching ended" in rmset("status", "--root", root.path).stdout


def test_retry_tries_what_failed_for_good(host: Host, root: Root, clips_folder: Path) -> None:
    write(root.path / "m.csv", [Entry(host.url + "/late.mp4")])
    command = ["fetch", root.path / "m.csv", "--root", root.path, *QUICK]
    assert rmset(*command).exit_code == 1
    host.put("/late.mp4", small(clips_folder))
    assert rmset(*command).exit_code == 1
    assert rmset(*command, "--retry", "private").exit_code == 1
    assert rmset(*command, "--retry", "failed").exit_code == 0
    assert isinstance(rmset(*command, "--retry", "bears").exception, UsageError)


@pytest.mark.parametrize("command", ["fetch", "build"])
@pytest.mark.parametrize("line", ["/etc/passwd,", "clip.mp4,", "../clip.mp4,", "http://x/y.mp4,/etc/passwd"])
def test_a_manifest_cannot_read_local_files(command: str, line: str, root: Root, clips_folder: Path) -> None:
    (root.path / "clip.mp4").write_bytes(small(clips_folder))
    (root.path / "m.csv").write_text(f"video,layout\n{line}\n")
    done = rmset(command, root.path / "m.csv", "--root", root.path / "r")
    assert isinstance(done.exception, ManifestError)
    assert "line 2" in str(done.exception)
    assert "--allow-local-files" in str(done.exception)
    assert not (root.path / "r").exists()


def test_local_files_are_added_when_allowed_and_a_broken_one_stops_no_other(root: Root, clips_folder: Path) -> None:
    (root.path / "a.mp4").write_bytes(small(clips_folder))
    (root.path / "bad.mp4").write_bytes(b"no video")
    layout = Layout("other", (96, 64), (Segment(0, 40, 0, people=(Person(0, (1, 1, 20, 20)),)),))
    (root.path / "a.json").write_text(layout.to_json())
    (root.path / "m.csv").write_text("video,title,split,layout\nbad.mp4,,,\na.mp4,My mashup,test,a.json\n")
    done = rmset("fetch", root.path / "m.csv", "--root", root.path / "r", "--allow-local-files", "-f", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)[0]["cause"] == "broken file"
    place = Root(root.path / "r")
    (video_id,) = place.video_ids()
    assert (place.record(video_id).title, place.record(video_id).split) == ("My mashup", "test")
    assert place.layout(video_id).video_id == video_id
    assert len(place.layout(video_id).segments[0].people) == 1


def test_add_links_where_it_can_copies_if_asked_and_tells_of_damage(root: Root, clips_folder: Path) -> None:
    source = root.path / "clip.MP4"
    source.write_bytes(small(clips_folder))
    video = collect.add(root, source)
    assert root.video_path(video.video_id).samefile(source)
    other = Root(root.path / "other")
    video = collect.add(other, source, copy=True)
    assert not other.video_path(video.video_id).samefile(source)
    assert collect.add(other, source) == video
    source.with_name("bad.mp4").write_bytes(damaged(small(clips_folder)))
    assert "does not decode" in (collect.add(other, source.with_name("bad.mp4")).fault or "")
    done = rmset("add", root.path, "--root", root.path / "third", "-f", "json")
    assert done.exit_code == 0
    assert {r["size"] for r in json.loads(done.stdout)} == {"96x64"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_has_arrived_is_worked_on_while_the_rest_waits(
    jobs: int, host: Host, root: Root, clips_folder: Path
) -> None:
    here, late = (host.put(f"/{n}.mp4", small(clips_folder)) for n in ("here", "late"))
    host.always["/late.mp4"] = too_many(3600)
    fetching = Fetching(root, gentle(jobs=1))
    with Background(fetching, [Entry(here), Entry(late)]) as arrivals:
        ids = (o.record.video_id for o in arrivals if o.video is not None)
        outcome = next(iter(build(root, ids, [("export", ExportConfig())], jobs=jobs)))
        assert outcome.video_id.startswith("here-")
        assert "no tracks yet" in (outcome.error or "")
        assert len(root.video_ids()) == 1
        fetching.stop()


def test_a_fault_in_the_background_is_raised_where_outcomes_are_read(root: Root) -> None:
    with Background(Fetching(root, gentle()), [Entry("/etc/passwd")]) as arrivals, pytest.raises(ManifestError):
        next(arrivals)


def test_moments_and_rates_are_read_as_people_write_them() -> None:
    assert [parse_moment("--from", t) for t in ("90", "1:30", "1:02:03.5", None)] == [90, 90, 3723.5, None]
    assert [parse_rate(t) for t in ("500K", "5M", "1.5GiB/s", "100", None)] == [
        500 * 1024, 5 * 1024**2, 1.5 * 1024**3, 100, None,
    ]  # fmt: skip
    for wrong in ("soon", "-1", "1:2:3:4", ""):
        with pytest.raises(UsageError):
            parse_moment("--from", wrong)
    for wrong in ("fast", "0", "-5M"):
        with pytest.raises(UsageError):
            parse_rate(wrong)


def test_an_estimate_is_the_arithmetic_of_rates(root: Root, clips_folder: Path, tmp_path: Path) -> None:
    rates = Rates(200.0, 36.0, 0.001, 0.0005, 12_000, 2, 1.0)
    entries = [Entry("aaaaaaaaaaa", duration_s=1000), Entry("bbbbbbbbbbb")]
    cost = estimate(root, entries, rates, people=10, stride=3)
    assert (cost.videos, cost.assumed_durations, cost.frames) == (2, 1, 60_000)
    assert cost.crops == round(20_000 * 10 * PAPER_COVERAGE)
    assert cost.crop_bytes == pytest.approx(cost.crops * 12_000, rel=1e-5)
    assert cost.decode_hours == pytest.approx(2 * 60_000 / 200 / 3600)
    assert cost.track_hours == pytest.approx((600_000 * PAPER_COVERAGE * 0.001 + 72) / 3600, rel=1e-5)
    assert cost.export_hours == pytest.approx(cost.crops * 0.0005 / 3600, rel=1e-5)
    assert cost.download_bytes == pytest.approx(2 * 1000 * 4.04e6 / 8, rel=0.01), "about 4 Mbit/s"
    (tmp_path / "clip.mp4").write_bytes(small(clips_folder))
    video = collect.add(root, tmp_path / "clip.mp4")
    cost = estimate(root, [Entry(video.video_id)], rates)
    assert (cost.videos_here, cost.download_bytes, cost.frames) == (1, 0, 40)


def test_more_workers_are_faster_until_the_cores_are_busy() -> None:
    rates = Rates(200.0, 36.0, 0.001, 0.0005, 12_000, cores=4, busy=1.6)
    assert [rates.speedup(jobs) for jobs in (1, 2, 3, 8)] == [1, 2, 2.5, 2.5]
    assert Rates(200.0, 36.0, 0.001, 0.0005, 12_000, cores=1, busy=1.6).speedup(2) == 1


def test_the_doctor_names_a_remedy_for_all_that_is_wrong(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = doctor.examine(root)
    assert all(f.remedy for f in findings if f.state != "ok")
    assert {"yt-dlp", "deno", "yt-dlp-ejs", "decode H.264", "decode AV1", "ffmpeg", "disk"} <= {
        f.what for f in findings
    }
    assert doctor.yt_dlp_age(date(2026, 8, 20)).state == "ok"
    assert doctor.yt_dlp_age(date(2027, 8, 20)).state == "warning"

    def without_gl(name: str) -> object:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(doctor.importlib, "import_module", without_gl)
    finding = doctor.opencv()
    assert finding.state == "missing"
    assert "apt install libgl1" in finding.remedy
    assert "opencv-python-headless" in finding.remedy


def test_doctor_reports_a_full_disk(root: Root) -> None:
    huge = estimate(root, [Entry("aaaaaaaaaaa", duration_s=9e8)], Rates(200.0, 1.0, 0.001, 0.001, 12_000, 2, 1.0))
    assert not huge.fits
    assert doctor.disk(root, huge).state == "missing"


@pytest.mark.parametrize("command", ["search", "fetch", "add", "build", "status", "doctor", "estimate"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: rmset {command}" in " ".join(rmset(command, "--help").stdout.split())
