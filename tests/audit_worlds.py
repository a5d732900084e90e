"""Small pictures, faces and a segment for the tests of the audit."""

import numpy as np

from rmset.layout_record import Person, Segment, TriggerRegion

IN_FILM = (150.0, 50.0, 190.0, 100.0)
FACE, PANEL, REGION = (20.0, 20.0, 60.0, 70.0), (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 300.0, 200.0)


def pictures(cutting, count, seed):
    """Small pictures of a place with another scene each time, or always the same scene."""
    rng = np.random.default_rng(seed)
    scene = rng.normal(size=(14, 24)).astype(np.float32)
    return [rng.normal(size=(14, 24)).astype(np.float32) if cutting else scene for _ in range(count)]


SEGMENT = Segment(0, 60, 0, (TriggerRegion(REGION),), (Person(0, FACE, PANEL),))
