"""Make text that came from a model plain text in Markdown: no link, image, mention, HTML, table cell or math of its own."""

from __future__ import annotations

import re

from gradcheck_cli.reporting.clean import clean

LONGEST = 1000  # characters of one piece of text; the whole stands in every other format

_SPAN = re.compile(r"`([^`]+)`")
_SPECIAL = re.compile(
    r"(?P<entity>[&<>|])"
    r"|(?P<reference>[@#](?=\w))"  # GitHub links these after all markup is read, so that only a code span stops it
    r"|(?P<markup>[\\`*_\[\]~$]|(?<=:)/|(?<=:/)/|(?<=\bwww)\.)",
    re.IGNORECASE,
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_BEGINNING = re.compile(r"(\d*)([-+.)]|#(?!\w))")  # of a list or a heading


def prose(text: str) -> str:
    """Write a message: names between backticks become code, everything else plain text."""
    made = ""
    for number, piece in enumerate(_SPAN.split(_fitted(text.strip()))):
        written = code(piece) if number % 2 else _plain(piece)
        made += " " + written if made.endswith("`") and written.startswith("`") else written  # two spans would become one
    return _BEGINNING.sub(r"\1\\\2", made, count=1) if _BEGINNING.match(made) else made


def code(text: str) -> str:
    """Write a code span that no text can end. What is not literal everywhere even there becomes an escape: | and <."""
    shown = clean(_fitted(text)).replace("|", "\\x7c").replace("<", "\\x3c") or " "
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    outer = {shown[0], shown[-1]}
    pad = " " if outer & {"`", " "} and not shown.isspace() else ""  # of a span's two outer spaces one is taken off
    return f"{fence}{pad}{shown}{pad}{fence}"


def _plain(text: str) -> str:
    return _SPECIAL.sub(_escaped, clean(text))


def _escaped(found: re.Match[str]) -> str:
    if found["entity"]:
        return _ENTITIES[found[0]]
    return f"`{found[0]}`" if found["reference"] else f"\\{found[0]}"


def _fitted(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
