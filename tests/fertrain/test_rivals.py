"""Rivals as methods: gradients of each part, refused settings, and bit-identical resumed runs."""

from dataclasses import replace

import fer_worlds
import pytest
import torch

from fertrain.config.methods import (
    AdaCmConfig,
    ByolConfig,
    EacConfig,
    FixMatchConfig,
    FlexMatchConfig,
    FreeMatchConfig,
    LdlConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    RmferConfig,
    RulConfig,
    ScnConfig,
    SimClrConfig,
    SimSiamConfig,
    SoftMatchConfig,
    UdaConfig,
    VacConfig,
)
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.config.serialization import changed, from_words
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch, Unlabeled, Views
from fertrain.methods.semi_supervised import predict_with_batch_stats
from fertrain.models.checkpoint_file import read_file
from fertrain.models.factory import build
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run
from rmset.errors import UsageError

LABELED = ["eac", "ldl", "rul", "scn", "vac"]
BESIDE = ["fixmatch", "flexmatch", "freematch", "softmatch", "uda", "mixmatch", "remixmatch", "ada-cm"]
PRETRAINED = ["simclr", "moco", "byol", "simsiam"]
SMALL = {
    "eac": EacConfig(), "rul": RulConfig(dim=8), "scn": ScnConfig(relabel_after=0, relabel_margin=0.0),
    "vac": VacConfig(scale=0.75),
    "flexmatch": FlexMatchConfig(ratio=2, threshold=0.3), "freematch": FreeMatchConfig(ratio=2),
    "softmatch": SoftMatchConfig(ratio=2), "fixmatch": FixMatchConfig(ratio=2, threshold=0.3),
    "uda": UdaConfig(ratio=2, threshold=0.3),
    "mixmatch": MixMatchConfig(rise=0), "remixmatch": ReMixMatchConfig(rise=0), "ada_cm": AdaCmConfig(margin=0.3),
    "simclr": SimClrConfig(ratio=2, dim=8), "moco": MocoConfig(ratio=2, dim=8, queue=32),
    "byol": ByolConfig(ratio=2, dim=8, hidden=16), "simsiam": SimSiamConfig(ratio=2, dim=16, bottleneck=8),
}  # fmt: skip


def method_of(name, **changes):
    torch.manual_seed(0)
    model = build("test_resnet", 4, 32)
    for p in model.features.parameters():
        if not p.any():  # the last layer of each block starts at zero, which would keep the others from learning
            torch.nn.init.constant_(p, 0.5)
    method = METHODS[name](
        model, RunConfig(method=name, optim=OptimConfig(epochs=(2,)), **{**SMALL, **changes}), SCHEMES["mv"]
    )
    method.module.train()
    method.begin(replace(method.phases[0], labeled_names=tuple("abcdef"), unlabeled_images=5))
    return method


def batch_for(method, seed=0, epoch=0, done=0.5):
    g = torch.Generator().manual_seed(seed)
    views = method.phases[0].views
    labeled = 6 if method.phases[0].labeled else 0
    images = [torch.randn(5, 3, 32, 32, generator=g) for _ in range(views.weak + views.strong)]
    return Batch(
        torch.randn(labeled, 3, 32, 32, generator=g), torch.eye(4)[torch.randint(4, (labeled,), generator=g)],
        unlabeled=Unlabeled(tuple(images[: views.weak]), tuple(images[views.weak :]), torch.arange(5)), seed=seed,
        epoch=epoch,
        done=done,
    )  # fmt: skip


def state(method):
    return {k: v.clone() for k, v in method.module.state_dict().items()}


@pytest.mark.parametrize("name", BESIDE + PRETRAINED)
def test_every_part_that_should_learn_learns_and_no_other(name):
    method = method_of(name)
    method.loss(batch_for(method)).loss.backward()
    silent = {k for k, p in method.module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # the head has nothing to learn before there are labels; networks that follow learn nothing at all
    unlearned = ("model.head.", "key.", "target.") if name in PRETRAINED else ("nothing",)
    assert silent == {k for k, _ in method.module.named_parameters() if k.startswith(unlearned)}


@pytest.mark.parametrize("name", BESIDE)
def test_guessing_in_bf16_takes_no_gradient_from_what_is_learned_in_the_same_block(name):
    method = method_of(name)
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.loss(batch_for(method)).loss
    loss.backward()
    assert {k for k, p in method.module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0} == set()


@pytest.mark.parametrize("name", ["fixmatch", "flexmatch", "freematch", "softmatch", "uda"])
def test_no_gradient_reaches_the_view_that_is_guessed_on(name):
    method = method_of(name)
    batch = batch_for(method)
    for view in batch.unlabeled.weak + batch.unlabeled.strong:
        view.requires_grad_()
    method.loss(batch).loss.backward()
    assert all(view.grad is None for view in batch.unlabeled.weak)
    assert all(view.grad.abs().sum() > 0 for view in batch.unlabeled.strong)


def test_guesses_use_their_batchs_statistics_and_leave_no_trace():
    method = method_of("fixmatch")
    images = 3 + torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = state(method)
    said = predict_with_batch_stats(method.model, images)
    after = state(method)
    assert all(torch.equal(v, after[k]) for k, v in before.items() if "tracked" not in k)
    assert all(m.training for m in method.module.modules())
    assert {m.momentum for m in method.module.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}
    with torch.no_grad():
        torch.testing.assert_close(said, method.model(images))  # test_resnet has no dropout
        method.module.eval()
        assert (said - method.model(images)).abs().max() > 0.01


def test_guesses_of_mixmatch_are_constants():
    method = method_of("mixmatch")
    batch = batch_for(method)
    method.loss(batch)
    (q,) = method.kept
    assert not q.requires_grad
    torch.testing.assert_close(q.sum(1), torch.ones(5))


def test_ada_cm_contrasts_only_what_stays_below_its_margin():
    method = method_of("ada-cm")
    batch = batch_for(method)
    method.module.eval()  # batch statistics would tie every image to every other
    for view in batch.unlabeled.weak:
        view.requires_grad_()
    with torch.no_grad():
        p = sum(method.model(view).softmax(dim=1) for view in batch.unlabeled.weak) / 2
    middle = p.max(dim=1).values.median()
    method.margins.current.fill_(middle)
    method.loss(batch).loss.backward()
    (seen,) = method.kept
    below = seen.guess.max(dim=1).values < middle
    assert 0 < below.sum() < 5
    for view in batch.unlabeled.weak:
        assert ((view.grad.abs().sum(dim=(1, 2, 3)) > 0) == below).all()


def test_byols_target_is_a_copy_of_what_the_network_has_become_when_it_begins():
    method = method_of("byol")
    own, target = method.model.features.conv1[0], method.target[0].conv1[0]
    torch.nn.init.normal_(own.weight)  # weights out of a file come after the method is made
    method.begin(method.phases[0])
    assert torch.equal(target.weight, own.weight)
    assert target.weight is not own.weight


@pytest.mark.parametrize("name", ["mixmatch", "remixmatch"])
def test_mixing_is_refused_where_any_positive_share_counts(name):
    with pytest.raises(UsageError, match="scheme mv, pld or cel"):
        METHODS[name](build("test_resnet", 4, 32), RunConfig(method=name), SCHEMES["ml"])


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("remixmatch.views=0", "remixmatch.views 1 or more, found 0"),
        ("mixmatch.guesses=0", "mixmatch.guesses 1 or more, found 0"),
        ("mixmatch.alpha=0", "mixmatch.alpha above 0, found 0"),
        ("mixmatch.temperature=0", "mixmatch.temperature above 0, found 0"),
        ("mixmatch.rise=-1", "mixmatch.rise 0 or more, found -1"),
        ("uda.temperature=nan", "uda.temperature above 0, found nan"),
        ("uda.weight=inf", "uda.weight 0 or more, found inf"),
        ("fixmatch.ratio=0", "fixmatch.ratio 1 or more, found 0"),
        ("fixmatch.threshold=2", "fixmatch.threshold from 0 to 1, found 2"),
        ("ada_cm.margin=-0.1", "ada_cm.margin from 0 to 1, found -0.1"),
        ("simclr.tau=0", "simclr.tau above 0, found 0"),
        ("moco.momentum=1.5", "moco.momentum from 0 to 1, found 1.5"),
        ("moco.queue=0", "moco.queue 1 or more, found 0"),
        ("byol.hidden=0", "byol.hidden 1 or more, found 0"),
        ("simsiam.bottleneck=0", "simsiam.bottleneck 1 or more, found 0"),
        ("rmfer.anchors=0", "rmfer.anchors 1 or more, found 0"),
        ("rmfer.anchors=-1", "rmfer.anchors 1 or more, found -1"),
        ("rmfer.gamma=1.1", "rmfer.gamma from 0 to 1, found 1.1"),
        ("rmfer.tau=-1", "rmfer.tau above 0, found -1"),
        ("optim.patience=-1", "optim.patience 0 or more, found -1"),
        ("optim.lr=-1", "optim.lr 0 or more, found -1"),
        ("optim.lr=nan", "optim.lr 0 or more, found nan"),
        ("optim.momentum=-1", "optim.momentum 0 or more, found -1"),
        ("optim.steps=[[1, -0.1]]", "optim.steps with rates 0 or more, found [(1, -0.1)]"),
        ("memory_mb=-1", "memory_mb 0 or more, found -1"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(word, says):
    with pytest.raises(UsageError) as refused:
        changed(RunConfig(), from_words([word]), "--set")
    assert str(refused.value).replace("`", "") == f"expected {says}"


def test_views_that_show_nothing_are_refused():
    with pytest.raises(UsageError, match="one view or more"):
        Views(ratio=1)


# whole runs


class Breaking:
    """Method that stops at one of its steps, once."""

    def __init__(self, inner, at):
        self.inner, self.left = inner, at

    def __call__(self, *args):
        method = self.inner(*args)
        after = method.after_step

        def stop():
            after()
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

        method.after_step = stop
        return method


def graph(ferplus, out):
    """A table of two numbers for the training images but one."""
    names = sorted(path.name for path in (ferplus / "FER2013Train").iterdir())[1:]
    rows = [f"{name},{k % 7},{k % 3}" for k, name in enumerate(names)]
    (out.parent / "units.csv").write_text("\n".join(["image,AU12,AU25", *rows]) + "\n")
    return (str(out.parent / "units.csv"),)


def config(ferplus, mashup, out, name):
    return RunConfig(
        method=name, out=str(out), precision="fp32", checkpoint_steps=1, augment="one-of", strong="affine+erasing",
        data=DataConfig(f"ferplus:{ferplus}", rule="argmax", labels=40, unlabeled=f"rmset:{mashup}", balanced=True),
        model=ModelConfig("test_resnet", image_size=32), rmfer=RmferConfig(max_candidates=4, ial_lr=1.0, acl_lr=1.0),
        optim=OptimConfig(epochs=(1,), batch_size=8, ema=0.9), ldl=LdlConfig(graph(ferplus, out), neighbors=3), **SMALL,
    )  # fmt: skip


def each(names):
    """Parameters for every method; all but RMFER and SCN are in the slow set."""
    quick = {"rmfer", "scn"}
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", each(["rmfer", *LABELED, *BESIDE, *PRETRAINED]))
def test_a_run_broken_off_in_mid_epoch_comes_to_the_same_weights_to_the_bit(
    ferplus, mashup, tmp_path, monkeypatch, name
):
    c = config(ferplus, mashup, tmp_path / "whole", name)
    whole = run(c)
    # rmfer breaks in its last phase, the others in their first
    breaking = Breaking(METHODS[name], 10 if name == "rmfer" else 2)
    monkeypatch.setitem(METHODS, name, breaking)
    # now other processes decode, without images in memory; the result must be the same
    other = replace(c, out=str(tmp_path / "broken"), workers=2, memory_mb=0)
    with pytest.raises(KeyboardInterrupt):
        run(other)
    said = []
    again = run(other, say=said.append)
    assert any("goes on in phase" in line and "epoch 1, after" in line for line in said)
    (a, meta), (b, _) = (read_file(r.folder / "model.safetensors") for r in (whole, again))
    assert all(torch.equal(a[k], b[k]) for k in a)
    first, second = (RunFolder(r.folder).history() for r in (whole, again))
    assert [(r["loss"], r["images"]) for r in first] == [(r["loss"], r["images"]) for r in second]
    # at test only f_FER ∘ f_Feat runs: the file has no other weights, and predictions do not depend on the batch
    assert set(a) == set(build("test_resnet", 8, 32).state_dict())
    assert fer_worlds.evaluated(whole.folder, f"ferplus:{ferplus}:valid")[1].images > 0
    assert meta["model"] == "test_resnet"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fixmatch", "simclr"])
def test_without_unlabeled_images_a_rival_is_supervised_only(ferplus, mashup, tmp_path, name):
    c = config(ferplus, mashup, tmp_path / "a", name)
    none = replace(c, data=replace(c.data, unlabeled_fraction=0.0))
    a = read_file(run(none).folder / "model.safetensors")[0]
    b = read_file(run(replace(none, method="supervised", out=str(tmp_path / "b"))).folder / "model.safetensors")[0]
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_settings_of_other_methods_are_not_written(ferplus, mashup, tmp_path):
    result = run(config(ferplus, mashup, tmp_path / "a", "ada-cm"))
    values = RunFolder(result.folder).config_values()
    assert values["ada_cm"]["beta"] == 0.97
    assert not {"rmfer", "fixmatch", "byol"} & values.keys()
    assert RunFolder(result.folder).config().ada_cm == SMALL["ada_cm"]
