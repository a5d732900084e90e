"""Publish a root without pixels: whole or not at all, and the same bytes for the same root and options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RootError, UsageError
from rmset.files import sha256_of
from rmset.outputs import plain_errors, sync, written_folder
from rmset.parts.shards import CropWriter, batches
from rmset.progress import Progress, silent
from rmset.read.splits import splits
from rmset.release import card, tables
from rmset.release.consent import Consent, read_consent
from rmset.release.contents import Finished, Links, finished, links_of, renamed
from rmset.release.croissant import croissant
from rmset.release.datasheet import datasheet
from rmset.release.facts import Counts, Facts
from rmset.release.names import published_ids
from rmset.release.removals import NAME as REMOVED
from rmset.release.removals import removals_of, to_json
from rmset.release.scan import scan
from rmset.root import Root
from rmset.schema import CROP_FIELDS

CHECKSUMS = "checksums.sha256"
_FILLED_IN = ("README.md", "datasheet.md", "CITATION.cff")
"""texts with gaps that the publisher fills in, so that their bytes change"""
SCHEMA = 1


@dataclass(frozen=True)
class Options:
    """What a release holds, and how it is split."""

    name: str = "RMset"
    """title of the data set"""
    version: str = "1"
    seed: int = 0
    """of the splits"""
    persons: bool = False
    """publish who is the same person in several videos"""
    titles: bool = False
    """publish titles, uploaders and channels"""
    names: bool = False
    """keep the names of local files in their ids"""
    consent: Path | None = None
    """consent file: publish the crops of the people in it"""

    @property
    def asked(self) -> tuple[str, ...]:
        """What is asked for by name."""
        wanted = {
            "persons": self.persons,
            "titles": self.titles,
            "names": self.names,
            "pixels": self.consent is not None,
        }
        return tuple(sorted(name for name, is_asked in wanted.items() if is_asked))


@dataclass(frozen=True)
class Published:
    """A finished release."""

    path: Path
    facts: Facts
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """kind of file -> how many, bytes"""
    left_out: tuple[str, ...] = ()
    """a line for each video that is not in it"""


def publish(
    root: Root, output: Path | str, options: Options | None = None, *, progress: Progress = silent
) -> Published:
    """Write a release of a root.

    Args:
        root: the data set; its finished videos are published.
        output: folder of the release; missing, empty, or with the same release, which then stays as it is.
        options: what it holds.
        progress: progress callback on videos.

    Raises:
        RootError: no video is finished, a file is damaged, a removal is unfinished, or the place is not writable.
        UsageError: the consent file is wrong, or names somebody who is not in the root.
    """
    options, output = options or Options(), Path(output)
    with plain_errors(output, "-o"):
        before = output / CHECKSUMS if (output / CHECKSUMS).is_file() else None
        if before is None and output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise RootError(f"{output}: expected no folder or an empty one, found files; choose another place, with -o")
    consent = None if options.consent is None else read_consent(options.consent)
    videos, left_out = finished(root)
    if not videos:
        raise RootError(f"root {root.place}: expected finished videos, found none ({left_out[0]}); run `rmset build`")
    known = [(v.video_id, v.record.source_url) for v in videos]
    gone = [(t.video_id, t.source_url) for t in root.removed() if t.video_id not in dict(known)]
    ids = published_ids(dict([*gone, *known]).items(), with_names=options.names)
    with suppress(_AlreadyThere), written_folder(output) as folder:
        writing = _Writing(root, folder, options, ids, links_of(root), consent)
        for number, video in enumerate(sorted(videos, key=lambda v: ids[v.video_id])):
            progress("publish", number, len(videos))
            writing.add(video, progress)
        facts = writing.finish(len(left_out))
        progress("publish", len(videos), len(videos))
        for leak in scan(folder, options.asked, _words(root, videos, ids, options)):
            raise RootError(f"{leak.file}: expected a release without {leak.problem}, found it; nothing was published")
        files = _files(folder)
        if before is not None:
            if before.read_bytes() == (folder / CHECKSUMS).read_bytes():
                raise _AlreadyThere
            raise RootError(
                f"{output}: expected no release or the same one, found another; choose another place, with -o"
            )
        for path in folder.rglob("*"):
            sync(path)
    return Published(output, facts, files, tuple(left_out))


class _AlreadyThere(Exception):  # noqa: N818  (no error)
    """The same release is in its place already, perhaps with texts that its publisher has filled in: it stays."""


class _Writing:
    """One release as it is written, video by video."""

    def __init__(
        self, root: Root, folder: Path, options: Options, ids: Mapping[str, str], links: Links, consent: Consent | None
    ) -> None:
        self.root, self.folder, self.options, self.ids, self.links = root, folder, options, ids, links
        self.consent = consent
        self.counts = Counts()
        self.known: set[tuple[str, int]] = set()
        self.keys = {person: link["person_key"] for person, link in links.items()}
        self.by_key = False

    def add(self, video: Finished, progress: Progress) -> None:
        """Write the files of one video."""
        root, name, own = self.root, self.ids[video.video_id], video.video_id
        faces = video.faces(root)
        row, seen = video.row(root, faces, progress)
        row["video_id"] = name
        if self.options.titles:
            row |= {key: getattr(video.record, key) for key in ("title", "uploader", "channel")}
        people = self._people(own, faces)
        faces = faces.set_column(0, tables.faces().field("video_id"), pa.array([name] * len(faces), pa.string()))
        number = faces["person_id"].to_numpy()
        for split in tables.SPLITS:
            wanted = [p["person_id"] for p in people if p["split"] == split]
            if wanted:
                self._write(f"tracks/{split}/{name}.parquet", faces.filter(np.isin(number, wanted)))
                if self.consent is not None:
                    self._crops(own, f"crops/{split}/{name}", np.asarray(wanted))
        self._write(f"frames/{name}.parquet", seen.table())
        self._text(f"layouts/{name}.json", renamed(video.layout, name).to_json())
        self.counts.add(row, people, faces)

    def _people(self, own: str, faces: pa.Table) -> list[dict[str, Any]]:
        number, frame = faces["person_id"].to_numpy(), faces["frame_idx"].to_numpy()
        ids = np.unique(number).tolist()
        # By the ids of the release, so that anybody can repeat it.
        name = self.ids[own]
        keys = {(name, p): self.keys[own, p] for p in ids if (own, p) in self.keys}
        found, by = splits([(name, p) for p in ids], keys, self.options.seed)
        self.by_key |= by == "person_key"
        rows = []
        for person in ids:
            frames = frame[number == person]
            row = {
                "video_id": name, "person_id": person, "split": found[name, person], "faces": len(frames),
                "first_frame": int(frames[0]), "last_frame": int(frames[-1]),
            }  # fmt: skip
            link = self.links.get((own, person), {})
            if self.options.persons:
                row |= {key: link.get(key) for key in ("person_key", "similarity", "link")}
            rows.append(row)
            self.known.add((own, person))
        return rows

    def _crops(self, own: str, name: str, wanted: npt.NDArray[np.integer]) -> None:
        """Write the crops of people who consent."""
        assert self.consent is not None
        people = wanted[self.consent.allows(own, wanted)]
        if not len(people):
            return
        columns = [f.name for f in CROP_FIELDS if f.name != "encoded_size"]
        place = self.folder / f"{name}.parts"
        place.mkdir(parents=True)
        with CropWriter(place) as writer:
            for key in self.root.files.keys(f"{self.root.crops_key(own)}/part-*.parquet"):
                for batch in batches(self.root.files.local(key), columns, 256):
                    for row in batch.filter(pa.array(np.isin(batch["person_id"].to_numpy(), people))).to_pylist():
                        path = f"{self.ids[own]}/{row['image']['path'].partition('/')[2]}"
                        writer.add(row | {"video_id": self.ids[own], "image": row["image"] | {"path": path}})
        if len(writer.parts) > 1:
            raise UsageError(
                f"video {own}: expected less than a gigabyte of consented crops, found more; export smaller"
            )
        for part in writer.parts:
            part.replace(self.folder / f"{name}.parquet")
        place.rmdir()

    def finish(self, left_out: int) -> Facts:
        """Write what is about all videos, and the checksums last."""
        if self.consent is not None:
            self.consent.check(self.known)
        titles, persons = self.options.titles, self.options.persons
        self._write("videos.parquet", pa.Table.from_pylist(self.counts.videos, tables.videos(titles)))
        self._write("people.parquet", pa.Table.from_pylist(self.counts.people, tables.people(persons)))
        removed = removals_of(self.root, self.ids)
        facts = self.counts.facts(
            removed, name=self.options.name, version=self.options.version, seed=self.options.seed,
            split_by="person_key" if self.by_key else "video and person", asked=self.options.asked, left_out=left_out,
        )  # fmt: skip
        about = {"schema": SCHEMA, "name": facts.name, "version": facts.version, "asked": facts.asked,
                 "split": {"by": facts.split_by, "seed": facts.seed}}  # fmt: skip
        texts = {
            REMOVED: to_json(removed), "release.json": json.dumps(about, indent=1) + "\n",
            "statistics.json": facts.to_json(), "licenses.csv": card.licenses(facts), "README.md": card.card(facts),
            "datasheet.md": datasheet(facts), "CITATION.cff": card.citation(facts),
            "croissant.json": croissant(facts, self.folder),
        }  # fmt: skip
        for name, text in texts.items():
            self._text(name, text)
        paths = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())
        paths = [path for path in paths if path not in _FILLED_IN]
        self._text(CHECKSUMS, "".join(f"{sha256_of(self.folder / path)}  {path}\n" for path in paths))
        return facts

    def _write(self, name: str, table: pa.Table) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tables.write(path, table)

    def _text(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def _words(root: Root, videos: Sequence[Finished], ids: Mapping[str, str], options: Options) -> set[str]:
    """Texts of the root that must not be in the release."""
    words = {root.place, str(Path(root.place).resolve()), str(Path.home())} | {t.reason for t in root.removed()}
    for video in videos:
        r = video.record
        words |= set() if options.titles else {t for t in (r.title, r.uploader, r.channel) if t}
        words |= {r.query} if r.query else set()
        words |= {r.video_id} if ids[r.video_id] != r.video_id else set()
    # Addresses, and ids made of them, are needed to fetch the videos again, whatever is in them.
    public = " ".join([*(v.record.source_url or "" for v in videos), *ids.values(), options.name, options.version])
    return {word for word in words if word not in public}


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        kind = path.relative_to(folder).parts[0]
        count, size = found.get(kind, (0, 0))
        found[kind] = (count + 1, size + path.stat().st_size)
    return found
