"""Escape untrusted text before printing: titles, file names, errors of hosts, cells of tables.

A title may contain terminal escape sequences, direction marks that make one name read as another, or a spreadsheet
formula. All output of both command lines goes through this module.
"""

from __future__ import annotations

import codecs
import re
import sys
from typing import TextIO

# Controls (C0, DEL, C1), marks of direction, separators of lines, invisible signs, halves of surrogates.
_UNSAFE = (
    *range(0x20), *range(0x7F, 0xA0), 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F),
    *range(0x2060, 0x2070), *range(0xD800, 0xE000), 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip


def _shown(code: int) -> str:
    if code in (9, 10, 13):
        return {9: "\\t", 10: "\\n", 13: "\\r"}[code]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ONE_LINE = {code: _shown(code) for code in _UNSAFE}
_LINES = {code: text for code, text in _ONE_LINE.items() if code not in (9, 10)}
# Texts that a spreadsheet runs as a formula; signed numbers and ids with a leading sign are not.
_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
_HARMLESS = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?%?|-[\w-]{0,63}", re.ASCII | re.IGNORECASE)
# ASCII replacements for the program's own symbols, for terminals without Unicode.
_PLAIN = {
    "–": "-", "—": "-", "−": "-", "×": "x", "…": "...", "±": "+/-", "≥": ">=", "≤": "<=", "→": "->", "τ": "tau",
    "λ": "lambda", "Δ": "delta", "‘": "'", "’": "'", "“": '"', "”": '"', "•": "*", "·": "*", "°": " deg", "≈": "~",
}  # fmt: skip
_HANDLER = "rmset-plain"


def one_line(text: str) -> str:
    r"""Escape the control characters of a text, line breaks included.

    >>> one_line("a\x1b[31mb\n\u202ec")
    'a\\x1b[31mb\\n\\u202ec'
    """
    return text.translate(_ONE_LINE)


def lines(text: str) -> str:
    r"""Escape the control characters of a text of several lines, except its line breaks.

    >>> lines("a\n\x9bb")
    'a\n\\x9bb'
    """
    return text.translate(_LINES)


def cell(text: str) -> str:
    """Make a text safe as a CSV cell for spreadsheets: no control characters, no formulas.

    Formulas get an apostrophe in front; numbers and video ids are unchanged.

    >>> cell("=cmd()"), cell("-1.5"), cell("-dQw4w9WgXcQ"), cell("a=b")
    ("'=cmd()", '-1.5', '-dQw4w9WgXcQ', 'a=b')
    """
    guarded = f"'{text}" if _FORMULA.match(text) and not _HARMLESS.fullmatch(text) else text
    return lines(guarded)


def plain_streams() -> None:
    """Make stdout and stderr replace unencodable characters by ASCII instead of failing."""
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIO) or hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)  # type: ignore[union-attr]


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or _shown(ord(sign)) for sign in found), error.end
