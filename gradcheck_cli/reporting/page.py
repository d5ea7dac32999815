"""Lines of styled text: wrapped with a hanging indent where the width is known, left as they are where it is not."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gradcheck_cli.reporting.base import Look

# What stands for the characters that reports are drawn with; anything else that is not ASCII becomes an escape.
_SAME_LENGTH = dict(zip("▁▂▃▄▅▆▇█−–—‘’“”│·×", "..:-=+*#---''\"\"||x", strict=True))
_LONGER = {"→": "->", "…": "...", "≥": ">=", "≤": "<=", "≈": "~", "²": "^2", "√": "sqrt ", "±": "+-", "‖": "||"}
_ASCII = {ord(sign): plain for sign, plain in (_SAME_LENGTH | _LONGER).items()}
_NO_WIDTH = 1_000_000


class Page:
    """The lines of a report in the making."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._lines: list[Text] = []
        self._console = Console(
            file=io.StringIO(),
            width=look.width or _NO_WIDTH,
            force_terminal=look.color,
            color_system="standard" if look.color else None,
            legacy_windows=False,
            _environ={},
        )

    @property
    def width(self) -> int:
        return self.look.width or _NO_WIDTH

    def blank(self) -> None:
        """Separate two parts by one empty line, whatever stood before."""
        if self._lines and self._lines[-1].plain:
            self._lines.append(Text())

    def add(self, text: Text, *, label: Text | None = None, hang: int = 0) -> None:
        """Add a line, after a label that fills the first `hang` columns; what does not fit goes on at `hang`."""
        lines = list(text.wrap(self._console, max(self.width - hang, 20), overflow="fold")) if text else [text]
        prefix = Text() if label is None else Text.assemble(label, " " * (hang - label.cell_len))
        for number, line in enumerate(lines):
            made = Text.assemble(" " * hang if number else prefix, line)
            made.rstrip()
            self._lines.append(made)

    def row(self, cells: Sequence[Text], widths: Sequence[int], *, right: frozenset[int], indent: int = 2) -> None:
        """Add one row of a table; a cell that is wider than its column is folded onto further lines."""
        folded = [
            list(cell.wrap(self._console, width, overflow="fold")) if cell.cell_len > width else [cell]
            for cell, width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, folded))):
            line = Text(" " * indent)
            for column, (parts, width) in enumerate(zip(folded, widths, strict=True)):
                part = parts[number].copy() if number < len(parts) else Text()
                part.rstrip()
                gap = " " * (width - part.cell_len)
                line.append_text(Text.assemble(*((gap, part) if column in right else (part, gap)), "  "))
            line.rstrip()
            self._lines.append(line)

    def render(self) -> str:
        """Return all lines, with escape codes only where colour is wanted, in ASCII where the encoding asks for it."""
        with self._console.capture() as captured:
            for line in self._lines:
                self._console.print(line, soft_wrap=True, highlight=False)
        text = captured.get()
        return text if self.look.unicode else to_ascii(text)


def to_ascii(text: str) -> str:
    """Replace what the project draws by ASCII that looks alike, and everything else by escapes."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def said(text: str, style: str = "") -> Text:
    """Make text harmless and lay it out as it is: no markup, no emoji codes. `code` in backticks is set off."""
    from gradcheck_cli.reporting.clean import clean

    made = Text(clean(text), style=style)
    made.highlight_regex(r"`[^`]+`", "cyan")
    return made
