"""Weights from other programs: tensors that are used, and messages about the others."""

import collections
import enum
import sys
import types

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed
from torch import nn

from fertrain.errors import WeightsError
from fertrain.labels import ORDERS
from fertrain.models.checkpoint_file import read_file
from fertrain.models.convert import convert
from fertrain.models.factory import build
from fertrain.models.transfer import load_into
from fertrain.transforms.input_spec import InputSpec
from rmset.errors import UsageError

SEVEN = ORDERS["fer2013"].classes
SPEC = InputSpec(32, 3, (0.5,) * 3, (0.2,) * 3)


def fresh(name="resnet10t", size=32):
    torch.manual_seed(1)
    return build(name, 7, size)


def theirs(name="resnet10t", size=32):
    torch.manual_seed(2)
    return build(name, 7, size).features.state_dict()


def same(model, state):
    return all(torch.equal(model.features.state_dict()[k], v) for k, v in state.items())


def test_weights_of_another_network_are_refused_although_a_counter_fits(tmp_path):
    """All networks with batch normalization have counters of one shape, so these are no evidence."""
    torch.save(theirs("mobilenetv3_small_050"), tmp_path / "other.pt")
    with pytest.raises(
        WeightsError, match=r"weights of resnet10t .* without a value: conv1\.0\.weight.*`model.name`"
    ) as e:
        load_into(fresh(), tmp_path / "other.pt", SEVEN)
    assert "\n" not in str(e.value)


def test_less_than_half_of_the_weights_is_taken_only_on_request_and_named(tmp_path):
    few = dict(list(theirs().items())[:20])
    torch.save(few, tmp_path / "few.pt")
    with pytest.raises(WeightsError, match=r"found \d+% of its parameters; .*weights_partial=True"):
        load_into(fresh(), tmp_path / "few.pt", SEVEN)
    loaded = load_into(fresh(), tmp_path / "few.pt", SEVEN, partial=True)
    assert 0 < loaded.share < 0.5
    assert any("not in the file: layer" in line for line in loaded.lines("few.pt"))
    assert loaded.record()["missing"] == list(loaded.missing)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "backbone.", "encoder.", "module.encoder_q.", "model.", "model.backbone.", "features.",
     "module._orig_mod.net.", "anything.at.all."],
)  # fmt: skip
def test_any_prefix_is_taken_off_and_said(tmp_path, prefix):
    state = theirs()
    torch.save({"state_dict": {prefix + k: v for k, v in state.items()}}, tmp_path / "a.pt")
    model = fresh()
    loaded = load_into(model, tmp_path / "a.pt", SEVEN)
    assert same(model, state)
    assert (loaded.left, loaded.share, loaded.unused) == (2, 1.0, ())
    plain = prefix.replace("module.", "").replace("_orig_mod.", "")
    assert loaded.prefix == ("" if plain == "features." else plain)
    assert any("read under 'state_dict'" in line and loaded.prefix in line for line in loaded.lines("a.pt"))


@pytest.mark.parametrize("key", ["net", "ema", "teacher", "model", "model_state_dict", "ema_model"])
def test_the_usual_keys_are_known(tmp_path, key):
    state = theirs()
    torch.save({"epoch": 3, key: state, "optimizer": {"state": {}}}, tmp_path / "a.pt")
    model = fresh()
    assert load_into(model, tmp_path / "a.pt", SEVEN).part == key
    assert same(model, state)


def test_of_several_networks_the_one_that_is_judged_is_taken_and_the_others_named(tmp_path):
    """TorchSSL stores `train_model` and `ema_model`, MoCo two encoders: the user can choose."""
    judged, learning = theirs(), {k: v + 1 for k, v in theirs().items()}
    torch.save({"train_model": learning, "ema_model": judged, "it": 7}, tmp_path / "ssl.pt")
    model = fresh()
    loaded = load_into(model, tmp_path / "ssl.pt", SEVEN)
    assert same(model, judged)
    assert (loaded.part, loaded.others) == ("ema_model", ("train_model",))
    assert any("train_model would fit too: `model.weights_part`" in line for line in loaded.lines("ssl.pt"))
    load_into(model, tmp_path / "ssl.pt", SEVEN, part="train_model")
    assert same(model, learning)
    with pytest.raises(UsageError, match=r"found 'eval_model'; it holds ema_model, train_model"):
        load_into(model, tmp_path / "ssl.pt", SEVEN, part="eval_model")
    both = {f"module.encoder_{q}.{k}": v for q, s in (("q", judged), ("k", learning)) for k, v in s.items()}
    torch.save({"state_dict": both}, tmp_path / "moco.pt")
    loaded = load_into(model, tmp_path / "moco.pt", SEVEN)
    assert (loaded.prefix, loaded.others) == ("encoder_q.", ("state_dict encoder_k.",))
    assert same(model, judged)
    load_into(model, tmp_path / "moco.pt", SEVEN, part="encoder_k")
    assert same(model, learning)


def test_position_tables_are_resampled_to_the_image_size_as_timm_does(tmp_path):
    state = theirs("vit_tiny_patch16_224", 64)
    torch.save(state, tmp_path / "vit.pt")
    model = fresh("vit_tiny_patch16_224", 96)
    loaded = load_into(model, tmp_path / "vit.pt", SEVEN)
    assert (loaded.resampled, loaded.share) == (("pos_embed",), 1.0)
    assert torch.equal(model.features.pos_embed, resample_abs_pos_embed(state["pos_embed"], [6, 6]))
    assert any("resampled for this image size: pos_embed" in line for line in loaded.lines("vit.pt"))


def test_what_fits_nowhere_and_what_stays_random_is_named(tmp_path):
    state = theirs()
    del state["layer4.0.conv2.weight"]
    torch.save({**state, "fc.weight": torch.zeros(8, 512), "fc.bias": torch.zeros(8), "odd": torch.ones(3)},
               tmp_path / "a.pt")  # fmt: skip
    loaded = load_into(fresh(), tmp_path / "a.pt", SEVEN)
    told = "\n".join(loaded.lines("a.pt"))
    assert "not in the file: layer4.0.conv2.weight" in told
    assert "not used: odd" in told
    assert "its head fc.weight is not used, as nothing says that its outputs mean these classes" in told


@pytest.mark.parametrize("head", ["fc2", "linear", "logits", "module.classifier", "model.head.fc"])
@pytest.mark.parametrize("kernel", [False, True])
def test_heads_of_any_usual_name_and_of_1x1_convolutions_take_labels(tmp_path, head, kernel):
    weight = torch.randn(7, 512)
    state = {**theirs(), f"{head}.weight": weight[:, :, None, None] if kernel else weight}
    torch.save(state, tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trusted=True, labels=SEVEN)
    assert done.head == f"{head}.weight"
    model = fresh()
    assert load_into(model, tmp_path / "a.safetensors", SEVEN).head
    assert torch.equal(model.head.weight, weight)


def test_convert_takes_one_of_several_networks_and_names_the_others(tmp_path):
    judged = theirs()
    torch.save({"train_model": {k: v + 1 for k, v in judged.items()}, "ema_model": judged}, tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trusted=True)
    assert (done.part, done.others) == ("ema_model", ("train_model",))
    assert torch.equal(read_file(tmp_path / "a.safetensors")[0]["conv1.0.weight"], judged["conv1.0.weight"])
    convert(tmp_path / "a.pt", tmp_path / "b.safetensors", trusted=True, part="train_model")
    assert not torch.equal(read_file(tmp_path / "b.safetensors")[0]["conv1.0.weight"], judged["conv1.0.weight"])
    with pytest.raises(UsageError, match="found 'net'"):
        convert(tmp_path / "a.pt", tmp_path / "c.safetensors", trusted=True, part="net")


@pytest.fixture
def absent():
    """A module that does not exist any more when its objects are read."""
    made = types.ModuleType("their_code")
    sys.modules["their_code"] = made

    def define(cls):
        cls.__module__ = "their_code"
        cls.__qualname__ = cls.__name__
        setattr(made, cls.__name__, cls)
        return cls

    yield define
    sys.modules.pop("their_code", None)


class _Config(dict):
    pass


class _Weights(collections.OrderedDict):
    pass


class _Kind(enum.Enum):
    RGB = "rgb"


class _Slots:
    __slots__ = ("kind", "tensor")


class _Reduced:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return type(self), (self.tensor,)


class _Stated(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))

    def __getstate__(self):
        return {**self.__dict__, "note": _Config(a=1)}


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_tensors_come_out_of_pickles_whose_classes_are_absent(tmp_path, absent, protocol):
    for cls in (_Config, _Weights, _Kind, _Slots, _Reduced, _Stated):
        absent(cls)
    slots = _Slots()
    slots.kind, slots.tensor = _Kind.RGB, torch.full((1,), 5.0)
    net = _Stated()
    content = {
        "args": _Config(lr=0.1, kind=_Kind.RGB), "slots": slots if protocol > 1 else 0,
        "reduced": _Reduced(torch.ones(2)),
        "state_dict": _Weights(net.state_dict()), "net": net,
    }  # fmt: skip
    torch.save(content, tmp_path / "a.pt", pickle_protocol=protocol)
    del sys.modules["their_code"]
    done = convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trusted=True)
    assert done.part == "state_dict"
    names = ["_Config", "_Kind", "_Reduced", *(["_Slots"] if protocol > 1 else []), "_Stated", "_Weights"]
    assert done.stood_in == tuple(f"their_code.{name}" for name in names)
    found, _ = read_file(tmp_path / "a.safetensors")
    assert found.keys() == net.state_dict().keys()
    assert all(torch.equal(found[k], v) for k, v in net.state_dict().items())
    convert(tmp_path / "a.pt", tmp_path / "b.safetensors", trusted=True, part="net")
    assert read_file(tmp_path / "b.safetensors")[0].keys() == net.state_dict().keys()


def test_tensors_of_slots_and_arguments_are_found_too(tmp_path, absent):
    absent(_Slots)
    absent(_Reduced)
    slots = _Slots()
    slots.kind, slots.tensor = "rgb", torch.full((1,), 5.0)
    torch.save(slots, tmp_path / "a.pt")
    torch.save(_Reduced({"w": torch.ones(2)}), tmp_path / "b.pt")
    del sys.modules["their_code"]
    convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trusted=True)
    assert read_file(tmp_path / "a.safetensors")[0]["tensor"].item() == 5
    convert(tmp_path / "b.pt", tmp_path / "b.safetensors", trusted=True)
    assert torch.equal(read_file(tmp_path / "b.safetensors")[0]["0.w"], torch.ones(2))


def test_a_whole_model_of_a_library_gives_the_names_that_its_state_dict_has(tmp_path):
    net = timm.create_model("resnet10t", num_classes=7)
    torch.save(net, tmp_path / "a.pt")
    convert(tmp_path / "a.pt", tmp_path / "a.safetensors", trusted=True)
    assert read_file(tmp_path / "a.safetensors")[0].keys() == net.state_dict().keys()
