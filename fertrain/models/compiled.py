"""Compiled features (torch.compile); where that fails, a line says why and the run goes on uncompiled."""

from __future__ import annotations

import torch

from rmset.progress import Say

from .classifier import Classifier


def compile_features(model: Classifier, image_size: int, batch: int, say: Say) -> bool:
    """Compile f_Feat in place, after a trial of one training pass; returns whether it is compiled.

    Names and values of the weights stay. The trial changes neither running statistics nor torch's random numbers. Later
    shapes for which compiling fails run uncompiled.

    Args:
        model: the network, on its device.
        image_size: px.
        batch: images of the trial.
        say: callback for the reason why it is not compiled.
    """
    features, device = model.features, next(model.parameters()).device
    held = {name: value.clone() for name, value in features.named_buffers()}
    modes = [(m, m.training) for m in features.modules()]
    try:
        with torch.random.fork_rng():
            features.compile()
            features.train()
            x = torch.zeros(batch, model.channels, image_size, image_size, device=device)
            features(x.contiguous(memory_format=torch.channels_last)).float().sum().backward()
        torch._dynamo.config.suppress_errors = True
    except Exception as error:  # whatever a compiler, or the lack of one, raises
        features._compiled_call_impl = None
        torch._dynamo.reset()
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        say(f"compile: torch could not compile {model.name} here ({said[:160]}); the run goes on without")
        return False
    finally:
        for m, training in modes:
            m.training = training
        features.zero_grad()
        for name, value in features.named_buffers():
            value.copy_(held[name])
    say(f"compile: {model.name} is compiled")
    return True
