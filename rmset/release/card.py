"""The texts beside a release's tables: the card for Hugging Face, the licenses, the citation."""

from __future__ import annotations

import csv
import io
import json

from rmset.release.facts import Facts

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))  # fmt: skip
_PAPER = "RMFER: Semi-Supervised Contrastive Learning for Facial Expression Recognition With Reaction Mashup Video"
GAP = "**TO BE FILLED IN BY THE PUBLISHER**"


def card(facts: Facts) -> str:
    """Return `README.md`: front matter that the hub and `datasets.load_dataset` read, then prose."""
    size = next((name for most, name in _SIZES if facts.faces < most), "n>100M")
    lines = ["---", f"pretty_name: {json.dumps(facts.name)}", "license: other", "license_name: see-licenses-csv",
             "license_link: licenses.csv", "task_categories:", "- image-classification", "tags:",
             "- facial-expression-recognition", "- face-tracking", "- unlabeled", "size_categories:", f"- {size}",
             "configs:", *_config("faces", [(s, f"tracks/{s}/*.parquet") for s in facts.splits], default=True),
             *_config("videos", [("full", "videos.parquet")]), *_config("people", [("full", "people.parquet")]),
             *_config("frames", [("full", "frames/*.parquet")])]  # fmt: skip
    if "pixels" in facts.asked:
        lines += _config("crops", [("full", "crops/*/*.parquet")])
    return "\n".join([*lines, "---", "", _prose(facts)])


def _config(name: str, files: list[tuple[str, str]], default: bool = False) -> list[str]:
    lines = [f"- config_name: {name}", *(["  default: true"] if default else []), "  data_files:"]
    for split, pattern in files:
        lines += [f"  - split: {split}", f"    path: {pattern}"]
    return lines


def _prose(facts: Facts) -> str:
    splits = "\n".join(f"| {n} | {row['people']:,} | {row['faces']:,} |" for n, row in facts.splits.items())
    licenses = "\n".join(f"| {_cell(n)} | {row['videos']:,} | {row['faces']:,} |" for n, row in facts.licenses.items())
    pixels = (
        "The folder `crops` has pictures of those people only for whom the publisher holds their consent."
        if "pixels" in facts.asked
        else "It has no picture, no embedding and no name: crops are made again from the videos."
    )
    persons = "" if facts.persons is None else f" ({facts.persons:,} different ones, by `person_key`)"
    return f"""# {facts.name}

Faces of people who react to films in mashup videos: ids and addresses of the videos, trigger regions, face boxes by
frame, and the settings by which software cuts the same crops again. {pixels}

| | |
|---|---|
| videos | {facts.videos:,} ({facts.hours:,.2f} hours, {facts.frames:,} frames) |
| people | {facts.people:,}{persons} |
| faces | {facts.faces:,} |
| version | {facts.version} |

## Rebuild the crops

```
pip install rmset
rmset rebuild . --root data/rebuilt            # downloads the videos
rmset rebuild . --root data/rebuilt --from videos/   # or takes them from a folder
rmset pull-removals URL-OF-A-LATER-removed.json --root data/rebuilt
```

Videos that their host has encoded again are aligned by the hashes in `frames/`. The table at the end says which videos
are identical, equivalent, or gone.

## Files

| file | content |
|---|---|
| `videos.parquet` | one row per video: id, address, license, size, rate, sha256, settings of all stages |
| `people.parquet` | one row per person of a video, with the split |
| `tracks/SPLIT/VIDEO.parquet` | one row per face and frame: box (xyxy, px), score, landmarks |
| `layouts/VIDEO.json` | segments, trigger regions, people and their panels |
| `frames/VIDEO.parquet` | time (µs) and perceptual hash (dHash, 256 bits) of each frame |
| `removed.json` | what was removed, by id and hash; `rmset pull-removals` applies it |
| `statistics.json`, `licenses.csv`, `release.json` | counts, licenses, options of the release |
| `datasheet.md`, `croissant.json`, `CITATION.cff` | datasheet, description in Croissant, citation |
| `checksums.sha256` | for `sha256sum -c` |

```python
import datasets

faces = datasets.load_dataset(".", "faces", split="{next(iter(facts.splits), "train")}")
```

## Splits

By {facts.split_by}, seed {facts.seed}: {_split_note(facts)}

| split | people | faces |
|---|---|---|
{splits}

## Licenses of the videos

The videos belong to their owners; this release has none of their pixels or sound.

| license | videos | faces |
|---|---|---|
{licenses}

## Removal

People who are shown and do not want to be part of this data set are taken out on request: {GAP}
(contact). Removed people are in no table of this release; who has rebuilt it applies later removals by
`rmset pull-removals`.
"""


def _split_note(facts: Facts) -> str:
    if facts.split_by == "person_key":
        return "a person is in one split, in all videos."
    return "a person of a video is in one split; the same person in another video may be in another one."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def licenses(facts: Facts) -> str:
    """Return `licenses.csv`: license, videos, faces."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["license", "videos", "faces"])
    writer.writerows([name, row["videos"], row["faces"]] for name, row in facts.licenses.items())
    return out.getvalue()


def citation(facts: Facts) -> str:
    """Return `CITATION.cff` of the data set."""
    return f"""cff-version: 1.2.0
message: Please cite this data set and the paper whose method it follows.
title: {json.dumps(facts.name)}
type: dataset
version: {json.dumps(facts.version)}
authors:
  - name: TO BE FILLED IN BY THE PUBLISHER
references:
  - type: conference-paper
    title: {json.dumps(_PAPER)}
    year: 2024
    conference:
      name: IEEE/CVF Winter Conference on Applications of Computer Vision (WACV)
    authors:
      - name: The authors of RMFER
"""
