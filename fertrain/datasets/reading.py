"""Tables of data sets as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..errors import DatasetError


@contextmanager
def table_text(path: Path) -> Iterator[TextIO]:
    """A table opened for the `csv` module. Every table of every layout is read by way of this.

    Raises:
        DatasetError: in the body of the `with`, at a byte that is no UTF-8 or a row that is no CSV.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            yield stream
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"expected UTF-8 text in {path}, found the byte 0x{error.object[error.start]:02x}; save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise DatasetError(f"expected a CSV table in {path}, found: {error}") from None
