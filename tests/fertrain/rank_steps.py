"""Steps of methods in one process or several: `python rank_steps.py OUT FACES ROOT STEPS DTYPE METHOD…`.

Every process writes losses, the gradients of the first step and the weights after the last, by method, to OUT-RANK.pt.
`METHOD+sam` and `METHOD+mix` take that optimizer, or mix images; `METHOD+twice` adds a pass through the head alone;
`METHOD+sent` sends gradients, as processes without common memory do.
"""

import sys
from dataclasses import fields, is_dataclass, replace

import torch
from torch import nn

from fertrain import ranks
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.registry import open_entry
from fertrain.methods import Batch
from fertrain.models.factory import build
from fertrain.training.averaged import Averaged
from fertrain.training.batches import TrainLoader
from fertrain.training.data import open_labeled_data, open_unlabeled
from fertrain.training.optim import Stepper, optimizer_for
from fertrain.training.resolve import resolve


def cast(value, dtype):
    """Every floating tensor of a batch in that precision."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple):
        return tuple(cast(v, dtype) for v in value)
    if is_dataclass(value):
        return replace(value, **{f.name: cast(getattr(value, f.name), dtype) for f in fields(value)})
    return value


def still(module):
    """Training mode without dropout and batch statistics."""
    module.train()
    for layer in module.modules():
        if isinstance(layer, (nn.Dropout, nn.modules.batchnorm._BatchNorm)):
            layer.eval()


def steps_of(name, faces, root, steps, dtype):
    plain = name.split("+")
    base = RunConfig(
        method=plain[0], data=DataConfig(labeled=f"folder:{faces}", unlabeled=f"rmset:{root}"),
        model=ModelConfig("resnet10t", image_size=32), optim=OptimConfig(epochs=(1,), batch_size=8),
        augment="one-of+affine", strong="affine+randaugment+erasing", mix="mixup" if "mix" in plain else "none",
        memory_mb=0, workers=0,
    )  # fmt: skip
    config = replace(
        base, fixmatch=replace(base.fixmatch, threshold=0.13, ratio=2), moco=replace(base.moco, queue=32, dim=16),
        ada_cm=replace(base.ada_cm, margin=0.145), uda=replace(base.uda, threshold=0.13),
        rmfer=replace(base.rmfer, anchors=2, max_candidates=9), byol=replace(base.byol, hidden=32, dim=16),
        simsiam=replace(base.simsiam, dim=32, bottleneck=16), flexmatch=replace(base.flexmatch, threshold=0.14),
        remixmatch=replace(base.remixmatch, rise=0), mixmatch=replace(base.mixmatch, rise=0),
    )  # fmt: skip
    torch.manual_seed(0)
    parts = resolve(config)
    dataset = open_entry(parts.labeled)
    model = build("resnet10t", len(dataset.order), 32)
    method = parts.method(model, config, parts.scheme)
    data = open_labeled_data(parts, dataset, model.channels)
    beside = open_unlabeled(parts, method.phases, data)
    loader = TrainLoader(
        data.learn, beside.anchors, beside.images, batch_size=8, seed=0, workers=0, device=torch.device("cpu")
    )
    loader.check_shares(beside.phases)
    for given in method.phases:
        method.begin(loader.counted(given))
        if given.name in ("acl", "pretrain") or len(method.phases) == 1:
            break
    else:
        raise AssertionError
    if name == "rmfer":
        nn.init.normal_(method.ial_head.weight)
    phase = replace(loader.counted(given), steps=steps, optimizer="sam" if "sam" in plain else "sgd")
    method.module.to(dtype)
    still(method.module)
    ranks.prepare(method.module)
    stepper = Stepper(
        optimizer_for(method.module, phase, config.optim), method.module,
        sam_rho=config.optim.sam_rho if "sam" in plain else None,
    )  # fmt: skip
    averaged = Averaged(method.module)
    if "sent" in plain:
        averaged._sends = True
    losses, first = [], None
    for batch in loader.epoch(0, phase):
        given = cast(batch, dtype)
        assert isinstance(given, Batch)

        def look(given=given):
            output = method.loss(given)
            with averaged.backward(last="twice" not in plain):
                output.loss.backward()
            if "twice" in plain:
                with averaged.backward():
                    method.model.head(
                        torch.ones(1, method.model.head.in_features, dtype=dtype)
                    ).square().sum().backward()
            return output

        losses.append(stepper(look, 0.05).loss.item())
        method.after_step()
        if first is None:
            first = {n: p.grad.clone() for n, p in method.module.named_parameters() if p.grad is not None}
    return {"losses": losses, "gradients": first, "state": method.module.state_dict(), "images": len(batch.images)}


def main(out, faces, root, steps, dtype, *names):
    with ranks.joined("cpu"):
        found = {name: steps_of(name, faces, root, int(steps), getattr(torch, dtype)) for name in names}
        torch.save(found, f"{out}-{ranks.index()}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
