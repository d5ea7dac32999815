import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradcheck_cli.reporting.clean import clean, clean_lines

# What a terminal obeys or hides: controls (C0, DEL, C1), bidi marks and isolates, zero-width characters, fillers.
OBEYED = {chr(c) for c in [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]}
HIDDEN = set("\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2800\u3164\ufeff\uffa0\ufe0f")


@given(st.text(st.characters(), max_size=60))
def test_no_character_that_a_terminal_obeys_or_hides_survives(text: str) -> None:
    cleaned = clean(text)
    assert not set(cleaned) & (OBEYED | HIDDEN)
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(st.sampled_from(sorted(OBEYED | HIDDEN)), min_size=1, max_size=20))
def test_harmful_characters_become_ascii_escapes(text: str) -> None:
    assert clean(text).isascii()
    assert clean(text).startswith("\\")


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assume("::" not in text and "##[" not in text)
    assert clean(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("two\nlines\r", "two\\x0alines\\x0d"),
        ("::error file=a::b", "\\x3a:error file=a::b"),
        ("a ##[error]b", "a \\x23#[error]b"),
        ("model.py::Net", "model.py::Net"),
        ("层.ブロック.é", "层.ブロック.é"),
    ],
)
def test_examples(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


def test_lines_are_kept_and_each_is_cleaned() -> None:
    assert clean_lines("a\tb\n\x07c") == ["a   b", "\\x07c"]
