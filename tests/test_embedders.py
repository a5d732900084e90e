"""User-supplied networks as embedders; end to end, an audit finds a swap and `--mend` corrects it."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from rmset.answers import PERSON
from rmset.errors import UsageError
from rmset.geometry import as_boxes
from rmset.inspect import evaluate
from rmset.layout_record import Layout, Person, Segment
from rmset.parts import identity as embedders
from rmset.pipeline import run_stage
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.audit import AuditConfig
from rmset.stages.track import TrackConfig
from rmset.synth.encode import Encoder
from rmset.synth.faces import Person as Face
from rmset.synth.faces import Pose
from rmset.synth.identity import cast
from rmset.truth import Truth, TruthFace, TruthSegment
from rmset_cli.rmset.app import app
from tests.networks import mean_color

WIDE, TALL, FRAMES, SWAP = 320, 240, 150, 80


@pytest.fixture(scope="module")
def pictures():
    """A person in the light and a person in the dark: (picture, box) of each."""
    shown = [Face(p).render("neutral", 0.0, Pose(), (WIDE, TALL)) for p in cast("embedders", 2, 1)]
    lights = [(0.45, 140.0), (0.5, 0.0)]
    return [
        (np.clip(s.image * gain + more, 0, 255).astype(np.uint8), s.box)
        for s, (gain, more) in zip(shown, lights, strict=True)
    ]


@pytest.fixture
def swapped(tmp_path, pictures):
    """A tracked root in which two people change places while their ids stay with the panels, and the truth."""
    (bright, a), (dark, b) = pictures
    panels = [(0.0, 0.0, float(WIDE), float(TALL)), (float(WIDE), 0.0, 2.0 * WIDE, float(TALL))]
    with Encoder(tmp_path / "swap.mp4", (2 * WIDE, TALL), 30) as encoder:
        for frame in range(FRAMES):
            encoder.write(np.hstack([bright, dark] if frame < SWAP else [dark, bright]))
    root = Root(tmp_path / "root")
    record = fetch.add(root, tmp_path / "swap.mp4")

    def at(box, right):
        return tuple(float(v) for v in np.add(box, (WIDE, 0, WIDE, 0) if right else 0))

    people = (Person(0, at(a, False), panels[0], "manual"), Person(1, at(b, True), panels[1], "manual"))
    root.write_layout(Layout(record.video_id, record.frame_size, (Segment(0, FRAMES, 0, (), people, True),)))
    assert run_stage(root, record.video_id, "track", TrackConfig()).status == "done"
    faces = [
        TruthFace(frame, who, at((a, b)[who], (frame >= SWAP) != bool(who)), None, 1.0)
        for frame in range(FRAMES)
        for who in (0, 1)
    ]
    parts = [
        TruthSegment(0, SWAP, (), dict(enumerate(panels))),
        TruthSegment(SWAP, FRAMES, (), {0: panels[1], 1: panels[0]}),
    ]
    return root, record.video_id, Truth(30.0, record.frame_size, tuple(parts), tuple(faces))


def test_an_onnx_file_of_the_users_tells_faces_apart(tmp_path, pictures):
    made = embedders.load(str(mean_color(tmp_path / "mean.onnx")))
    vectors = [made.embed(image, as_boxes([box, box])) for image, box in pictures]
    assert made.name == "mean.onnx"
    assert [v.shape for v in vectors] == [(2, 3), (2, 3)]
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(vectors), axis=1), 1, atol=1e-5)
    assert np.linalg.norm(vectors[0][0] - vectors[0][1]) < made.same
    assert np.linalg.norm(vectors[0][0] - vectors[1][0]) > made.other


def test_an_onnx_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "no.onnx").write_bytes(struct.pack("<4I", 1, 2, 3, 4))
    with pytest.raises(UsageError, match="expected an ONNX network, found none"):
        embedders.load(str(tmp_path / "no.onnx"))


def test_an_audit_sees_a_swap_and_mend_puts_it_right(tmp_path, swapped):
    root, video_id, truth = swapped
    network = str(mean_color(tmp_path / "mean.onnx"))
    assert evaluate.video(root, video_id, truth).row["idf1"] < 0.6
    told = CliRunner().invoke(
        app, ["audit", "--root", str(root.path), "--embedder", network, "--mend", "--format", "json"]
    )
    assert told.exit_code == 0, told.output
    wrong = [row for row in json.loads(told.stdout) if row["question"] == PERSON]
    assert {row["answer"] for row in wrong} == {"no"}
    assert {row["person_id"] for row in wrong} == {0, 1}
    assert f"run `rmset track {video_id}`" in told.stderr
    assert root.confidence(video_id) < 0.8
    assert [[p.person_id for p in s.people] for s in root.layout(video_id).segments] == [[0, 1], [1, 0]]
    again = CliRunner().invoke(app, ["track", "--root", str(root.path), "--embedder", network, "--quiet"])
    assert again.exit_code == 0, again.output
    after = evaluate.video(root, video_id, truth).row
    assert after["recall"] > 0.97
    assert after["idf1"] >= 0.95
    assert [a.good for a in root.audit(video_id).answers if a.question == PERSON] == [True]
    # Right or not, somebody should look.
    assert root.confidence(video_id) == 0.75


def proposed(root, video_id):
    """Make the root's layout one that only the program has seen; track and audit it."""
    drawn = root.layout(video_id)
    (segment,) = drawn.segments
    people = tuple(replace(p, source="detected") for p in segment.people)
    root.write_layout(replace(drawn, segments=(replace(segment, people=people, reviewed=False),)))


def tracked_by(root, network, *options):
    told = CliRunner().invoke(app, ["track", "--root", str(root.path), "--embedder", network, *options])
    assert told.exit_code == 0, told.output
    (video_id,) = root.video_ids()
    return [(s.start_frame, [p.person_id for p in s.people]) for s in root.layout(video_id).segments]


def test_ids_of_a_proposed_layout_are_corrected_at_the_very_frame_and_tracked_again(tmp_path, swapped):
    root, video_id, truth = swapped
    network = str(mean_color(tmp_path / "mean.onnx"))
    proposed(root, video_id)
    assert tracked_by(root, network, "--no-mend") == [(0, [0, 1])]
    assert root.confidence(video_id) < 0.8
    assert tracked_by(root, network) == [(0, [0, 1]), (SWAP, [1, 0])]
    assert evaluate.video(root, video_id, truth).row["idf1"] > 0.98
    assert root.confidence(video_id) == 0.75
    before = root.files.local(root.tracks_key(video_id)).read_bytes()
    assert tracked_by(root, network) == [(0, [0, 1]), (SWAP, [1, 0])]
    assert root.files.local(root.tracks_key(video_id)).read_bytes() == before


def test_ids_are_corrected_again_if_the_second_audit_sees_more_but_not_endlessly(tmp_path, swapped):
    root, video_id, _ = swapped
    network = str(mean_color(tmp_path / "mean.onnx"))
    proposed(root, video_id)
    before = root.layout(video_id)
    root.write_layout(replace(before, corrected=3))
    assert tracked_by(root, network) == [(0, [0, 1])]
    root.write_layout(replace(before, corrected=1))
    assert tracked_by(root, network) == [(0, [0, 1]), (SWAP, [1, 0])]
    assert root.layout(video_id).corrected == 2


def test_a_run_that_ended_between_audit_and_correction_is_completed(tmp_path, swapped):
    root, video_id, _ = swapped
    network = str(mean_color(tmp_path / "mean.onnx"))
    proposed(root, video_id)
    for stage, config in (("track", TrackConfig()), ("audit", AuditConfig(embedder=network))):
        assert run_stage(root, video_id, stage, config).status == "done"
    assert tracked_by(root, network) == [(0, [0, 1]), (SWAP, [1, 0])]


def test_ids_of_a_layout_that_somebody_has_drawn_are_never_changed_unasked(tmp_path, swapped):
    root, video_id, _ = swapped
    assert tracked_by(root, str(mean_color(tmp_path / "mean.onnx"))) == [(0, [0, 1])]
    assert root.confidence(video_id) < 0.8


@pytest.mark.slow
def test_weights_of_facenets_network_audit_a_video(tmp_path, swapped, pictures):
    torch = pytest.importorskip("torch", reason="needs torch")
    facenet = pytest.importorskip("facenet_pytorch", reason="needs `pip install facenet-pytorch`")
    torch.manual_seed(0)
    weights, other = tmp_path / "mine.pt", tmp_path / "other.pt"
    torch.save(facenet.InceptionResnetV1(pretrained=None).state_dict(), weights)
    torch.save({"conv": torch.zeros(3)}, other)
    made = embedders.load(str(weights))
    one, again, dark = (made.embed(image, as_boxes([box]))[0] for image, box in (pictures[0], *pictures))
    assert one.shape == (512,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert (one == again).all()
    assert (one != dark).any()
    with pytest.raises(UsageError, match="expected weights of InceptionResnetV1, found none"):
        embedders.load(str(other))
    root, video_id, _ = swapped
    outcome = run_stage(root, video_id, "audit", AuditConfig(embedder=str(weights)))
    assert outcome.status == "done", outcome.error
    found = root.audit(video_id)
    assert (found.embedder, found.faces >= 6) == ("mine.pt", True)
