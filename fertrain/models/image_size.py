"""Check whether a network accepts an image size, in training or at test, by a trial pass before any data is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from rmset.errors import RmsetError, UsageError

from ..config.fields import MOST_SCALES, SCALES
from .classifier import Classifier, scaled
from .inference import eval_mode

_SIZES = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 240, 256, 260, 288, 299, 320, 384, 448, 512)
_TRIALS = 10


def trial(
    make: Callable[[int], nn.Module], name: str, size: int, channels: int, own_size: int | None = None
) -> nn.Module:
    """Build a network and pass one black image of this size.

    Args:
        make: builds the network for a size.
        name: name of the network, for the message.
        size: height and width, px.
        channels: channels of the input.
        own_size: size used by its authors, if known; tried first if `size` does not work.

    Raises:
        UsageError: it cannot be built for that size, or does not accept it; the message names a size that works.
    """
    with torch.random.fork_rng(devices=[]):
        state = torch.random.get_rng_state()
        try:
            model = make(size)
            built = torch.random.get_rng_state()
            _pass(model, size, channels)
        except RmsetError:
            raise
        except Exception as error:
            # the error can come from any layer whose size does not divide
            works = _working(make, size, channels, own_size)
            torch.random.set_rng_state(state)
            advice = f"`model.image_size={works}` works" if works else "take another `model.name`"
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            raise UsageError(
                f"expected an image size that {name} takes, found {size} px ({reason}); {advice}"
            ) from None
    # restore the random state, so that the trial changes no later draw
    torch.random.set_rng_state(built)
    return model


def require_test_scales(model: Classifier, image_size: int, scales: Sequence[float]) -> None:
    """Raise unless a network that learns from images of one size takes others at test.

    Args:
        model: the network.
        image_size: px, in training.
        scales: shares of that, at test.

    Raises:
        UsageError: it does not.
    """
    if len(scales) > MOST_SCALES or not all(SCALES[0] <= scale <= SCALES[1] for scale in scales):
        found = ", ".join(f"{scale:g}" for scale in scales)
        raise UsageError(
            f"expected up to {MOST_SCALES} numbers from {SCALES[0]:g} to {SCALES[1]:g} for "
            f"`model.test_scales`, found {found}"
        )
    for size in (scaled(image_size, scale) for scale in scales):
        try:
            _pass(model, size, model.channels)
        except Exception as error:
            # the error can come from any layer whose size is fixed
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            raise UsageError(
                f"expected a network that takes images of {size} px at test, found {model.name}, built for "
                f"{image_size} px ({reason}); leave `model.test_scales` out, or take a network that pools maps of any "
                "size, such as resnet10t"
            ) from None


def _pass(model: nn.Module, size: int, channels: int) -> None:
    with eval_mode(model):
        model(torch.zeros(1, channels, size, size))


def _working(make: Callable[[int], nn.Module], size: int, channels: int, own_size: int | None) -> int | None:
    """Return the nearest usual size that works; the authors' own comes first if known."""
    near = sorted(_SIZES, key=lambda one: (abs(one - size), one))
    tried = [one for one in near if one != size][:_TRIALS]
    for one in [*tried, *([own_size] if own_size and own_size not in tried else [])]:
        if _takes(make, one, channels):
            return one
    return None


def _takes(make: Callable[[int], nn.Module], size: int, channels: int) -> bool:
    try:
        _pass(make(size), size, channels)
    except Exception:
        return False
    return True
