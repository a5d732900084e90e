"""`croissant.json`: the release in the words of Croissant 1.0 (MLCommons), so that its records are read through it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from rmset import schema
from rmset.release import tables
from rmset.release.facts import Facts

_PARQUET = "application/x-parquet"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}  # fmt: skip
_RECORD_SETS = {
    "videos": "One row per video: id, address, license, size, rate, hash, settings.",
    "people": "One row per person of a video, with the split.",
    "faces": "One row per face and frame: box (xyxy, px), score, landmarks.",
    "frames": "Time and perceptual hash of each frame.",
    "crops": "Pictures of people whose consent the publisher holds.",
}


def croissant(facts: Facts, folder: Path) -> str:
    """Return the description of a release whose tables lie in `folder`."""
    shown: list[tuple[str, pa.Schema]] = [
        ("videos", tables.videos("titles" in facts.asked)),
        ("people", tables.people("persons" in facts.asked)),
        ("faces", tables.faces()),
    ]
    if "pixels" in facts.asked:
        shown.append(("crops", pa.schema([f for f in schema.crops() if f.name != "image"])))
    raw = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": f"{facts.faces:,} faces of {facts.people:,} people who react to films in {facts.videos:,} "
        "mashup videos: ids, addresses, boxes and settings; crops are rebuilt from the videos.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "licenses.csv",
        "version": facts.version,
        "citeAs": "See CITATION.cff",
        "isLiveDataset": False,
        "distribution": [
            _file(folder, "videos"), _file(folder, "people"),
            _files("faces", "tracks/*/*.parquet"), _files("frames", "frames/*.parquet"),
            *([_files("crops", "crops/*/*.parquet")] if "pixels" in facts.asked else []),
        ],
        "recordSet": [_record_set(name, fields) for name, fields in shown],
    }  # fmt: skip
    return json.dumps(raw, indent=1) + "\n"


def _file(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.parquet"
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}-file",
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _PARQUET,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _files(name: str, pattern: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-file",
        "name": f"{name}-files",
        "encodingFormat": _PARQUET,
        "includes": pattern,
    }


def _record_set(name: str, fields: pa.Schema) -> dict[str, Any]:
    kind = "fileSet" if name in ("faces", "frames", "crops") else "fileObject"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": _RECORD_SETS[name],
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field.name}",
                "name": field.name,
                "description": field.name.replace("_", " "),
                "dataType": _type(field.type),
                **({"repeated": True} if pa.types.is_fixed_size_list(field.type) else {}),
                "source": {kind: {"@id": f"{name}-file"}, "extract": {"column": field.name}},
            }
            for field in fields
        ],
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
