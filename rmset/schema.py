"""The Arrow schemas of the files in a root, and their version.

`tracks/<video_id>.parquet` holds one row per face and frame, without pixels. `crops/<video_id>/part-NNN.parquet`
holds the pixels; its `image` column is the struct{bytes, path} that Hugging Face's `datasets` shows as pictures.
The schema version stands in the metadata of every file, under `rmset.schema`.
"""

from __future__ import annotations

import json

import pyarrow as pa

VERSION = 1
VERSION_KEY = b"rmset.schema"

# How a face's box came about.
DETECTED, REFINED, INTERPOLATED = "detected", "refined", "interpolated"

FACE_FIELDS = [
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("person_id", pa.int16(), nullable=False),
    pa.field("part", pa.int16(), nullable=False),  # a track is cut into parts at long gaps
    pa.field("segment", pa.int16(), nullable=False),
    pa.field("frame_idx", pa.int32(), nullable=False),
    pa.field("time_ms", pa.float64(), nullable=False),
    pa.field("x0", pa.float32(), nullable=False),
    pa.field("y0", pa.float32(), nullable=False),
    pa.field("x1", pa.float32(), nullable=False),
    pa.field("y1", pa.float32(), nullable=False),
    pa.field("score", pa.float32(), nullable=False),
    pa.field("source", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    pa.field("iou_ref", pa.float32(), nullable=False),
    pa.field("landmarks", pa.list_(pa.float32(), 10)),  # x and y of eyes, nose, mouth corners in turn
]

CROP_FIELDS = [
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("person_id", pa.int16(), nullable=False),
    pa.field("segment", pa.int16(), nullable=False),
    pa.field("frame_idx", pa.int32(), nullable=False),
    pa.field("time_ms", pa.float64(), nullable=False),
    pa.field("width", pa.int16(), nullable=False),
    pa.field("height", pa.int16(), nullable=False),
    # nullable because Hugging Face declares its images so; never null
    pa.field("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
    pa.field("encoded_size", pa.int32(), nullable=False),  # bytes of image.bytes, known without reading them
    pa.field("sharpness", pa.float32(), nullable=False),  # variance of the Laplacian of the gray crop
    pa.field("brightness", pa.float32(), nullable=False),  # mean gray value, 0 to 1
    pa.field("yaw", pa.float32(), nullable=False),  # 0 frontal, about ±1 profile; NaN without landmarks
    pa.field("padding", pa.float32(), nullable=False),  # share of the crop that lies outside frame or panel
]

_HUGGING_FACE = {"info": {"features": {"image": {"_type": "Image"}}}}


def faces() -> pa.Schema:
    """Return schema of `tracks/<video_id>.parquet`."""
    return pa.schema(FACE_FIELDS, metadata={VERSION_KEY: str(VERSION).encode()})


def crops() -> pa.Schema:
    """Return schema of `crops/<video_id>/part-NNN.parquet`."""
    metadata = {VERSION_KEY: str(VERSION).encode(), b"huggingface": json.dumps(_HUGGING_FACE).encode()}
    return pa.schema(CROP_FIELDS, metadata=metadata)


def version_of(schema: pa.Schema) -> int:
    """Return the version that a file was written with; 0 if it does not say."""
    return int((schema.metadata or {}).get(VERSION_KEY, b"0"))
