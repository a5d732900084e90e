"""Deep-Emotion, label embeddings, converted weights."""

import math

import fer_worlds
import numpy as np
import pytest
import timm
import torch
from torch import nn

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.errors import LabelError, WeightsError
from fertrain.labels import ORDERS, order_of
from fertrain.losses.supervised import cosine
from fertrain.models.checkpoint_file import read_file
from fertrain.models.convert import convert
from fertrain.models.factory import build
from fertrain.models.label_embedding import SCALE, EmbeddingHead, read_vectors, words_of
from fertrain.models.transfer import load_into
from fertrain.models.weights import load, save
from fertrain.training.experiment import run
from fertrain.transforms.input_spec import InputSpec
from rmset.errors import UsageError

SEVEN = ORDERS["fer2013"].classes
WORDS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def vectors(dim=12):
    return np.random.default_rng(0).normal(size=(len(WORDS), dim)).astype(np.float32)


def text_file(path, header=True):
    rows = [f"{w} " + " ".join(f"{x:.8f}" for x in v) for w, v in zip(WORDS, vectors(), strict=True)]
    path.write_text("\n".join(([f"{len(WORDS)} 12"] if header else []) + rows) + "\n")
    return path


def binary_file(path, words=WORDS):
    data = f"{len(words)} 12\n".encode()
    for w, v in zip(words, vectors(), strict=True):
        data += w.encode() + b" " + v.astype("<f4").tobytes() + b"\n"
    path.write_bytes(data)
    return path


def test_deep_emotion_begins_by_seeing_the_whole_face():
    model = build("deep-emotion", 7, 48).eval()
    x = torch.rand(3, 1, 48, 48)
    torch.testing.assert_close(model.features.attention(x), x)
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    torch.testing.assert_close(model.features.attention.theta(x), identity.expand(3, 2, 3))


def test_deep_emotion_is_the_papers_shape_and_learns_where_to_look():
    model = build("deep-emotion", 7, 48)
    convolutions = [m for m in model.features.convolutions if isinstance(m, nn.Conv2d)]
    assert [m.kernel_size for m in convolutions] == [(3, 3)] * 4
    model(torch.rand(4, 1, 48, 48)).logsumexp(dim=1).sum().backward()
    assert model.features.attention.linear[-1].bias.grad.abs().sum() > 0
    a, b = (model.eval()(torch.ones(2, 1, 48, 48)) for _ in range(2))
    assert torch.equal(a, b)  # dropout is off at test
    with pytest.raises(UsageError, match="multiple of 4"):
        build("deep-emotion", 7, 30)


@pytest.mark.parametrize("make", [text_file, binary_file, lambda p: text_file(p, header=False)])
def test_word_vectors_are_read_from_text_and_binary(make, tmp_path):
    read = read_vectors(make(tmp_path / "words"), ["happy", "angry"])
    np.testing.assert_allclose(read.numpy(), vectors()[[3, 0]], rtol=1e-5)


def test_missing_words_give_a_one_line_error(tmp_path):
    with pytest.raises(WeightsError, match="found none of joy"):
        read_vectors(text_file(tmp_path / "a"), ["joy"])
    with pytest.raises(WeightsError, match="found none at"):
        read_vectors(tmp_path / "no", ["joy"])
    torn = binary_file(tmp_path / "b")
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(WeightsError, match="its end before"):
        read_vectors(torn, WORDS)


def test_the_word_of_a_class_can_be_chosen(tmp_path):
    assert words_of(SEVEN, ["happy=joy"])[3] == "joy"
    assert words_of(SEVEN) == WORDS
    with pytest.raises(UsageError, match="CLASS=WORD"):
        words_of(SEVEN, ["smile=grin"])
    # the file spells it in capitals only
    assert read_vectors(binary_file(tmp_path / "c", [w.upper() for w in WORDS]), ["happy"]).shape == (1, 12)


def test_the_nearest_word_is_the_answer():
    words = torch.tensor([[1.0, 0], [0, 2.0]])
    head = EmbeddingHead(2, words)
    with torch.no_grad():
        head.project.weight.copy_(torch.eye(2))
        head.project.bias.zero_()
    logits = head(torch.tensor([[3.0, 3.0], [0.0, 5.0]]))
    expected = SCALE * torch.tensor([[math.sqrt(0.5)] * 2, [0, 1]])
    torch.testing.assert_close(logits, expected)


def test_autocast_rounds_no_cosine_with_a_word():
    head = EmbeddingHead(12, torch.from_numpy(vectors()))
    head.project = nn.Identity()
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(x)
    assert torch.equal(logits, head(x))


def test_the_cosine_loss_counts_every_sample_once():
    cosines = torch.tensor([[0.5, -1.0], [0.25, 1.0]], requires_grad=True)
    loss = cosine(cosines, torch.tensor([[1.0, 0], [0, 1.0]]))
    assert loss.item() == pytest.approx((0.5 + 0.0) / 2)
    loss.backward()
    assert cosines.grad.tolist() == [[-0.5, 0], [0, -0.5]]


@pytest.mark.slow
def test_a_run_learns_words_and_carries_them_with_its_weights(faces, tmp_path):
    path = text_file(tmp_path / "words.txt")
    config = RunConfig(
        data=DataConfig(f"folder:{faces}"), optim=OptimConfig(epochs=(6,), batch_size=14, lr=3e-3),
        model=ModelConfig("test_resnet", image_size=32, head="embedding", vectors=str(path)), augment="none",
        precision="fp32", out=str(tmp_path / "run"),
    )  # fmt: skip
    result = run(config)
    assert result.scores.overall_accuracy > 0.4
    path.unlink()  # the file is not needed to predict
    scores, _, _ = fer_worlds.evaluated(tmp_path / "run", f"folder:{faces}")
    assert scores.overall_accuracy == result.scores.overall_accuracy


def test_an_embedding_head_survives_the_file(tmp_path):
    model = build("test_resnet", 7, 32)
    model.speak(torch.from_numpy(vectors()))
    save(model, SEVEN, InputSpec(32, 3, (0.5,) * 3, (0.2,) * 3), tmp_path / "m.safetensors")
    loaded, _, _ = load(tmp_path / "m.safetensors")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.eval()(x), loaded.eval()(x))


class Passed(nn.Module):
    """A whole module, as in pickled checkpoints."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner


def test_a_pickled_module_is_converted_knowingly(tmp_path):
    model = build("test_resnet", 7, 32)
    torch.save(model.features, tmp_path / "m.pt")
    with pytest.raises(UsageError, match="`trusted`"):
        convert(tmp_path / "m.pt", tmp_path / "m.safetensors", trusted=False)
    n = convert(tmp_path / "m.pt", tmp_path / "m.safetensors", trusted=True).tensors
    tensors, meta = read_file(tmp_path / "m.safetensors")
    assert len(tensors) == n
    assert "labels" not in meta
    assert load_into(build("test_resnet", 7, 32), tmp_path / "m.safetensors", SEVEN).left == 2
    with pytest.raises(WeightsError, match=r"head, fc, classifier.* found none; convert it without `labels`"):
        convert(tmp_path / "m.pt", tmp_path / "m.safetensors", trusted=True, labels=SEVEN)


@pytest.mark.parametrize(
    ("name", "head"), [("test_resnet", "fc"), ("mobilenetv3_small_050", "classifier"), ("vit_tiny_patch16_224", "head")]
)
def test_labels_make_the_head_known_whatever_it_was_called(tmp_path, name, head):
    source, target = tmp_path / "m.pt", tmp_path / "m.safetensors"
    theirs = timm.create_model(name, num_classes=7, **({"img_size": 32} if "vit" in name else {})).eval()
    torch.save(theirs, source)
    convert(source, target, trusted=True, labels=WORDS)
    ours = build(name, 7, 32).eval()
    other = ORDERS["rafdb"].classes
    loaded = load_into(ours, target, other)
    assert (loaded.left, loaded.head) == (0, True)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found, expected = ours(x), theirs(x)[:, [order_of(WORDS).classes.index(c) for c in other]]
    torch.testing.assert_close(found, expected)
    with pytest.raises(UsageError, match=f"expected 7 labels, one for each output of {head}.weight .* found 2"):
        convert(source, target, trusted=True, labels=["fear", "anger"])
    with pytest.raises(LabelError, match="named once"):
        convert(source, target, trusted=True, labels=["fear"] * 7)


def test_the_last_layer_of_a_sequence_is_the_head_and_may_lack_a_bias(tmp_path):
    net = nn.Sequential()
    net.add_module("classifier", nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2, bias=False)))
    torch.save(net, tmp_path / "m.pt")
    convert(tmp_path / "m.pt", tmp_path / "m.safetensors", trusted=True, labels=["fear", "anger"])
    tensors, _ = read_file(tmp_path / "m.safetensors")
    assert torch.equal(tensors["head.weight"], net.classifier[2].weight)
    assert tensors["head.bias"].tolist() == [0, 0]


def test_classes_that_are_not_here_do_not_keep_tensors_from_being_read(tmp_path, monkeypatch):
    torch.save(Passed(nn.Linear(2, 3)), tmp_path / "m.pt")
    import test_heads

    monkeypatch.delattr(test_heads, "Passed")
    done = convert(tmp_path / "m.pt", tmp_path / "m.safetensors", trusted=True)
    assert (done.tensors, done.stood_in) == (2, ("test_heads.Passed",))
    assert set(read_file(tmp_path / "m.safetensors")[0]) == {"inner.weight", "inner.bias"}


def test_what_cannot_be_converted_is_one_line(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match=r"torch\.save"):
        convert(tmp_path / "x.pt", tmp_path / "x.safetensors", trusted=True)
    torch.save([1, 2], tmp_path / "y.pt")
    with pytest.raises(WeightsError, match="found list"):
        convert(tmp_path / "y.pt", tmp_path / "y.safetensors", trusted=True)
