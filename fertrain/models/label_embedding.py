"""A head that predicts a word vector; the predicted class is the one with the nearest word by cosine.

    v = W f + b (B, D)    logit_k = s cos(v, w_k)    s = 10 spreads the softmax of the logits

The words are a buffer of the head, stored with the weights, so predictions need no word file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rmset.bounded import open_regular
from rmset.errors import UsageError

from ..errors import WeightsError
from ..labels import canonical

SCALE = 10.0
WORDS: dict[str, str] = {
    "anger": "angry", "disgust": "disgust", "fear": "fear", "happiness": "happy", "neutral": "neutral",
    "sadness": "sad", "surprise": "surprise", "contempt": "contempt",
}  # fmt: skip
"""Default word of each class."""
_LONGEST_WORD, _LONGEST_LINE = 1024, 1 << 20


class EmbeddingHead(nn.Module):
    """(B, dim) -> scaled cosines (B, K) with the words of the classes."""

    words: Tensor

    def __init__(self, dim: int, words: Tensor) -> None:
        super().__init__()
        self.project = nn.Linear(dim, words.shape[1])
        self.register_buffer("words", F.normalize(words.float(), dim=1))
        """(K, D), of length 1."""

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits (B, K); the largest belongs to the nearest word."""
        predicted: Tensor = self.project(features)
        # autocast would round cosines to bf16's three digits
        with torch.autocast(predicted.device.type, enabled=False):
            return SCALE * F.normalize(predicted.float(), dim=1) @ self.words.T


def words_of(classes: Sequence[str], given: Sequence[str] = ()) -> list[str]:
    """Choose the word of each class: those given as `class=word`, else the usual ones."""
    own = dict(WORDS)
    for text in given:
        name, equals, word = text.partition("=")
        if not equals or canonical(name) not in classes:
            raise UsageError(f"expected CLASS=WORD with one of {', '.join(classes)}, found '{text}'")
        own[canonical(name)] = word.strip()
    if missing := [name for name in classes if name not in own]:
        raise UsageError(f"expected a word for every class, found none for {missing[0]}; give {missing[0]}=WORD")
    return [own[name] for name in classes]


def read_vectors(path: Path, words: Sequence[str]) -> Tensor:
    """Read the vectors of these words, float32 (K, D).

    Args:
        path: a word2vec file in the C format, text (a header "count D", then a word and D numbers a line) or binary
            (the same header, then word, space, D little-endian float32), or such lines without a header.
        words: words in the order wanted; case matters only if the file has both spellings.

    Raises:
        WeightsError: the file is none of these, or lacks a word.
    """
    if not path.is_file():
        raise WeightsError(f"expected a file of word vectors, found none at {path}; give one with `model.vectors`")
    wanted = {word.lower() for word in words}
    found = _read_binary(path, wanted) if _is_binary(path) else _read_text(path, wanted)
    rows = [found.get(word, found.get(word.lower())) for word in words]
    missing = [word for word, row in zip(words, rows, strict=True) if row is None]
    if missing:
        raise WeightsError(
            f"expected vectors of {', '.join(words)} in {path}, found none of {', '.join(missing)}; name another "
            "word with `model.words`, as CLASS=WORD"
        )
    lengths = {len(row) for row in rows if row is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise WeightsError(f"expected vectors of one length in {path}, found {sorted(lengths)}")
    vectors = np.stack([row for row in rows if row is not None]).astype(np.float32)
    if not np.isfinite(vectors).all() or not (vectors != 0).any(axis=1).all():
        raise WeightsError(f"expected vectors of finite numbers that are not all 0 in {path}, found others")
    return torch.from_numpy(vectors)


Vectors = Mapping[str, npt.NDArray[np.float32]]


def _header(line: bytes) -> tuple[int, int] | None:
    parts = line.split()
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(p.isdigit() for p in parts) else None


def _is_binary(path: Path) -> bool:
    with open_regular(path) as file:
        if _header(file.readline(_LONGEST_WORD)) is None:
            return False
        second = file.read(4096)
    # numbers as text are printable; little-endian floats almost never are
    return any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in second)


def _read_text(path: Path, wanted: set[str]) -> Vectors:
    found: dict[str, npt.NDArray[np.float32]] = {}
    with open_regular(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            if number == 1 and _header(line):
                continue
            if len(line) == _LONGEST_LINE:
                raise WeightsError(f"expected a word and numbers in {path}, found a line {number} without an end")
            word, *values = line.decode(errors="replace").replace(",", " ").split() or [""]
            if word.lower() in wanted:
                try:
                    found.setdefault(word, np.asarray(values, dtype=np.float32))
                except ValueError:
                    raise WeightsError(f"expected a word and numbers in {path}, line {number}") from None
    return _with_lower(found)


def _read_binary(path: Path, wanted: set[str]) -> Vectors:
    found: dict[str, npt.NDArray[np.float32]] = {}
    with open_regular(path) as file:
        count, dim = _header(file.readline(_LONGEST_WORD)) or (0, 0)
        if dim > _LONGEST_LINE // 16:
            raise WeightsError(f"expected vectors of at most {_LONGEST_LINE // 16:,} numbers in {path}, found {dim:,}")
        for _ in range(count):
            letters = bytearray()
            while (letter := file.read(1)) not in (b" ", b""):
                letters += letter
                if len(letters) > _LONGEST_WORD:
                    raise WeightsError(f"expected a word2vec file in the C format at {path}, found an endless word")
            data = file.read(4 * dim)
            if len(data) < 4 * dim:
                raise WeightsError(f"expected {count} vectors of {dim} numbers in {path}, found its end before them")
            word = letters.decode("utf-8", errors="replace").lstrip("\n")
            if word.lower() in wanted:
                found.setdefault(word, np.frombuffer(data, dtype="<f4").copy())
    return _with_lower(found)


def _with_lower(found: dict[str, npt.NDArray[np.float32]]) -> Vectors:
    """Add the lower-case spelling, unless the file has it."""
    return {word.lower(): vector for word, vector in reversed(found.items())} | found
