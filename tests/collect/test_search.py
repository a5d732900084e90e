"""Search, with a recorded engine that is a real yt-dlp plugin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rmset import manifest
from rmset.errors import UsageError
from rmset.stages.fetch.search import Filters, score
from rmset_cli.rmset.app import app

HERE = Path(__file__).parent
QUERIES = ["sad reaction mashup", "try not to laugh reaction mashup"]


def run(*arguments: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("RMSET_RECORDED_SEARCH", str(HERE / "recorded_search.json"))
    return CliRunner().invoke(app, ["search", "--engine", "recsearch", "--sleep", "0", *arguments])


def ids(path: Path) -> list[str]:
    return [e.video.rpartition("/")[2] for e in manifest.read(path)]


def test_the_likeliest_come_first_and_each_video_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(*QUERIES, "-o", "x.csv", cwd=tmp_path, monkeypatch=monkeypatch)
    assert done.exit_code == 0, done.stderr
    assert ids(tmp_path / "x.csv") == ["sadmashup01", "ccmashup006", "laughmash07"]
    for reason in ("height", "duration", "private", "known", "no id", "unlikely a mashup"):
        assert f"left out: 1 ({reason})" in done.stderr
    first = manifest.read(tmp_path / "x.csv")[0]
    assert (first.query, first.min_height, first.duration_s) == (QUERIES[0], 1080, 612.0)
    assert (first.extra["channel"], first.extra["height"]) == ("Mashup Central", "1080")


def test_what_a_manifest_has_is_not_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(QUERIES[0], "-o", "old.csv", cwd=tmp_path, monkeypatch=monkeypatch)
    run(*QUERIES, "-o", "new.csv", "--known", "old.csv", cwd=tmp_path, monkeypatch=monkeypatch)
    assert ids(tmp_path / "new.csv") == ["laughmash07"]
    run(*QUERIES, "-o", "old.csv", cwd=tmp_path, monkeypatch=monkeypatch)
    assert ids(tmp_path / "old.csv") == ["sadmashup01", "ccmashup006", "laughmash07"], "an output file is added to"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--license", "creative-commons"], ["ccmashup006"]),
        (["--language", "en"], ["sadmashup01", "laughmash07"]),
        (["--min-views", "50000"], ["sadmashup01"]),
        (["--min-height", "2160"], ["ccmashup006"]),
        (["--min-duration", "11:00"], ["ccmashup006", "laughmash07"]),
        (["--min-height", "720", "--max-duration", "600"], ["lowheight02"]),
    ],
)
def test_filters_keep_what_fits(
    options: list[str], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(*QUERIES, *options, "--format", "json", cwd=tmp_path, monkeypatch=monkeypatch)
    assert [row["video"].rpartition("/")[2] for row in json.loads(done.stdout)] == expected


def test_without_a_query_the_usage_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(cwd=tmp_path, monkeypatch=monkeypatch)
    assert isinstance(done.exception, UsageError)


def test_mashups_score_above_single_reactions_in_many_languages() -> None:
    mashups = [
        "Sad reaction mashup",
        "Реакции на трейлер: мэшап",
        "悲しいシーン リアクション マッシュアップ",
        "슬픈 리액션 매쉬업",
    ]
    others = ["My reaction to a sad film", "First time watching it!", "Podcast 12: a review"]
    assert min(score({"title": t}) for t in mashups) > max(score({"title": t}) for t in others)
    assert Filters().refuse({"title": "Cooking"}) == "unlikely a mashup"


def test_the_starter_queries_cover_emotions_and_languages() -> None:
    rows = manifest.read_queries(HERE.parents[1] / "manifests/queries.csv")
    assert {"sad reaction mashup", "try not to laugh reaction mashup"} <= {r["query"] for r in rows}
    assert len({r["language"] for r in rows}) >= 6
    assert {"happiness", "sadness", "surprise", "fear", "anger", "disgust"} <= {r["emotion"] for r in rows}
    assert len({r["query"] for r in rows}) == len(rows)
