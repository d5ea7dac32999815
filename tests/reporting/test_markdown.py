import dataclasses
import re

import pytest
from canned_scans import HOSTILE, clean_scan, failed, hostile, large, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_text_report import check_golden

from gradcheck_cli.records import Report, Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.markdown import LONGEST
from gradcheck_cli.reporting.markdown_text import LONGEST as LONGEST_TEXT
from gradcheck_cli.reporting.markdown_text import code, prose

OURS = {"text", "code_inline", "strong_open", "strong_close"}  # what may stand in a line
FRAGMENTS = st.sampled_from(
    ["`", "``", "|", "\\", "@a", "#1", "[x](y)", "<b>", "&lt;", "**", "_", "~~", "$", "- ", "1. ", "# ", "://"]
)
BEGINNINGS = st.sampled_from(
    ["", " ", "    ", "- ", "+ ", "* ", "1. ", "12) ", "# ", "## ", "> ", "---", "===", "```", "~~~", "| "]
)
WORDS = st.lists(st.characters().map(str) | FRAGMENTS, max_size=12).map("".join)


def tokens(shown: str) -> list[Token]:
    """Read GitHub's Markdown, as far as it can do harm; autolinks, mentions and references are looked for in the text."""
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(shown)
    return [token for block in parsed for token in ([block] if block.children is None else block.children)]


def plain_text(shown: str) -> str:
    return " ".join(token.content for token in tokens(shown) if token.type == "text")


def check_harmless(shown: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", shown)
    assert "<" not in shown
    found = tokens(shown)
    assert not {"html_inline", "html_block", "link_open", "image", "s_open", "em_open", "fence", "code_block"} & {
        token.type for token in found
    }
    assert not re.search(r"[@#]\w", plain_text(shown))


def rows(shown: str) -> list[int]:
    """Count the cells of each row of the table."""
    counts: list[int] = []
    for token in tokens(shown):
        if token.type == "tr_open":
            counts.append(0)
        elif token.type in ("td_open", "th_open"):
            counts[-1] += 1
    return counts


def alone(report: Report, **more: object) -> str:
    return render((Scan(target="examples/deep.py", report=report),), look("markdown", **more))


def test_golden() -> None:
    check_golden("scans_markdown.md", render(scans(), look("markdown")))


def test_the_verdict_comes_first() -> None:
    assert render(scans(), look("markdown")).startswith("## gradcheck: 1 sick, 1 healthy, 2 without a verdict\n")
    assert alone(sick_report()).startswith("## gradcheck: sick\n\n### `examples/deep.py`: sick\n")
    assert render((failed("a.py"),), look("markdown")).startswith("## gradcheck: no verdict\n\n### `a.py`: no verdict\n")
    assert render(clean_scan(), look("markdown")) == (
        "## gradcheck: healthy\n\n### `examples/fine.py`: healthy\n\nnothing found\n"
    )


def test_a_row_for_each_finding_that_counts() -> None:
    shown = alone(sick_report())
    assert rows(shown) == [5] * 4
    assert "| warning | GC202 saturation | `net.39` | `models/examples/deep.py:15` | 71 % of the units" in shown
    assert "| note | GC602 initial-loss | `(model)` | `models/examples/deep.py` | the first loss" in shown


def test_what_was_tried_stands_below_for_errors_and_warnings() -> None:
    helped = alone(sick_report()).split("**Tried on a copy**")[1].split("\n\n")[1].splitlines()
    assert helped == [
        "- GC101 at `net.1`: **ReLU in place of Sigmoid** cures it: drop 17.0 → 0.3 (limit 3 decades); "
        "loss after 30 steps 2.31 → 0.87 ± 0.05",
        "- GC202 at `net.39`: **ReLU in place of Sigmoid** cures it: loss after 30 steps 2.31 → 0.87 ± 0.05",
        "- `gradcheck fix examples/deep.py` turns a cure into a patch",
    ]
    assert "gradcheck fix" not in alone(sick_report(), hints=False)


def test_without_a_cure_the_best_is_named_or_that_nothing_helps() -> None:
    report = sick_report()
    uncured = dataclasses.replace(report, trials=tuple(t for t in report.trials if t.outcome != "cured"))
    assert "- GC101 at `net.1`: **BatchNorm before each Sigmoid** helps most and is no cure: drop 17.0 → 2.9" in alone(uncured)
    assert "gradcheck fix" not in alone(uncured)
    useless = dataclasses.replace(report, trials=tuple(t for t in report.trials if t.outcome in ("worse", "no effect")))
    assert "- GC101 at `net.1`: none of 3 trials helps\n" in alone(useless)
    assert "Tried" not in alone(dataclasses.replace(report, trials=()))


def test_what_the_verdict_rests_on() -> None:
    shown = alone(sick_report()).split("**What the verdict rests on**\n\n")[1]
    assert "- **Accepted:** 3 findings (1 by the baseline, 1 by a comment, 1 by a setting)\n" in shown
    assert "- **Baseline:** stale: GC205 forward-decay at `net.7`" in shown
    assert "- **Close call:** GC202 saturation at `net.39`: the scan fails" in shown
    assert "- **Assumed:** learning rate 1e-3 for Adam" in shown
    assert "- **Not measured:** histograms of 2 tensors are sampled\n" in shown
    assert not {"net.3`", "net.5`"} & set(re.findall(r"net\.\d+`", alone(sick_report())))  # accepted findings are a number only


def test_a_failed_target_says_why() -> None:
    shown = render(scans(), look("markdown"))
    assert "**E104** at `models/examples/broken.py:3` examples/broken.py cannot be read: it is no Python; mend it\n" in shown
    assert "**E104** package.module:Net cannot be read" in shown
    nameless = render((dataclasses.replace(scans()[3], target=""),), look("markdown"))
    assert nameless.startswith("## gradcheck: no verdict\n\n### no verdict\n\n**E104** ")


def test_a_comment_holds_many_findings_and_says_what_it_leaves_out() -> None:
    shown = render(large(500), look("markdown"))
    assert rows(shown) == [5] * 51
    assert "\n450 more findings are not listed: `--format concise` lists them all.\n" in shown
    profile = dataclasses.replace(sick_report().profiles[0], assumptions=tuple(f"guess {n}" for n in range(30)))
    assert "- **Assumed:** and 10 more\n" in alone(dataclasses.replace(sick_report(), profiles=(profile,)))


def test_it_is_never_too_long_for_a_comment() -> None:
    shown = render(scans() * 100, look("markdown"))
    assert LONGEST - 1000 < len(shown) <= LONGEST
    assert shown.endswith("\n\nThe rest is left out: it would be too long for a comment.\n")
    check_harmless(shown)


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("unicode", [True, False])
def test_hostile_words_are_text(word: str, unicode: bool) -> None:
    shown = render(hostile(word), look("markdown", unicode=unicode))
    check_harmless(shown)
    assert rows(shown) == [5] * 4
    assert shown.isascii() or unicode
    assert len([token for token in tokens(shown) if token.type == "heading_open"]) == 4


@given(WORDS)
def test_any_words_leave_the_document_as_it_is(word: str) -> None:
    shown = render(hostile(word or "x"), look("markdown"))
    check_harmless(shown)
    assert rows(shown) == [5] * 4
    assert {token.type for token in tokens(shown) if not token.type.endswith(("_open", "_close"))} <= OURS


@given(WORDS.filter(bool))
def test_a_code_span_holds_the_cleaned_text(word: str) -> None:
    (token,) = [token for token in tokens(f"a {code(word)} b") if token.type == "code_inline"]
    assert token.content.strip() == clean(word).replace("|", "\\x7c").replace("<", "\\x3c").strip()
    assert rows(f"| a | b |\n| --- | --- |\n| {code(word)} | {code(word)} |") == [2, 2]


@given(WORDS)
def test_prose_says_what_the_text_says(word: str) -> None:
    """Whatever is code and whatever is not: read back, the words are those of the text, without the marks of code."""
    shown = prose(word)
    found = tokens(f"x {shown} y")
    assert {token.type for token in found} <= {"paragraph_open", "paragraph_close", "text", "code_inline"}
    read = "".join(token.content for token in found)
    expected = clean(word.strip())
    for sign, escape in (("|", "\\x7c"), ("<", "\\x3c")):  # these become escapes where they are code
        read, expected = read.replace(escape, sign), expected.replace(escape, sign)
    assert re.sub(r"[`\s]", "", read) == re.sub(r"[`\s]", "", f"x{expected}y")
    assert not re.search(r"[@#]\w", " ".join(token.content for token in found if token.type == "text"))


@given(st.tuples(BEGINNINGS, BEGINNINGS, WORDS).map("".join))
def test_no_text_begins_a_block_of_its_own(word: str) -> None:
    alone, listed = tokens(prose(word)), tokens(f"- {prose(word)}")
    inside = {"paragraph_open", "paragraph_close", "text", "code_inline"}
    assert {token.type for token in alone} <= inside
    assert {token.type for token in listed} <= inside | {
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    }
    assert sum(token.type == "bullet_list_open" for token in listed) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the gradient of `net.0` (limit 3)", "the gradient of `net.0` (limit 3)"),
        ("a|b", "a&#124;b"),
        ("`a|b<c`", "`a\\x7cb\\x3cc`"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("@org/team and a@b.c", "`@`org/team and a`@`b.c"),
        ("fixes #12", "fixes `#`12"),
        ("[x](https://evil)", "\\[x\\](https:\\/\\/evil)"),
        ("www.evil.org", "www\\.evil.org"),
        ("- a", "\\- a"),
        ("12. a", "12\\. a"),
        ("1) a", "1\\) a"),
        ("# a", "\\# a"),
        ("`a``b`", "`a` `b`"),
        ("a ` b", "a \\` b"),
        ("two\nlines", "two\\\\x0alines"),
        ("  __init__  ", "\\_\\_init\\_\\_"),
        ("$x^2$ ~~y~~ *z*", "\\$x^2\\$ \\~\\~y\\~\\~ \\*z\\*"),
        ("", ""),
    ],
)
def test_prose(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a``b", "```a``b```"),
        (" a", "`  a `"),
        ("", "` `"),
        ("\x1b", "`\\x1b`"),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert code(text) == shown


def test_one_text_cannot_fill_the_comment() -> None:
    assert len(prose("a" * 5000)) == len(code("a" * 5000)) - 2 == LONGEST_TEXT
    assert prose("a" * 5000).endswith("…")
