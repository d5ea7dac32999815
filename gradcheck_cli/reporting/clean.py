"""Make text that came from a model harmless for a terminal or a log."""

from __future__ import annotations

import re

# Combining marks that draw nothing, and fillers that are letters by category and invisible on the screen.
_INVISIBLE = (
    frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
    | {chr(c) for c in range(0xFE00, 0xFE10)}
    | {chr(c) for c in range(0xE0100, 0xE01F0)}
)

_LOG_COMMAND = re.compile(r"(?<!\S)::(?=\S)|##(?=\[)")


def clean(text: str) -> str:
    """Write every control, bidi, zero-width and otherwise unprintable character of one line as an escape.

    Unprintable is what Unicode files under "other" or "separator", the plain space excepted.

    So is the start of what the log of a build server would obey: `::error::` at the beginning of a line, `##[` anywhere.
    """
    text = _LOG_COMMAND.sub(lambda found: _escaped(found[0][0]) + found[0][1:], text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if not c.isprintable() or c in _INVISIBLE else c for c in text)


def clean_lines(text: str) -> list[str]:
    """Clean a text of several lines, with tabs as spaces."""
    return [clean(line) for line in text.expandtabs(4).splitlines()]


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
