"""Recorded search engine: real yt-dlp extractors with recorded answers, without the network."""

import json
import os
from pathlib import Path

from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor
from yt_dlp.utils import ExtractorError


def _recording() -> dict:
    return json.loads(Path(os.environ["RMSET_RECORDED_SEARCH"]).read_text(encoding="utf-8"))


class RecordedSearchIE(SearchInfoExtractor):
    IE_NAME = "recorded:search"
    _SEARCH_KEY = "recsearch"

    def _search_results(self, query):
        for row in _recording()["searches"].get(query, ()):
            yield self.url_result(f"recorded:{row['id']}", "RecordedVideo", row["id"], row["title"], **row["flat"])


class RecordedVideoIE(InfoExtractor):
    _VALID_URL = r"recorded:(?P<id>[A-Za-z0-9_-]+)"

    def _real_extract(self, url):
        video_id = self._match_id(url)
        video = _recording()["videos"].get(video_id)
        if video is None:
            raise ExtractorError("Private video. Sign in if you've been granted access", expected=True)
        formats = [
            {"format_id": str(h), "url": f"https://example.org/{video_id}/{h}.mp4", "height": h, "vcodec": "avc1"}
            for h in video.pop("heights")
        ]
        return {"id": video_id, "formats": formats, "webpage_url": f"https://example.org/watch/{video_id}", **video}
