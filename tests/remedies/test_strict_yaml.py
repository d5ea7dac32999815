"""The YAML reader refuses what expands, hides or nests."""

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.remedies.strict_yaml import MAX_DEPTH, load_strict

BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "alias"),
        ("a: 1\nb: 2\na: 3\n", "twice"),
        ("base: {x: 1}\nd:\n  <<: {x: 2}\n", "no plain word"),
        ("[a]: 1", "no plain word"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "deeper"),
        ("[" * 3000 + "]" * 3000, "nest"),  # PyYAML 6.0.4 refuses it first, in its own words
        ("- " * (MAX_DEPTH + 1) + "x", "deeper"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: [1, 2", "expected"),
        ("x: " + "y" * 1_000_001, "larger"),
        ("a: \x00", "not allowed"),
    ],
    ids=["alias", "duplicate", "merge", "key", "deep flow", "deepest flow", "deep block", "tag", "syntax", "size", "control"],
)
def test_refused(text, says):
    with pytest.raises(GradcheckError) as caught:
        load_strict(text, "x.yaml")
    assert caught.value.id == "E676"
    assert says in caught.value.why


def test_plain_documents_are_read():
    text = "- a: [1, 2.5, true, text]\n  b: {c: d}\n"
    assert load_strict(text, "x.yaml") == [{"a": [1, 2.5, True, "text"], "b": {"c": "d"}}]


def test_nesting_up_to_the_limit_is_read():
    assert load_strict("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x.yaml") is not None
