"""How a comparison reads, on the screen, in a comment on a pull request and for machines."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest
from canned_reports import healthy, sick
from test_markdown import check_harmless, rows
from test_text_report import HOSTILE, check_golden

from gradcheck_cli.gate.comparison import compare, compare_scans
from gradcheck_cli.records import (
    Compared,
    Comparison,
    LayerShift,
    Level,
    Report,
    Scan,
    Shift,
    SpineShift,
    Uncompared,
    from_dict,
    to_dict,
)
from gradcheck_cli.reporting import comparison_words as words
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.comparison import add_comparison, render
from gradcheck_cli.reporting.comparison_markdown import markdown
from gradcheck_cli.reporting.page import Page


def of_scans(*pairs: tuple[Report, Report]) -> Compared:
    return compare_scans(*zip(*[[Scan(target=r.target, report=r) for r in pair] for pair in pairs], strict=True))


def canned() -> Compared:
    """The healthy model, and what became of it: as deep, with sigmoids, and with a finding."""
    old = healthy()
    profile = dataclasses.replace(old.profiles[0], seed=1, versions={"torch": "2.12.0"})
    return of_scans((dataclasses.replace(old, profiles=(profile,)), sick(depth=20)))


def _shrunk(report: Report, depth: int) -> Report:
    """Give the last layers of the report other names, so that they are in one report only."""
    profile = report.profiles[0]
    layers = tuple(dataclasses.replace(x, name=f"more.{x.order}") if x.order > depth else x for x in profile.layers)
    return dataclasses.replace(report, profiles=(dataclasses.replace(profile, layers=layers),))


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("compared_80.txt", {"width": 80}),
        ("compared_120.txt", {"width": 120, "layers": "all"}),
        ("compared_piped.txt", {}),
        ("compared_ascii.txt", {"width": 80, "unicode": False}),
        ("compared.md", {"format": "markdown"}),
    ],
)
def test_golden(name: str, look: dict[str, object]) -> None:
    check_golden(name, render(canned(), Look(**look)))


def test_the_json_is_one_document_that_holds_every_comparison() -> None:
    check_golden("compared.json", render(of_scans((sick(depth=1), sick(depth=2))), Look(format="json")))
    document = json.loads(render(canned(), Look(format="json")))
    assert list(document)[:2] == ["schema_version", "tool_version"]
    assert to_dict(from_dict(Compared, document)) == to_dict(canned())


def layer(old: Level | float, new: Level | float, **fields: object) -> LayerShift:
    levels = [x if isinstance(x, Level) else Level(arrival="measured", decades=x) for x in (old, new)]
    both = isinstance(old, float) and isinstance(new, float)
    change = new - old if both else None
    shift = Shift(old=levels[0], new=levels[1], change=change, worsening=0.0, verdict="worse")
    return LayerShift(**{"layer": "net.3", "old_kind": "Linear", "kind": "Linear", "order": 1, "shift": shift, **fields})


def gone(arrival: str) -> Level:
    return Level(arrival=arrival)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (-2.1, -3.7, "`net.3` receives 40 × less gradient than before (2.1 → 3.7 decades below the loss end)"),
        (2.0, 5.0, "`net.3` receives 1000 × more gradient than before (2.0 → 5.0 decades above the loss end)"),
        (-1.0, 2.0, "`net.3` receives 1000 × more gradient than before (1.0 decades below → 2.0 above the loss end)"),
        (0.02, -1.0, "`net.3` receives 10 × less gradient than before (0.0 → 1.0 decades below the loss end)"),
        (0.0, 1.0, "`net.3` receives 10 × more gradient than before (0.0 → 1.0 decades above the loss end)"),
        (0.0, -400.0, "`net.3` receives 1e400 × less gradient than before (0.0 → 400.0 decades below the loss end)"),
        (
            -2.1,
            gone("unreached"),
            "`net.3` receives no gradient any more: unreached (before: 2.1 decades below the loss end)",
        ),
        (0.3, gone("zero"), "`net.3` receives no gradient any more: exactly zero (before: 0.3 decades above the loss end)"),
        (-0.3, gone("non-finite"), "the gradient at `net.3` is no longer finite (before: 0.3 decades below the loss end)"),
        (gone("zero"), gone("non-finite"), "the gradient at `net.3` is no longer finite (before: exactly zero)"),
        (gone("frozen"), -2.0, "`net.3` receives a gradient again (2.0 decades below the loss end; before: frozen)"),
    ],
)
def test_the_sentence_about_a_layer(old: Level | float, new: Level | float, sentence: str) -> None:
    assert words.received(layer(old, new)) == sentence


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (-2.1, -3.7, "2.1 → 3.7 decades lost on the way to `net.0`"),
        (0.4, 0.5, "0.4 → 0.5 decades gained on the way to `net.0`"),
        (0.4, -2.0, "0.4 decades gained → 2.0 lost on the way to `net.0`"),
        (-2.0, gone("zero"), "exactly zero on the way to `net.0` (before: 2.0 decades lost)"),
        (gone("non-finite"), -2.0, "2.0 decades lost on the way to `net.0` (before: not finite)"),
    ],
)
def test_the_sentence_about_a_spine(old: Level | float, new: Level | float, sentence: str) -> None:
    way = SpineShift(entry="net.0", shift=layer(old, new).shift, old_picture=(), picture=())
    assert words.spine(way) == sentence


def test_the_verdict_is_about_the_layer_that_is_furthest_gone() -> None:
    assert words.summary(canned().comparisons[0]) == (
        "worse: `net.0` receives 7.9e16 × less gradient than before (0.1 → 17.0 decades below the loss end)"
    )


def test_nothing_that_changed_is_said_in_a_few_lines() -> None:
    shown = render(of_scans((healthy(), healthy())), Look())
    assert "verdict   alike: every layer receives about as much gradient as before\n" in shown
    assert "old" not in shown
    assert "layers  decades" not in shown


def test_a_verdict_that_only_a_spine_has() -> None:
    one = canned().comparisons[0]
    objective = one.objectives[0]
    same = Shift(old=Level(arrival="zero"), new=Level(arrival="zero"), worsening=0.0, verdict="alike")
    layers = tuple(dataclasses.replace(each, shift=same) for each in objective.layers)
    only = dataclasses.replace(one, objectives=(dataclasses.replace(objective, layers=layers),))
    assert re.fullmatch(r"worse: [\d.]+ → [\d.]+ decades lost on the way to `net.0`", words.summary(only))


def test_two_losses_are_told_apart_and_the_worse_one_is_named() -> None:
    one = canned().comparisons[0]
    well = compare(healthy(), healthy()).objectives[0]
    both = dataclasses.replace(one, objectives=(dataclasses.replace(well, name="critic"), *one.objectives))
    shown = render(Compared(comparisons=(both,)), Look())
    assert "decades below the loss end) under cross_entropy\n" in shown
    assert "41 alike under critic\n" in shown
    assert "\nlayers under cross_entropy, 8 of 41" in shown
    assert "under critic" in markdown(both)


def test_layers_in_one_report_only_are_named_and_counted() -> None:
    grown = of_scans((healthy(), _shrunk(healthy(), 30)))
    shown = render(grown, Look(format="text"))
    assert "11 layers only in the new report: `more.31`, `more.32`" in shown
    assert "`more.36` and 5 more\n" in shown
    assert "11 layers only in the old report: `net.30`" in shown
    assert "`more.41`" in render(grown, Look(layers="all"))


def test_findings_that_come_and_go_are_named_in_every_format() -> None:
    for look in (Look(), Look(format="markdown")):
        assert "new: error GC101 vanishing-gradient at `net.1`\n" in render(of_scans((healthy(), sick())), look)
        assert "gone: error GC101 vanishing-gradient at `net.1`\n" in render(of_scans((sick(), healthy())), look)


@pytest.mark.parametrize("layers", ["worst", "all", "none"])
def test_the_table_can_be_short_complete_or_left_out(layers: str) -> None:
    one = canned().comparisons[0]
    names = [each.layer for each in one.objectives[0].layers]
    rows = {"worst": 8, "all": len(names), "none": 0}[layers]
    text = render(canned(), Look(layers=layers)).split("loss end\n")[-1]
    assert sum(f"  {name} " in text for name in names) == rows
    assert sum(f"| `{name}` |" in markdown(one, layers) for name in names) == rows


def _drawn(old: tuple[float, ...], new: tuple[float, ...]) -> list[str]:
    """The two rows of blocks of a spine with these pictures."""
    one = canned().comparisons[0]
    objective = one.objectives[0]
    spine = dataclasses.replace(objective.spines[0], old_picture=old, picture=new)
    redrawn = dataclasses.replace(one, objectives=(dataclasses.replace(objective, spines=(spine,)),))
    lines = render(Compared(comparisons=(redrawn,)), Look()).splitlines()
    return [line for line in lines if line.startswith(("  old ", "  new "))]


def test_old_and_new_are_drawn_on_one_scale() -> None:
    assert _drawn((-3.0, 0.0), (-16.0, -8.0, 0.0)) == [
        "  old     input  -3.0 ▇█ 0.0 loss",
        "  new     input -16.0 ▁▅█ 0.0 loss",
    ]


def test_what_is_missing_before_the_entry_is_drawn_as_unknown() -> None:
    assert _drawn((-0.5, 0.0), (math.nan, -0.1, 0.0))[1] == "  new     input    ? ?██ 0.0 loss"


def test_a_target_without_a_comparison_is_named_in_every_format() -> None:
    missing = Uncompared(target="b.py", reason="it is only in the old document", blocks=False)
    both = Compared(comparisons=canned().comparisons, uncompared=(missing,))
    assert render(both, Look()).endswith("\n\n`b.py` was not compared: it is only in the old document\n")
    assert render(both, Look(format="markdown")).endswith("\n\n`b.py` was not compared: it is only in the old document\n")
    assert json.loads(render(both, Look(format="json")))["uncompared"][0]["target"] == "b.py"


def test_the_section_can_stand_below_a_report() -> None:
    page = Page(Look())
    add_comparison(page, canned().comparisons[0])
    assert page.render() == render(canned(), Look())


def _hostile(name: str) -> Comparison:
    one = canned().comparisons[0]
    objective = one.objectives[0]
    layers = tuple(dataclasses.replace(each, layer=name, kind=name) for each in objective.layers[:1])
    spines = tuple(dataclasses.replace(each, entry=name) for each in objective.spines)
    named = dataclasses.replace(objective, name=name, layers=layers, spines=spines, added=(name,))
    side = dataclasses.replace(one.new, target=name, model_kind=name, tool_version=name)
    found = tuple(dataclasses.replace(f, layer=name, name=name) for f in one.new_findings)
    return dataclasses.replace(one, new=side, objectives=(named, named), new_findings=found, remarks=(name,))


MARKUP = ["a|b", "`x` @octocat `y`", "<img src=x>", "![](http://evil)", "#12", "</td>\n| x |", "http://evil", "$x$"]


@pytest.mark.parametrize("name", [*HOSTILE, *MARKUP, "\ud800", ""])
@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_names_come_out_as_text_and_command_nothing(name: str, form: str) -> None:
    bad = Compared(comparisons=(_hostile(name),), uncompared=(Uncompared(target=name, reason=name, blocks=True),))
    shown = render(bad, Look(format=form, width=80))
    assert shown.replace("\n", "").isprintable()
    assert not re.search(r"^\s*::|##\[", shown, re.MULTILINE)
    shown.encode("utf-8")
    if form == "text":
        assert clean(name).replace(" ", "") in re.sub(r"\s", "", shown)
    if form == "markdown":
        check_harmless(shown)
        assert rows(shown) == [6] * 4  # two tables, each a head and a layer


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_fit_the_terminal_and_no_name_is_cut(width: int) -> None:
    name = "encoder." + ".".join(f"part{i}" for i in range(30))
    long = Compared(comparisons=(_hostile(name),))
    shown = render(long, Look(width=width))
    assert max(map(len, shown.splitlines())) <= max(width, 60)
    assert name in re.sub(r"\s", "", shown)


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_an_encoding_without_blocks_gets_ascii(form: str) -> None:
    shown = render(canned(), Look(format=form, unicode=False))
    assert shown.isascii()
    if form == "markdown":
        assert "`net.0` receives 7.9e16 x less gradient than before (0.1 -> 17.0 decades" in shown
        assert rows(shown) == [6] * 9


def test_colour_carries_nothing_that_the_words_do_not() -> None:
    plain, painted = render(canned(), Look(width=80)), render(canned(), Look(width=80, color=True))
    assert "\x1b" not in plain
    assert painted != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
