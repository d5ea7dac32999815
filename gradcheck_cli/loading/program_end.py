"""A model that calls `sys.exit` while it runs: told like any other error of its forward pass (E561)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gradcheck_cli.errors import GradcheckError


class ProgramEnd(Exception):
    """Stands for a SystemExit of the user's code, with its traceback, where errors of that code are caught."""


@contextlib.contextmanager
def as_error() -> Iterator[None]:
    """Turn SystemExit into ProgramEnd."""
    try:
        yield
    except SystemExit as end:
        raise ProgramEnd(f"exit code {end.code}").with_traceback(end.__traceback__) from None


def translate(error: BaseException) -> GradcheckError | None:
    """E561 for ProgramEnd, None for other errors."""
    if not isinstance(error, ProgramEnd):
        return None
    return GradcheckError(
        "E561",
        f"the model's code ended the program ({error})",
        "a model must return from its forward pass",
        "take the exit out",
    )
