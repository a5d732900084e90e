"""Get videos into the root: from this machine's disk, or from hosts through yt-dlp.

    manifest entry ── targets ──> Target            an id for every video, before any request to its host
    target ────────── visit ────> downloaded file   yt-dlp, under one shared `pace` per host
    file ──────────── check ────> Probe             a file that lies is a failure, not a video
    probed file ───── take ─────> videos/<id>.*     linked in whole, its record last
    every ending ──── ledger ───> state/fetch/      done, waiting, or failed with yt-dlp's own cause

`fetch` in `rmset.stages.fetch.run` ties them together; yt-dlp itself is known to `visit` alone.
"""

from __future__ import annotations

from rmset.stages.fetch.folders import below, videos_below
from rmset.stages.fetch.take import add

__all__ = ["add", "below", "videos_below"]
