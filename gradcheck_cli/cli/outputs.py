"""Which report goes where: `--format` and `--output-file` in the order in which they are typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.settings import STDOUT

_FORMAT = ("--format", "--output-format")
_FILE = ("--output-file",)
_SHORT = re.compile(r"-[qv]*o(?P<value>.*)", re.DOTALL)  # -o FILE, -oFILE, -qo FILE


@dataclass(frozen=True, slots=True)
class Invocation:
    """The command line as it was typed: gradcheck's own part, and what stands after `--` for the user's file."""

    arguments: tuple[str, ...]
    script: tuple[str, ...] = ()


def typed_outputs(arguments: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Return (format, file) pairs: a file belongs to the format before it, or to the one after when none is before.

    The parser of the command line forgets in which order two options were mixed, so it is read from the words.
    """
    pairs: list[tuple[str | None, str | None]] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        short = _SHORT.fullmatch(word)
        if flag in _FORMAT:
            names = (value if equals else next(words, "")).split(",")
            if pairs and pairs[-1][0] is None:
                pairs[-1] = (names.pop(0), pairs[-1][1])
            pairs += [(name, None) for name in names]
        elif flag in _FILE or short:
            file = short["value"] or next(words, "") if short else value if equals else next(words, "")
            if pairs and pairs[-1][1] is None:
                pairs[-1] = (pairs[-1][0], file)
            else:
                pairs.append((None, file))
    return pairs


def paired(flags: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the flags with as many output files as formats, each at its format's place. Raises E680 for a file too many."""
    pairs = typed_outputs(arguments)
    formats, files = [form for form, _ in pairs], [file for _, file in pairs]
    if len(pairs) > 1 and None in formats:
        raise GradcheckError(
            "E680",
            f"--output-file {files[formats.index(None)]} has no format",
            "each file takes the report in one format",
            "give a --format before each --output-file",
        )
    if formats and None not in formats:  # a typed format without a file is for the screen, whatever the settings say
        return {**flags, "output_file": [file or STDOUT for file in files]}
    return dict(flags)
