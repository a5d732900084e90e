"""What a GPU would wait for: on processors, the operations of a step that hand numbers to the program."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import fertrain as library
from fertrain.config.run import ModelConfig, OptimConfig, RunConfig
from fertrain.devices import constant, to_device
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, AnchorBatch, Batch, StepOutput, Unlabeled
from fertrain.models.classifier import Classifier
from fertrain.models.compiled import compile_features
from fertrain.models.factory import build
from fertrain.training.checkpoint import Tally
from fertrain.training.optim import EMA, Stepper
from fertrain.training.pending import Pending
from rmset_cli.fertrain import options


class Waits(TorchDispatchMode):
    """The operations after which the program needs a number, or a size, that the device has computed."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal", "is_nonzero", "unique")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indices = args[1] if name.startswith(("index", "_index_put")) and len(args) > 1 else ()
        by_mask = isinstance(indices, (list, tuple)) and any(i is not None and i.dtype == torch.bool for i in indices)
        if name.lstrip("_").startswith(tuple(n.lstrip("_") for n in self.NAMES)) or by_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def batch_of(method, phase):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 32, 32, generator=g)
    views = tuple(torch.randn(6, 3, 32, 32, generator=g) for _ in range(4))
    anchors = (AnchorBatch(torch.randn(12, 3, 32, 32, generator=g), 6),) if phase.anchors else ()
    beside = None
    if phase.views:
        n = phase.views.weak
        beside = Unlabeled(views[:n], views[n : n + phase.views.strong], torch.arange(6))
    labeled = x if phase.labeled else x[:0]
    y = torch.eye(4)[torch.arange(len(labeled)) % 4]
    return Batch(labeled, y, anchors, beside, rows=torch.arange(len(labeled)))


# these select images by a condition, so the size of what follows depends on the numbers themselves
BY_THEIR_EQUATIONS = {"ada-cm", "flexmatch", "freematch", "scn"}
# these draw numbers for the program, in ordinary memory, for which no GPU is waited
DRAW = {"mixmatch", "remixmatch", "eac"}


@pytest.mark.parametrize("name", METHODS)
def test_a_step_waits_for_no_number(name):
    torch.manual_seed(0)
    config = RunConfig(
        method=name, model=ModelConfig("test_resnet", image_size=32), optim=OptimConfig(epochs=(1,), optimizer="sam")
    )
    method = METHODS[name](build("test_resnet", 4, 32), config, SCHEMES["mv"])
    method.module.train()
    phases = [replace(phase, labeled_names=tuple("abcdef"), unlabeled_images=6) for phase in method.phases]
    phase = phases[-1] if name == "rmfer" else phases[0]
    for one in phases[: phases.index(phase) + 1]:
        method.begin(one)
    batch = batch_of(method, phase)
    # Python's own sums stand in for the optimizer: the fused one is a single operation
    stepper = Stepper(torch.optim.SGD(method.module.parameters(), 1e-3), method.module, sam_rho=0.05)
    average = EMA(method.module, 0.9)

    def look():
        output = method.loss(batch)
        output.loss.backward()
        return output

    def step():
        output = stepper(look, 1e-3)
        method.after_step()
        average.update()
        return output

    step()
    with Waits() as waits:
        step()
    found = [one for one in waits.found if name not in DRAW or one != "_local_scalar_dense"]
    assert (found == []) == (name not in BY_THEIR_EQUATIONS), found


def test_augmentations_and_normalization_wait_for_no_number():
    from fertrain.training.data import plain_spec
    from fertrain.transforms.augment import augmentation

    spec = plain_spec(16, 3, gray=False)
    pixels = torch.randint(0, 255, (4, 3, 16, 16), dtype=torch.uint8)
    with Waits() as waits:
        for name in ("flip", "affine", "crop", "one-of"):
            augmentation(name)(spec.to_float(pixels), torch.Generator().manual_seed(0))
        spec.normalize(spec.to_float(pixels))
    assert waits.found == []


def test_sums_of_steps_are_those_of_single_reads():
    values = np.random.default_rng(0).random((120, 2)).astype(np.float32)
    expected = Tally()
    for loss, part in values.tolist():
        expected.loss += loss
        expected.logs["ce"] = expected.logs.get("ce", 0.0) + part
    for device in ("cpu", "cuda"):
        tally, pending = Tally(), Pending(torch.device(device))
        for loss, part in torch.from_numpy(values):
            pending.add(StepOutput(loss, {"ce": part.double()}), "a step", tally)
        pending.flush(tally)
        assert (tally.loss, tally.logs) == (expected.loss, expected.logs)


def test_an_infinite_loss_names_its_step_even_if_it_is_read_later():
    pending, tally = Pending(torch.device("cuda")), Tally()
    pending.add(StepOutput(torch.tensor(1.0)), "step 1", tally)
    pending.add(StepOutput(torch.tensor(float("nan"))), "step 2", tally)
    with pytest.raises(library.TrainingError, match="found nan in step 2"):
        pending.flush(tally)


def test_constants_are_made_once():
    one, two = (constant((0.1, 0.2), torch.device("cpu"), torch.float32) for _ in range(2))
    assert one is two
    assert to_device(one, torch.device("cpu")) is one


@pytest.mark.slow
def test_a_network_that_cannot_be_compiled_trains_uncompiled_and_says_so(faces, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise RuntimeError("no C++ compiler was found\nmore lines")

    monkeypatch.setattr(torch.nn.Module, "compile", refuse)
    said = []
    run = library.train(
        labeled=f"folder:{faces}", model="deep-emotion", image_size=32, epochs=1, batch_size=16, precision="fp32",
        compile=True, out=tmp_path / "compiled", say=said.append,
    )  # fmt: skip
    assert [line for line in said if line.startswith("compile:")] == [
        "compile: torch could not compile deep-emotion here (no C++ compiler was found); the run goes on without"
    ]
    plain = library.train(
        labeled=f"folder:{faces}", model="deep-emotion", image_size=32, epochs=1, batch_size=16, precision="fp32",
        out=tmp_path / "plain",
    )  # fmt: skip
    assert (run.path / "model.safetensors").read_bytes() == (plain.path / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_features_and_keeps_its_weights():
    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(self.conv(x)).relu().mean(dim=(2, 3))

    model = Classifier("small", Small(), 4, 3, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x = torch.randn(4, 3, 16, 16)
    expected, said = model.eval()(x), []
    draws = torch.get_rng_state()
    compiled = compile_features(model, 16, 4, said.append)
    assert compiled == ("is compiled" in said[0])
    assert torch.equal(draws, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)


def test_the_command_has_the_option():
    assert any("--compile" in row.flags for row in options.OPTIONS)
