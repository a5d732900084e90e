"""Read tensors of a state dict in torch's format before version 1.6, without torch.

facenet-pytorch's weights are such files: five pickles (magic number, protocol, system, the dict with references to
storages, the keys of the storages), then each storage's number of elements and its bytes; torch/serialization.py,
`_legacy_load`. Importing torch to read 2 MB would take longer than detecting the faces of a short video.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.bounded import open_regular
from rmset.errors import DetectorError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Reader(pickle.Unpickler):
    """Unpickler restricted to the few names of such a dict: a pickle can otherwise call anything."""

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a state dict")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        _, kind, key, _, _, _ = pid
        return key, _DTYPES[kind]


def state_dict(path: Path) -> dict[str, npt.NDArray]:
    """Name -> tensor of its own shape and type.

    Raises:
        DetectorError: the file is missing or of another format.
    """
    try:
        with open_regular(path) as file:
            magic, _, _, found, keys = (_Reader(file).load() for _ in range(5))
            if magic != _MAGIC:
                raise ValueError("another magic number")
            types = {key: dtype for (key, dtype), *_ in found.values()}
            storages = {}
            for key in keys:
                count = int.from_bytes(file.read(8), "little")
                storages[key] = np.frombuffer(file.read(count * types[key].itemsize), types[key], count)
    except OSError as error:
        raise DetectorError(
            f"detector mtcnn: expected weights at {path}, found none ({error.strerror}); "
            "reinstall with `pip install --force-reinstall facenet-pytorch==2.5.3`"
        ) from error
    except (pickle.UnpicklingError, ValueError, TypeError, LookupError, AttributeError, EOFError) as error:
        raise DetectorError(
            f"detector mtcnn: expected facenet-pytorch 2.5.3's weights at {path}, found something else ({error}); "
            "reinstall with `pip install --force-reinstall facenet-pytorch==2.5.3`"
        ) from error
    return {
        name: np.ascontiguousarray(
            np.lib.stride_tricks.as_strided(
                storages[key][offset:], shape, [step * dtype.itemsize for step in strides], writeable=False
            )
        )
        for name, ((key, dtype), offset, shape, strides) in found.items()
    }
