"""The four stages, in order: fetch, layout, track, export. None imports another; the pipeline joins them.

A stage is a pure function of `(root, video_id, config)`: same inputs, same bytes.
"""
