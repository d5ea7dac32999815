import dataclasses
import os
import re
from pathlib import Path

import pytest
from canned_reports import healthy, one, sick, stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck_cli.records import Report
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean

GOLDENS = Path(__file__).parent / "goldens"
SOURCE = {("examples/deep.py", 15): "layers += [nn.Linear(64, 64), nn.Sigmoid()]"}


def text(report: Report, **look: object) -> str:
    return render(one(report), Look(source=SOURCE, **look))


def check_golden(name: str, shown: str) -> None:
    """Compare with the file; GOLDENS=write in the environment writes it anew, to be read before it is committed."""
    file = GOLDENS / name
    if os.environ.get("GOLDENS") == "write":
        file.write_text(shown, "utf-8")
    assert shown == file.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "report", "look"),
    [
        ("sick_80.txt", sick, {"width": 80}),
        ("sick_piped.txt", sick, {}),
        ("sick_verbose.txt", sick, {"verbose": True, "layers": "none"}),
        ("sick_all_layers.txt", sick, {"width": 120, "layers": "all"}),
        ("sick_ascii.txt", sick, {"width": 80, "unicode": False}),
        ("healthy_piped.txt", healthy, {}),
    ],
)
def test_golden(name: str, report: object, look: dict[str, object]) -> None:
    check_golden(name, text(report(), **look))


def test_no_escape_code_without_colour_and_the_same_words_with_it() -> None:
    plain, painted = text(sick(), width=100), text(sick(), width=100, color=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
    assert painted != plain


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert text(sick(), unicode=False).isascii()
    assert text(sick(), unicode=False, layers="all", width=80, color=True).isascii()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    assert max(map(len, text(sick(), width=width, layers="all", verbose=True).splitlines())) <= max(width, 70)


def _renamed(report: Report, name: str) -> Report:
    profile = report.profiles[0]
    layers = tuple(dataclasses.replace(layer, name=name) if layer.name == "net.1" else layer for layer in profile.layers)
    finding = dataclasses.replace(report.findings[0], layer=name, message=f"`{name}` loses it", affected=(name,))
    return dataclasses.replace(
        report, profiles=(dataclasses.replace(profile, layers=layers, target=name),), findings=(finding,)
    )


@pytest.mark.parametrize("width", [None, 60, 80])
def test_a_long_name_is_folded_and_never_cut(width: int | None) -> None:
    name = "encoder." + ".".join(f"part{i}" for i in range(40))
    shown = text(_renamed(sick(), name), width=width, layers="all")
    assert "…" not in shown.replace("1e-18 … 1e-1", "").replace("`net.0` … `net.26`", "")
    assert "..." not in shown
    column = "".join(line[2:].split("  ")[0].strip() for line in shown.split("\nlayers")[1].splitlines())
    assert name in column
    assert name in re.sub(r"\s", "", shown.split("error GC101")[1])


HOSTILE = ["[red]x[/red]", "[/x]", ":warning:", "\x1b]8;;http://evil\x07", "a\u202eb", "\x9b2J", "::error::x\n::y", "`", "‮"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("color", [False, True])
def test_hostile_names_come_out_as_they_are_and_command_nothing(name: str, color: bool) -> None:
    shown = text(_renamed(sick(), name), width=80, color=color, layers="all", verbose=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # colour is ours, everything else would be theirs
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", bare)
    assert "⚠" not in bare
    assert not re.search(r"^\s*::", bare, re.MULTILINE)
    assert clean(name) in bare


@given(st.text(st.characters(), min_size=1, max_size=30), st.sampled_from([None, 40, 80]))
@settings(max_examples=40, deadline=None)
def test_no_name_reaches_the_screen_as_anything_but_text(name: str, width: int | None) -> None:
    shown = text(_renamed(sick(depth=1), name), width=width, layers="all")
    assert all(line.isprintable() for line in shown.split("\n"))
    assert clean(name).replace(" ", "") in re.sub(r"\s", "", shown)


def test_the_table_can_be_left_out_or_be_complete() -> None:
    profile = sick().profiles[0]
    assert "net.23" not in text(sick(), layers="none")
    every = text(sick(), layers="all")
    assert all(f"  {layer.name or '(root)'} {layer.kind}" in every for layer in profile.layers)


def test_the_short_table_shows_where_findings_point_and_both_ends_of_the_spine() -> None:
    table = text(sick()).split("\nlayers")[1].split("\nassumed")[0]
    assert all(f"  {name} " in table for name in ("net.0", "net.1", "net.39", "net.40"))
    assert len(table.splitlines()) == 10


def test_depth_folds_layers_into_the_one_above_and_keeps_their_flags() -> None:
    shown = text(sick(), layers="all", depth=1)
    row = next(line for line in shown.splitlines() if line.startswith("  net "))
    assert "+40 inside" in row
    assert "GC101" in row
    assert "GC202" in row
    assert "net.1 " not in shown.split("\nlayers")[1]


def test_affected_layers_are_listed_in_full_when_asked() -> None:
    assert "9 more layers" in text(sick())
    verbose = text(sick(), verbose=True)
    assert all(f"`{name}`" in verbose for name in sick().findings[0].affected)


def test_two_losses_are_told_apart() -> None:
    """A GAN has a profile for each loss; findings say which one they belong to."""
    one = sick()
    profile = one.profiles[0]
    objective = dataclasses.replace(profile.objective, name="generator_loss", value=0.7)
    both = dataclasses.replace(one, profiles=(profile, dataclasses.replace(profile, objective=objective)))
    shown = text(both)
    assert "layers under cross_entropy" in shown
    assert "generator_loss (cross_entropy) 0.7" in shown
    assert re.search(r"\n  loss +cross_entropy\n", shown)


def test_states_that_are_not_measured_are_words() -> None:
    one = sick()
    profile = one.profiles[0]
    layers = tuple(
        dataclasses.replace(layer, state="frozen", gradient=None) if layer.name == "net.2" else layer
        for layer in profile.layers
    )
    row = next(
        line
        for line in text(
            dataclasses.replace(one, profiles=(dataclasses.replace(profile, layers=layers),)), layers="all"
        ).splitlines()
        if line.startswith("  net.2 ")
    )
    assert "frozen" in row


def test_gradients_that_are_not_numbers_are_shown_as_such() -> None:
    one = sick()
    finding = dataclasses.replace(one.findings[0], picture=(float("-inf"), float("nan"), -3.0, -0.9))
    shown = text(dataclasses.replace(one, findings=(finding,)))
    assert "input zero  ?" in shown


def test_a_gradient_that_does_not_arrive_is_not_called_a_drop() -> None:
    report = healthy()
    profile = report.profiles[0]
    spine = profile.spines[0]
    points = (*spine.points[:-1], dataclasses.replace(spine.points[-1], l2=0.0))
    spines = (dataclasses.replace(spine, points=points),)
    shown = text(dataclasses.replace(report, profiles=(dataclasses.replace(profile, spines=spines),)))
    assert "loss  nothing arrives at the input\n" in shown


def test_numbers_are_short_and_exact_to_their_digits() -> None:
    from gradcheck_cli.reporting.numbers import counted, short

    assert [short(v) for v in (0.25, 3.14159e-12, 123456.0, 0.0, float("nan"), float("-inf"), None)] == [
        "0.25",
        "3.14e-12",
        "1.23e5",
        "0",
        "nan",
        "-inf",
        "-",
    ]
    assert [counted(n) for n in (980, 84_000, 25_557_032, 1_200_000_000)] == ["980", "84 k", "25.6 M", "1.2 G"]
    assert stats(8.0).rms == pytest.approx(0.125)
