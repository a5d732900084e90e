"""Selection of video files in a folder, with reasons for skipped files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rmset.parts.probe import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Found:
    """Files below a path."""

    videos: list[Path] = field(default_factory=list)
    """videos in order; a file given directly counts under any name"""
    others: list[Path] = field(default_factory=list)
    """files whose names are not those of videos"""
    irregular: list[Path] = field(default_factory=list)
    """non-regular files with video names: broken links, FIFOs, devices"""

    def skipped(self) -> list[str]:
        """Return a line for each kind of skipped file."""
        lines = []
        if self.others:
            kinds = Counter(path.suffix.lower() or "no suffix" for path in self.others).most_common()
            named = ", ".join(f"{count} {suffix}" for suffix, count in kinds[:12])
            more = f" and {len(kinds) - 12} more kinds" if len(kinds) > 12 else ""
            lines.append(f"skipped, not named like a video: {named}{more}; name a file itself to take it")
        lines += [f"skipped, no regular file: {path}" for path in self.irregular]
        return lines


def below(path: Path) -> Found:
    """Return the path itself if it is a file, else all files in the folder and below."""
    found = Found()
    if not path.is_dir():
        found.videos.append(path)
        return found
    for each in sorted(path.rglob("*")):
        if each.is_dir():
            continue
        if each.suffix.lower() not in VIDEO_SUFFIXES:
            found.others.append(each)
        elif each.is_file():
            found.videos.append(each)
        else:
            found.irregular.append(each)
    return found


def videos_below(path: Path) -> list[Path]:
    """Return the path itself if it is a file, else the video files in the folder and below, sorted."""
    return below(path).videos
