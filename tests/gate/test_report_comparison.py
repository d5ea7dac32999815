"""Comparing reports: what is worse, what is better, and what must not pass for a comparison."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate.comparison import compare, compare_scans, exit_code, worst_regression
from gradcheck_cli.gate.levels import MARGIN, shift_of
from gradcheck_cli.records import (
    Compared,
    Comparison,
    Failure,
    Finding,
    LayerProfile,
    LayerShift,
    Level,
    Profile,
    Report,
    Scan,
    Suppressed,
    Verdict,
    from_dict,
    to_dict,
)
from gradcheck_cli.rules.examples import layer_of, objective_of, profile_of, stats_of


def report_of(*profiles: Profile, **fields: object) -> Report:
    return Report(**{"tool_version": "0.1.0", "profiles": profiles, "findings": (), **fields})


def chain(*decades: float | None, kind: str = "Linear", **fields: object) -> Profile:
    """Layers a, b, c ... whose gradients are so many decades from the head's; None: no gradient."""
    names = "abcdefghij"
    layers = [layer_of(names[i], kind, gradient=None if d is None else 0.01 * 10**d) for i, d in enumerate(decades)]
    return profile_of(*layers, layer_of("head", gradient=0.01), **fields)


def compared(old: Profile, new: Profile) -> Comparison:
    return compare(report_of(old), report_of(new))


def layers_of(comparison: Comparison) -> dict[str, LayerShift]:
    return {each.layer: each for each in comparison.objectives[0].layers}


def finding(code: str, layer: str = "a", **fields: object) -> Finding:
    return Finding(**{"code": code, "severity": "error", "layer": layer, "message": "m", **fields})


@pytest.mark.parametrize(
    ("old", "new", "verdict", "worsening"),
    [
        (-2.1, -3.7, "worse", 1.6),
        (-3.7, -2.1, "better", -1.6),
        (2.0, 5.0, "worse", 3.0),
        (5.0, 2.0, "better", -3.0),
        (-1.0, 1.1, "changed", 0.1),
        (-1.0, 2.0, "worse", 1.0),
        (-1.0, -1.2, "alike", 0.2),
        (0.0, -0.31, "worse", 0.31),
        (0.0, -0.29, "alike", 0.29),
    ],
)
def test_a_layer_is_worse_when_its_gradient_is_further_from_the_loss_ends(
    old: float, new: float, verdict: Verdict, worsening: float
) -> None:
    comparison = compared(chain(old), chain(new))
    shift = layers_of(comparison)["a"].shift
    assert (shift.verdict, comparison.verdict) == (verdict, verdict)
    assert shift.old.decades == pytest.approx(old, abs=1e-12)
    assert shift.new.decades == pytest.approx(new)
    assert shift.change == pytest.approx(new - old)
    assert shift.worsening == pytest.approx(worsening)
    assert layers_of(comparison)["head"].shift.verdict == "alike"


def test_the_margin_itself_is_a_change() -> None:
    assert abs(MARGIN - math.log10(2)) < 0.002
    at, beyond = Level(arrival="measured", decades=0.0), Level(arrival="measured", decades=-MARGIN)
    assert (shift_of(at, beyond).verdict, shift_of(beyond, at).verdict) == ("worse", "better")


def _rescaled(profile: Profile, times: float) -> Profile:
    layers = tuple(
        dataclasses.replace(x, gradient=dataclasses.replace(x.gradient, l2=x.gradient.l2 * times)) if x.gradient else x
        for x in profile.layers
    )
    spines = tuple(
        dataclasses.replace(s, points=tuple(dataclasses.replace(p, l2=p.l2 * times) for p in s.points)) for s in profile.spines
    )
    return dataclasses.replace(profile, layers=layers, spines=spines)


@pytest.mark.parametrize("times", [1000.0, 1e-30])
def test_the_scale_of_the_loss_changes_nothing(times: float) -> None:
    profile = chain(-3.0, -1.0)
    comparison = compared(profile, _rescaled(profile, times))
    assert comparison.verdict == "alike"
    assert worst_regression(comparison) == pytest.approx(0.0, abs=1e-9)


def test_a_measured_loss_times_1000_changes_nothing(tmp_path: Path) -> None:
    from gradcheck_cli import Settings, scan

    source = (
        "import torch\nfrom torch import nn\n"
        "model = nn.Sequential(nn.Linear(8, 16), nn.Sigmoid(), nn.Linear(16, 4))\n"
        "x, y = torch.randn(32, 8), torch.randint(0, 4, (32,))\n"
        "def loss_fn(output, target):\n    return {} * nn.functional.cross_entropy(output, target)\n"
    )
    reports = []
    for times in ("1", "1000"):
        (tmp_path / f"by_{times}.py").write_text(source.format(times))
        reports.append(scan(Settings(target=str(tmp_path / f"by_{times}.py"), no_try=True)))
    ends = [report.profiles[0].spines[0].points[0].l2 for report in reports]
    assert ends[1] == pytest.approx(1000 * ends[0], rel=1e-4)
    comparison = compare(*reports)
    assert comparison.verdict == "alike"
    assert all(abs(each.shift.change or 0.0) < 1e-4 for each in comparison.objectives[0].layers)
    assert [layer.layer for layer in comparison.objectives[0].layers if layer.shift.change is not None]


def _with(profile: Profile, name: str, **fields: object) -> Profile:
    layers = tuple(dataclasses.replace(x, **fields) if x.name == name else x for x in profile.layers)
    return dataclasses.replace(profile, layers=layers)


GONE: dict[str, Callable[[Profile], Profile]] = {
    "zero": lambda p: _with(p, "a", gradient=stats_of(0.0)),
    "unreached": lambda p: _with(p, "a", gradient=None, state="unreached"),
    "frozen": lambda p: _with(p, "a", gradient=None, state="frozen"),
    "uncalled": lambda p: _with(p, "a", gradient=None, state="uncalled", calls=0),
    "non-finite": lambda p: _with(p, "a", gradient=stats_of(0.01, nonfinite=3)),
}


@pytest.mark.parametrize("arrival", GONE)
def test_a_gradient_that_is_gone_is_named_and_is_an_infinite_regression(arrival: str) -> None:
    well = chain(-1.0, -0.5)
    ill = GONE[arrival](well)
    comparison = compared(well, ill)
    worst = comparison.objectives[0].layers[0]
    assert (worst.layer, worst.shift.new.arrival, worst.shift.verdict) == ("a", arrival, "worse")
    assert worst_regression(comparison) == math.inf
    back = layers_of(compared(ill, well))["a"].shift
    assert (back.verdict, back.worsening) == ("better", -math.inf)
    same = layers_of(compared(ill, ill))["a"].shift
    assert (same.verdict, same.worsening) == ("alike", 0.0)


def test_a_gradient_that_is_not_a_number_is_worse_than_none_and_the_other_way_round_is_no_cure() -> None:
    well = chain(-1.0, -0.5)
    zero, broken = GONE["zero"](well), GONE["non-finite"](well)
    assert layers_of(compared(zero, broken))["a"].shift.worsening == math.inf
    mended = layers_of(compared(broken, zero))["a"].shift
    assert (mended.verdict, mended.worsening) == ("changed", 0.0)


def test_a_gradient_that_cannot_be_seen_is_no_regression_and_no_pass() -> None:
    well = chain(-1.0, -0.5)
    hidden = _with(well, "a", gradient=None, state="measured")
    shift = layers_of(compared(well, hidden))["a"].shift
    assert (shift.new.arrival, shift.verdict, shift.worsening) == ("unknown", "unknown", 0.0)
    assert compared(well, hidden).verdict == "alike"  # what the others say
    only = profile_of(layer_of("a"), layer_of("head"))
    every = dataclasses.replace(only, layers=tuple(dataclasses.replace(x, gradient=None) for x in only.layers), spines=())
    with pytest.raises(GradcheckError) as error:
        compared(only, every)
    assert (error.value.id, error.value.why) == ("E686", "no gradient was measured at a layer that is in both")


def test_the_worst_come_first_and_of_those_that_are_gone_the_nearest_to_the_loss() -> None:
    old = chain(-1.0, -1.0, -1.0, -1.0, -1.0)
    new = chain(-2.0, None, None, -4.0, -0.2)
    shown = compared(old, new).objectives[0].layers
    assert [each.layer for each in shown] == ["c", "b", "d", "a", "e", "head"]


def test_a_frozen_layer_is_named_before_the_unreached_one_behind_it() -> None:
    old = chain(-1.0, -1.0)
    new = _with(_with(old, "a", gradient=None, state="frozen"), "b", gradient=None, state="unreached")
    assert [each.layer for each in compared(old, new).objectives[0].layers][:2] == ["a", "b"]


def _nested(*decades: float, block: float | None = None) -> Profile:
    inner = [layer_of(f"block.{i}", gradient=0.01 * 10**d) for i, d in enumerate(decades)]
    level = decades[-1] if block is None else block
    block_layer = layer_of("block", "Sequential", gradient=0.01 * 10**level)
    root = layer_of("", "Net", gradient=0.01, leaf=False)
    return profile_of(*inner, block_layer, layer_of("head", gradient=0.01), root)


def test_a_module_that_returns_what_its_last_layer_does_is_left_out() -> None:
    assert set(layers_of(compared(_nested(-2.0, -1.0), _nested(-4.0, -1.5)))) == {"block.0", "block.1", "head"}
    residual = layers_of(compared(_nested(-2.0, -1.0, block=-0.3), _nested(-4.0, -1.5, block=-0.9)))
    assert residual["block"].shift.worsening == pytest.approx(0.6)


def test_layers_are_matched_by_name_and_what_they_were_is_kept() -> None:
    old, new = chain(-1.0, kind="Sigmoid"), chain(-1.0, -0.5, kind="ReLU")
    one = compared(old, new).objectives[0]
    shift = next(each for each in one.layers if each.layer == "a")
    assert (shift.old_kind, shift.kind) == ("Sigmoid", "ReLU")
    assert (one.added, one.removed) == (("b",), ())
    assert compared(new, old).objectives[0].removed == ("b",)


def test_functional_operations_are_compared_too() -> None:
    def profile(decades: float) -> Profile:
        operation = layer_of("net/sigmoid#2", "sigmoid", gradient=0.01 * 10**decades, functional=True)
        return profile_of(layer_of("net.0", gradient=0.01), operation, layer_of("head", gradient=0.01))

    shift = layers_of(compared(profile(-1.0), profile(-2.0)))["net/sigmoid#2"].shift
    assert shift.worsening == pytest.approx(1.0)


def test_the_drop_along_a_spine_is_compared() -> None:
    spine = compared(chain(-2.0, -1.0), chain(-4.5, -1.0)).objectives[0].spines[0]
    assert (spine.entry, spine.shift.verdict) == ("a", "worse")
    assert spine.shift.worsening == pytest.approx(2.5)
    assert -(spine.shift.new.decades or 0.0) == pytest.approx(chain(-4.5, -1.0).spines[0].drop)
    assert spine.old_picture == pytest.approx((-2.0, -1.0, 0.0))
    assert spine.picture == pytest.approx((-4.5, -1.0, 0.0))


def test_a_spine_that_ends_before_its_entry_says_what_arrives_there() -> None:
    old = chain(-2.0, -1.0)
    cut = dataclasses.replace(old.spines[0], points=old.spines[0].points[:-1], segments=old.spines[0].segments[:-1])
    new = dataclasses.replace(GONE["non-finite"](old), spines=(cut,))
    spine = compared(old, new).objectives[0].spines[0]
    assert (spine.shift.new.arrival, spine.shift.worsening) == ("non-finite", math.inf)
    assert math.isnan(spine.picture[0])


def test_a_spine_that_only_one_report_has_is_a_remark() -> None:
    old = chain(-2.0, -1.0)
    comparison = compared(old, dataclasses.replace(old, spines=()))
    assert comparison.remarks == ("only the old report has a spine to `a`",)
    assert comparison.verdict == "alike"  # the last layer's gradient stands in for the spine's loss end


def test_the_spine_that_both_have_gives_the_loss_end() -> None:
    """A further head may bring a longer spine, which ends in another loss."""
    old = chain(-2.0, -1.0)
    aux = [layer_of(f"aux{i}", gradient=1.0) for i in range(5)]
    more = profile_of(*aux)
    new = dataclasses.replace(old, layers=(*old.layers, *more.layers), spines=(*more.spines, *old.spines))
    assert worst_regression(compared(old, new)) == pytest.approx(0.0)


def test_a_model_of_one_layer_has_no_spine_and_is_compared() -> None:
    def single(gradient: float | None) -> Profile:
        return profile_of(layer_of("", "Linear", gradient=gradient), spines=())

    assert compared(single(0.1), single(0.001)).verdict == "alike"
    assert compared(single(0.1), single(None)).verdict == "worse"


def test_nothing_in_common_is_no_comparison() -> None:
    def only(name: str) -> Profile:
        holder, root = layer_of("net", "Sequential"), layer_of("", "Net", leaf=False)
        return profile_of(layer_of(f"net.{name}"), holder, root)

    with pytest.raises(GradcheckError) as error:
        compared(only("one"), only("two"))
    assert (error.value.id, error.value.why) == ("E686", "no layer has the same name in both")


def _two_losses(*names: str, **fields: object) -> Report:
    return report_of(*(chain(-1.0, objective=objective_of(name=name), **fields) for name in names))


def test_losses_are_matched_by_name_and_a_single_one_whatever_it_is_called() -> None:
    comparison = compare(_two_losses("generator", "critic"), _two_losses("critic", "auxiliary"))
    assert [each.name for each in comparison.objectives] == ["critic"]
    assert "only the old report has the loss generator" in comparison.remarks
    assert "only the new report has the loss auxiliary" in comparison.remarks
    single = compare(_two_losses("loss_fn"), _two_losses("criterion"))
    assert single.remarks == ("another loss: loss_fn (cross_entropy) → criterion (cross_entropy)",)
    with pytest.raises(GradcheckError, match="E686"):
        compare(_two_losses("a", "b"), _two_losses("c", "d"))


def test_other_conditions_are_said() -> None:
    old = chain(-1.0, versions={"torch": "2.12.0"})
    new = chain(
        -1.0,
        seed=1,
        batch_size=8,
        device="cuda:0",
        dtype="float64",
        mode="eval",
        versions={"torch": "2.13.0"},
        objective=objective_of("mse"),
    )
    assert compared(old, new).remarks == (
        "another seed: 0 → 1",
        "another batch size: 16 → 8",
        "another device: cpu → cuda:0",
        "another dtype: float32 → float64",
        "another mode: train → eval",
        "another torch: 2.12.0 → 2.13.0",
        "another loss: loss (cross_entropy) → loss (mse)",
    )
    assert compared(old, old).remarks == ()


def test_findings_that_come_and_go() -> None:
    old = report_of(chain(-1.0), findings=(finding("GC101"), finding("GC202", "b"), finding("GC301", parameter="a.weight")))
    new = report_of(chain(-1.0), findings=(finding("GC101"), finding("GC202", "c"), finding("GC301", parameter="a.bias")))
    comparison = compare(old, new)
    assert [(f.code, f.layer, f.parameter) for f in comparison.new_findings] == [("GC202", "c", None), ("GC301", "a", "a.bias")]
    assert [(f.code, f.layer, f.parameter) for f in comparison.gone_findings] == [
        ("GC202", "b", None),
        ("GC301", "a", "a.weight"),
    ]


def test_accepted_findings_are_known() -> None:
    accepted = Suppressed(finding=finding("GC101"), by="baseline")
    hidden = report_of(chain(-1.0), suppressed=(accepted,))
    shown = report_of(chain(-1.0), findings=(finding("GC101"),))
    assert compare(hidden, shown).new_findings == ()
    assert compare(shown, hidden).gone_findings == ()
    assert compare(report_of(chain(-1.0)), shown).new_findings == shown.findings


def test_what_was_not_asked_is_neither_new_nor_gone() -> None:
    narrow = report_of(chain(-1.0), checked=("GC101",))
    broad = report_of(chain(-1.0), checked=("GC101", "GC202"), findings=(finding("GC202"),))
    assert compare(narrow, broad).new_findings == ()
    assert compare(broad, narrow).gone_findings == ()
    assert compare(narrow, broad).remarks == ("only the new report asks GC202",)
    limits = report_of(chain(-1.0), settings={"rules": {"GC101": {"drop": 5.0}}})
    assert compare(limits, report_of(chain(-1.0))).remarks == ("the rules were asked with other limits or severities",)


def test_the_same_path_found_at_another_layer_is_known() -> None:
    def path(layer: str) -> Report:
        return report_of(chain(-1.0), findings=(finding("GC101", layer, facts={"blame_layers": ["x"]}),))

    comparison = compare(path("a"), path("b"))
    assert (comparison.new_findings, comparison.gone_findings) == ((), ())


def scan(target: str, decades: float = -1.0) -> Scan:
    return Scan(target=target, report=report_of(chain(decades, target=target)))


def failed(target: str) -> Scan:
    return Scan(target=target, error=Failure(id="E113", what="no model", why="w", do="d", where=None))


def test_targets_are_matched_by_what_they_name() -> None:
    old = [scan("./a.py"), scan("b.py:net", -3.0), scan("c.py"), failed("d.py")]
    new = [scan("b.py:net"), scan("a.py"), scan("d.py"), scan("e.py")]
    result = compare_scans(old, new)
    assert [(c.old.target, c.new.target, c.verdict) for c in result.comparisons] == [
        ("b.py:net", "b.py:net", "better"),
        ("./a.py", "a.py", "alike"),
    ]
    assert [(u.target, u.reason) for u in result.uncompared] == [
        ("d.py", "there is no verdict in the old document (E113: no model)"),
        ("e.py", "it is only in the new document"),
        ("c.py", "it is only in the old document"),
    ]
    assert exit_code(result, 0.5) == 0


def test_single_reports_are_compared_whatever_they_are_called() -> None:
    result = compare_scans([scan("main.py")], [scan("branch.py")])
    assert result.comparisons[0].remarks == ("the two reports are of targets with different names",)


def test_a_target_that_failed_now_is_never_a_pass() -> None:
    result = compare_scans([scan("a.py"), scan("b.py")], [scan("a.py"), failed("b.py")])
    assert [(u.target, u.blocks) for u in result.uncompared] == [("b.py", True)]
    assert exit_code(result, None) == 2
    renamed = Scan(target="b.py", report=report_of(profile_of(layer_of("other"), target="b.py")))
    assert exit_code(compare_scans([scan("a.py"), scan("b.py")], [scan("a.py"), renamed]), None) == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ([scan("a.py")], [failed("a.py")], "a.py: there is no verdict in the new document (E113: no model)"),
        ([failed("")], [scan("a.py")], "a.py: there is no verdict in the old document (E113: no model)"),
        (
            [scan("a.py"), scan("b.py")],
            [scan("c.py")],
            "c.py: it is only in the new document; a.py: it is only in the old document; b.py: it is only in the old document",
        ),
    ],
)
def test_no_comparison_at_all_is_an_error(old: list[Scan], new: list[Scan], why: str) -> None:
    with pytest.raises(GradcheckError) as error:
        compare_scans(old, new)
    assert (error.value.id, error.value.why) == ("E686", why)


@pytest.mark.parametrize(("limit", "code"), [(None, 0), (1.5, 1), (1.6, 1), (1.7, 0)])
def test_the_exit_code_is_1_from_the_limit_on(limit: float | None, code: int) -> None:
    result = compare_scans([scan("a.py", -2.0)], [scan("a.py", -3.6000001)])
    assert exit_code(result, limit) == code
    assert exit_code(result, worst_regression(result.comparisons[0])) == 1


def test_the_worst_of_all_targets_counts() -> None:
    old = [scan("a.py", -2.0), scan("b.py", -2.0)]
    assert exit_code(compare_scans(old, [scan("a.py", -4.0), scan("b.py", -1.0)]), 1.0) == 1


def test_a_comparison_survives_the_way_through_json() -> None:
    result = compare_scans([scan("a.py", -2.0)], [Scan(target="a.py", report=report_of(GONE["zero"](chain(-1.0))))])
    assert from_dict(Compared, to_dict(result)) == result


def test_a_list_of_modules_is_never_called_and_is_left_out() -> None:
    layers: list[LayerProfile] = [layer_of("a", gradient=0.01), layer_of("list", "ModuleList", gradient=None, leaf=False)]
    profile = profile_of(*(dataclasses.replace(x, state="uncalled") if x.name == "list" else x for x in layers))
    assert set(layers_of(compared(profile, profile))) == {"a"}
