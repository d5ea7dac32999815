from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.loading import load
from gradcheck_cli.loading.ignore_comments import ignore_comments
from gradcheck_cli.records import IgnoreComment, SourceSite
from gradcheck_cli.settings import Settings


def comments_in(folder: Path, text: str, *lines: int) -> tuple[IgnoreComment, ...]:
    """The comments of a file in which layers are built on these lines."""
    (folder / "model.py").write_text(text, "utf-8")
    sites = {f"layer{line}": SourceSite(file="model.py", line=line) for line in lines}
    return ignore_comments(sites, folder)


@pytest.mark.parametrize(
    ("written", "selectors", "reason"),
    [
        ("# gradcheck: ignore[GC101]", ("GC101",), ""),
        ("# gradcheck: ignore[GC101] probe only", ("GC101",), "probe only"),
        ("#gradcheck:ignore[GC101,dead-units]  two of them", ("GC101", "dead-units"), "two of them"),
        ("# noqa: E501  # gradcheck: ignore[ GC101 , GC2 ] why  # and more", ("GC101", "GC2"), "why"),
        ("# Gradcheck: Ignore [GC101]", ("GC101",), ""),
        ("# gradcheck: ignore", (), ""),
        ("# gradcheck: ignore[]", (), ""),
        ("# gradcheck: ignore[,]", (), ""),
    ],
)
def test_a_comment_names_rules_and_a_reason(tmp_path: Path, written: str, selectors: tuple[str, ...], reason: str) -> None:
    found = comments_in(tmp_path, f"act = Sigmoid()  {written}\n", 1)
    assert found == (IgnoreComment(file="model.py", line=1, covers=(1,), selectors=selectors, reason=reason),)


@pytest.mark.parametrize(
    "line",
    [
        "act = 'gradcheck: ignore[GC101]'",
        "act = '# gradcheck: ignore[GC101]'",
        "act = 1  # gradcheck is fine",
        "act = 1  # ignore[GC101]",
    ],
)
def test_what_only_looks_like_one_is_none(tmp_path: Path, line: str) -> None:
    assert comments_in(tmp_path, line + "\n", 1) == ()


def test_behind_a_call_over_several_lines_it_is_for_the_line_where_the_call_begins(tmp_path: Path) -> None:
    first = "    Linear(\n        4,\n        4,\n    ),  # gradcheck: ignore[GC101]\n"
    text = f"net = Sequential(\n{first}    Sigmoid(),\n)  # gradcheck: ignore[GC2]\n"
    inner, outer = comments_in(tmp_path, text, 1, 2, 6)
    assert (inner.line, inner.covers) == (5, (2, 5))
    assert (outer.line, outer.covers) == (7, (1, 7))


def test_one_inside_a_call_is_for_its_own_line_alone(tmp_path: Path) -> None:
    text = "net = Sequential(\n    Linear(4, 4),\n    Sigmoid(),  # gradcheck: ignore[GC101]\n)\n"
    assert [c.covers for c in comments_in(tmp_path, text, 1, 2, 3)] == [(3,)]


def test_a_block_does_not_end_on_its_last_line(tmp_path: Path) -> None:
    """Else a comment on the last statement of a class would be for the line of the class."""
    last = "        self.b = Sigmoid()  # gradcheck: ignore[GC101]\n"
    text = f"class Net:\n    def __init__(self):\n        self.a = Linear(1, 1)\n{last}"
    assert [c.covers for c in comments_in(tmp_path, text, 3, 4)] == [(4,)]


def test_those_of_another_model_in_the_file_are_not_read(tmp_path: Path) -> None:
    one = "class {0}(Module):\n    def __init__(self):\n        self.act = Sigmoid()  # gradcheck: ignore[GC101] {0}\n"
    text = one.format("A") + one.format("B")
    assert [c.reason for c in comments_in(tmp_path, text, 3)] == ["A"]
    assert [c.reason for c in comments_in(tmp_path, text, 6)] == ["B"]


def test_a_misplaced_one_in_the_models_own_class_is_read_so_that_it_can_be_told(tmp_path: Path) -> None:
    text = "@register\nclass A(Module):  # gradcheck: ignore[GC101]\n    def __init__(self):\n        self.act = Sigmoid()\n"
    assert [c.covers for c in comments_in(tmp_path, text, 4)] == [(2,)]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_of_a_file_raises(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = comments_in(folder, f"{text}\n# gradcheck: ignore[GC101]\n", *range(1, 5))
    assert all(c.selectors == ("GC101",) for c in found)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n# \xe9\n", b"\r\n"])
def test_a_file_is_read_in_the_encoding_that_it_declares(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "model.py").write_bytes(start + b"act = Sigmoid()  # gradcheck: ignore[GC101]\n")
    sites = {"a": SourceSite(file="model.py", line=1 + start.count(b"\n"))}
    assert [c.selectors for c in ignore_comments(sites, tmp_path)] == [("GC101",)]


def test_files_that_are_gone_or_not_utf8_have_none(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# \xe9 gradcheck: ignore[GC101]\n")
    sites = {"a": SourceSite(file="latin.py", line=1), "b": SourceSite(file="gone.py", line=1)}
    assert ignore_comments(sites, tmp_path) == ()


def test_loading_a_model_reads_those_of_every_file_that_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts.py").write_text(
        "from torch import nn\n\ndef block():\n    return nn.Linear(4, 4)  # gradcheck: ignore[GC101] a\n"
    )
    (tmp_path / "model.py").write_text(
        "from torch import nn\nfrom parts import block\n"
        "model = nn.Sequential(block(), nn.Linear(4, 2))  # gradcheck: ignore[GC202] b\n"
    )
    monkeypatch.chdir(tmp_path)
    assert [(c.file, c.line, c.reason) for c in load(Settings(target="model.py")).comments] == [
        ("model.py", 3, "b"),
        ("parts.py", 4, "a"),
    ]
