"""The one exception that a person sees: a stable id, what failed, why, and what to do; and the words of any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck_cli.records import Failure


class GradcheckError(Exception):
    """No verdict could be reached (exit code 2).

    `id` is stable ("E113"); `what`, `why` and `do` are one line each. `where` is the user's file:line when it is known,
    `trace` the user's own frames for `--traceback`.
    """

    def __init__(self, id: str, what: str, why: str, do: str, *, where: str | None = None, trace: str | None = None) -> None:
        super().__init__(f"{id} {what}")
        self.id, self.what, self.why, self.do, self.where, self.trace = id, what, why, do, where, trace

    def failure(self) -> Failure:
        """Return what a report keeps of it."""
        from gradcheck_cli.records import Failure  # a start that only shows help has no error to keep

        return Failure(id=self.id, what=self.what, why=self.why, do=self.do, where=self.where)

    def to_dict(self) -> dict[str, str | None]:
        return {"id": self.id, "what": self.what, "why": self.why, "do": self.do, "where": self.where, "trace": self.trace}


def message(error: BaseException) -> str:
    """Return what an exception of the user's code says; nothing where its own `__str__` raises."""
    try:
        return str(error)
    except Exception:  # it is the user's code too
        return ""


def brief(error: BaseException) -> str:
    """Return what went wrong as a part of a sentence: the first line of the message, or the exception's name without one."""
    if isinstance(error, GradcheckError):
        return error.what
    return (message(error) or type(error).__name__).splitlines()[0]
