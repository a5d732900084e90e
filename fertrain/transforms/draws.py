"""Random numbers of a batch of which a process has a share: drawn for the whole batch, kept for its own rows.

So an image is augmented alike, whichever process has it, and however many there are.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor


class ShareGenerator(Generator):
    """A generator that remembers which rows of the batch its process has."""

    rows: slice
    total: int


def seeded(seed: int, rows: slice | None = None, total: int = 0) -> Generator:
    """Make the generator of one batch.

    Args:
        seed: of the batch.
        rows: this process's rows; None for all.
        total: rows of the whole batch.
    """
    if rows is None or rows == slice(0, total):
        return Generator().manual_seed(seed)
    generator = ShareGenerator()
    generator.manual_seed(seed)
    generator.rows, generator.total = rows, total
    return generator


def draw_rows(n: int, generator: Generator, draw: Callable[[int], Tensor]) -> Tensor:
    """Draw one row of numbers for each of `n` images.

    Args:
        n: images at hand.
        generator: used by `draw`.
        draw: number of images -> numbers (n, …).
    """
    if isinstance(generator, ShareGenerator):
        return draw(generator.total)[generator.rows]
    return draw(n)
