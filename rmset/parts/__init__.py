"""What stages are made of: detectors, frames, crops, tracks, shards. No part knows a root or another stage."""
