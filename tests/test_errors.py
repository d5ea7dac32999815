"""What a person reads of an exception, whatever it says itself."""

import pytest

from gradcheck_cli.errors import GradcheckError, brief, message


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("one line\nand another"), "one line"),
        (ValueError(), "ValueError"),
        (Silent(), "Silent"),
        (GradcheckError("E561", "the model raised", "why", "do"), "the model raised"),
    ],
)
def test_an_exception_is_told_on_one_line(error: Exception, shown: str) -> None:
    assert brief(error) == shown


def test_an_exception_that_cannot_speak_says_nothing() -> None:
    assert message(Silent()) == ""
