"""Building blocks of stages: detectors, frames, crops, tracks, shards. They do not depend on roots or stages."""
