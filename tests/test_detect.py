"""The detector gives exactly facenet-pytorch's results, without its known faults."""

import contextlib
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmset.errors import DetectorError
from rmset.geometry import iou
from rmset.parts.detect import Detections, cascade, load
from rmset.parts.detect.weights import state_dict
from rmset.parts.frames import VideoReader
from rmset.parts.pixels import IntegralPixels, MaskedPixels, PlanePixels, pixels_of


@pytest.fixture(scope="module")
def mtcnn():
    return load("mtcnn")


@pytest.fixture(scope="module")
def frames(mashup):
    with VideoReader(mashup[0]) as reader:
        return list(reader.frames(stop=40, stride=13))


def test_boxes_scores_and_landmarks_are_those_of_facenet_pytorch(mtcnn, frames):
    facenet_pytorch = pytest.importorskip("facenet_pytorch")
    reference = facenet_pytorch.MTCNN(keep_all=True, min_face_size=30)
    for frame in frames:
        boxes, scores, landmarks = reference.detect(frame.rgb, landmarks=True)
        ours = mtcnn.detect(frame.rgb, 30)
        order = iou(boxes.astype(np.float32), ours.boxes).argmax(axis=1)
        assert sorted(order.tolist()) == list(range(len(ours)))
        np.testing.assert_allclose(ours.boxes[order], boxes.astype(np.float32), atol=0.05)
        np.testing.assert_allclose(ours.scores[order], scores.astype(np.float32), atol=1e-3)
        np.testing.assert_allclose(ours.landmarks[order], landmarks.astype(np.float32), atol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (11, 400), (40, 40), (720, 1280)])
def test_a_picture_without_a_face_gives_no_face_whatever_its_size(mtcnn, shape):
    assert len(mtcnn.detect(np.full((*shape, 3), 127, np.uint8), 20)) == 0


def test_noise_with_thousands_of_candidates_is_survived(mtcnn):
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    found = mtcnn.detect(noise, 12)
    assert found.boxes.shape == (len(found), 4)


def test_averaging_over_pixels_is_torchs(frames):
    torch = pytest.importorskip("torch")
    image = frames[0].rgb
    picture = torch.as_tensor(image.copy()).permute(2, 0, 1)[None].float()
    for width, height in ((57, 31), (24, 24), (700, 400)):
        expected = torch.nn.functional.interpolate(picture, size=(height, width), mode="area")[0].permute(1, 2, 0)
        ours = IntegralPixels(image).patch((0, 0, image.shape[1], image.shape[0]), (width, height))
        np.testing.assert_allclose(ours, expected.numpy(), atol=1e-3)


def test_patches_out_of_planes_are_those_out_of_rgb_up_to_rounding(frames):
    frame = frames[0]
    planes, integral = PlanePixels(frame.planes), IntegralPixels(frame.rgb)
    for rect in ((0, 0, 640, 360), (31, 17, 130, 160), (333, 201, 640, 360)):
        ours, theirs = planes.patch(rect, (48, 48)), integral.patch(rect, (48, 48))
        assert np.abs(ours.astype(float) - theirs).mean() < 3


def test_removed_pixels_are_black_in_every_patch_that_touches_them(frames):
    frame = frames[0]
    whole, removed = (0, 0, 640, 360), (100, 50, 300, 200)
    patch = pixels_of(frame, [removed]).patch(whole, (640, 360))
    untouched = pixels_of(frame).patch(whole, (640, 360))
    assert (patch[50:200, 100:300] == 0).all()
    assert (patch[:50] == untouched[:50]).all()
    half = MaskedPixels(IntegralPixels(frame.rgb), [removed]).patch((200, 100, 400, 300), (50, 50))
    assert (half[:25, :25] == 0).all()
    assert half[30:, 30:].any()


def test_the_search_of_a_panel_finds_the_face_that_the_whole_frame_has(mtcnn, frames, mashup):
    panels = mashup[1].segments[0].panels
    for frame in frames:
        picture = IntegralPixels(frame.rgb)
        for x0, y0, x1, y1 in panels.values():
            found = cascade.search(mtcnn.nets, picture, (int(x0), int(y0), int(x1), int(y1)), 30)
            assert len(found) >= 1


def cores_of(task):
    """Cores on which a thread of this process may run."""
    return re.search(r"Cpus_allowed_list:\s*(\S+)", Path(f"/proc/self/{task}/status").read_text())[1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_nets_are_not_held_on_one_core(mtcnn):
    """OpenVINO's default pins the nets of all threads and processes to the first core."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    worker = []

    def work():
        worker.append(threading.get_native_id())
        for _ in range(60):
            mtcnn.nets.output(np.zeros((64, 48, 48, 3), np.float32))

    thread = threading.Thread(target=work)
    thread.start()
    allowed = set()
    while thread.is_alive():
        with contextlib.suppress(OSError, IndexError):
            allowed.add(cores_of(f"task/{worker[0]}"))
    assert allowed == {cores_of(".")}


def test_suppression_keeps_the_better_of_two_that_overlap():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]], float)
    assert cascade.nms(boxes, np.array([0.8, 0.9, 0.7]), 0.5).tolist() == [1, 2]


def suppressed(boxes, scores, most, of_smaller):
    """Rows that stay, one after another: the reference."""
    kept = []
    extra = 1 if of_smaller else 0
    for row in sorted(range(len(boxes)), key=lambda n: -scores[n]):
        x0, y0, x1, y1 = boxes[row]
        for a0, b0, a1, b1 in boxes[kept]:
            shared = max(0, min(x1, a1) - max(x0, a0) + extra) * max(0, min(y1, b1) - max(y0, b0) + extra)
            one, other = (x1 - x0 + extra) * (y1 - y0 + extra), (a1 - a0 + extra) * (b1 - b0 + extra)
            if shared > most * (min(one, other) if of_smaller else one + other - shared):
                break
        else:
            kept.append(row)
    return kept


@settings(deadline=None)
@given(
    corners=st.lists(st.tuples(*[st.integers(0, 20)] * 4), max_size=12), data=st.data(),
    most=st.sampled_from([0.3, 0.5, 0.7]), of_smaller=st.booleans(), pairs=st.sampled_from([1, 30, 1 << 17]),
)  # fmt: skip
def test_suppression_is_that_of_one_box_after_another(corners, data, most, of_smaller, pairs):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], float).reshape(-1, 4)
    scores = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(boxes), max_size=len(boxes))), float)
    with pytest.MonkeyPatch.context() as patch:
        # However many pairs are compared at once.
        patch.setattr(cascade, "_PAIRS", pairs)
        found = cascade.nms(boxes, scores, most, of_smaller=of_smaller)
    assert found.tolist() == suppressed(boxes, scores, most, of_smaller)


def test_patches_cut_together_are_those_cut_alone(frames):
    frame = frames[0]
    rects = np.array([[0, 0, 640, 360], [31, 17, 130, 160], [333, 201, 334, 203], [600, 300, 640, 360]])
    for source in (IntegralPixels(frame.rgb), PlanePixels(frame.planes), pixels_of(frame, [(50, 50, 99, 99)])):
        alone = [source.patch(tuple(rect), (24, 24)) for rect in rects.tolist()]
        assert (source.patches(rects, 24) == np.stack(alone)).all()


def test_detections_hold_their_shapes():
    with pytest.raises(ValueError, match=r"expected boxes \(2, 4\)"):
        Detections(np.zeros((1, 4), np.float32), np.zeros(2, np.float32), np.zeros((2, 5, 2), np.float32))


def test_a_misspelled_detector_is_answered_with_the_near_one():
    with pytest.raises(DetectorError, match="did you mean mtcnn"):
        load("mtccn")


def test_a_file_that_is_no_weights_is_reported(tmp_path):
    with pytest.raises(DetectorError, match="give --weights"):
        load("yunet", tmp_path / "missing.onnx")
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a net")
    with pytest.raises(DetectorError, match="no YuNet") as refusal:
        load("yunet", wrong)
    assert "\n" not in str(refusal.value)


def test_yunet_finds_the_faces_of_real_clips(real_data, capfd):
    detector = load("yunet", real_data / "weights" / "face_detection_yunet_2026may.onnx")
    assert capfd.readouterr().err == ""
    exact = load("mtcnn")
    for clip in ("person_d3.mp4", "person_webcam.mp4"):
        with VideoReader(real_data / "clips" / clip) as reader:
            frame = next(reader.frames(start=20))
        found, reference = detector.detect(frame.rgb), exact.detect(frame.rgb)
        assert iou(found.boxes[:1], reference.boxes[:1])[0, 0] > 0.6


def test_weights_are_read_as_torch_reads_them():
    torch, facenet_pytorch = pytest.importorskip("torch"), pytest.importorskip("facenet_pytorch")
    folder = Path(facenet_pytorch.__file__).parent / "data"
    for name in ("pnet", "rnet", "onet"):
        ours, theirs = state_dict(folder / f"{name}.pt"), torch.load(folder / f"{name}.pt")
        assert list(ours) == list(theirs)
        for key, tensor in theirs.items():
            np.testing.assert_array_equal(ours[key], tensor.numpy())


def test_weights_that_would_run_a_command_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("run",)

    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DetectorError, match="does not belong into a state dict"):
        state_dict(tmp_path / "trap.pt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(7) * 5])
def test_weights_of_another_format_are_reported(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(DetectorError, match="expected facenet-pytorch"):
        state_dict(tmp_path / "x.pt")


def test_finding_faces_needs_no_torch():
    code = "import sys\nfrom rmset.parts.detect import load\nload('mtcnn')\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
