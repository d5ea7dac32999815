"""Every rule file: its page, its declaration, and its own examples."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from gradcheck_cli import rules
from gradcheck_cli.records import Profile, from_dict, to_dict
from gradcheck_cli.reporting.rule_page import HEADINGS
from gradcheck_cli.rules import RuleFile, declared, load_rules
from gradcheck_cli.rules.selection import limits_of
from gradcheck_cli.settings import Settings

FILES = load_rules()
FOLDER = Path(rules.__file__).parent
EXAMPLES = [
    pytest.param(file, example, expected, id=f"{file.rule.code}-{'fires' if expected else 'clean'}-{i}")
    for file in FILES
    for expected, examples in ((True, file.fires), (False, file.clean))
    for i, example in enumerate(examples)
]


def _limits(file: RuleFile) -> dict[str, float]:
    return limits_of(file.rule, Settings(target=""))


@pytest.mark.parametrize(("file", "example", "expected"), EXAMPLES)
def test_examples_fire_or_stay_clean(file, example, expected):
    findings = list(file.check(example(), _limits(file)))
    assert bool(findings) == expected
    assert all(f.code == file.rule.code and f.message for f in findings)


@pytest.mark.parametrize("file", declared(), ids=lambda f: f.rule.code)
def test_page_has_all_headings_in_order(file):
    lines = file.page.splitlines()
    assert [line for line in lines if line in HEADINGS] == list(HEADINGS)
    assert lines[0].endswith(".")
    assert lines[1] == ""


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_declaration(file):
    rule = file.rule
    assert re.fullmatch(r"GC[1-69]\d\d", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert not rule.name.startswith(("no-", "disallow-", "check-", "avoid-"))
    assert all(limit.source and limit.unit and re.fullmatch(r"[a-z]+(-[a-z]+)*", limit.name) for limit in rule.limits)
    assert all(limit.name in file.page for limit in rule.limits)
    assert file.fires
    assert file.clean


def test_codes_and_names_are_unique_and_match_the_file_names():
    every = declared()
    assert len({f.rule.code for f in every}) == len({f.rule.name for f in every}) == len(every)
    stems = [path.stem for path in sorted(FOLDER.glob("gc[0-9]*.py"))]
    assert [stem[:5].upper() for stem in stems] == [f.rule.code for f in every]


def test_only_what_is_seen_outside_a_profile_has_no_check():
    assert [f.rule.code for f in declared() if f not in FILES] == ["GC901"]


def test_hides_names_rules_and_has_no_cycle():
    hides = {f.rule.code: f.rule.hides for f in FILES}
    assert {code for victims in hides.values() for code in victims} <= set(hides)

    def walk(code, above):
        assert code not in above, f"{' → '.join([*above, code])} hide each other"
        for victim in hides[code]:
            walk(victim, (*above, code))

    for code in hides:
        walk(code, ())


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_findings_survive_their_way_through_json(file):
    finding = next(iter(file.check(file.fires[0](), _limits(file))))
    assert from_dict(type(finding), to_dict(finding)).message == finding.message


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_examples_survive_their_way_through_json(file):
    profile = file.fires[0]()
    again = from_dict(Profile, to_dict(profile))
    assert [f.message for f in file.check(again, _limits(file))] == [f.message for f in file.check(profile, _limits(file))]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_rules_neither_print_nor_import_torch(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert "torch" not in imported
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"print", "eval", "exec"}


def _rescaled(profile: Profile, factor: float) -> Profile:
    """The profile that the same model has when its loss is multiplied by `factor`."""

    def stats(t):
        return t and dataclasses.replace(
            t, l2=t.l2 * factor, rms=t.rms * factor, abs_max=t.abs_max * factor, mean=t.mean * factor
        )

    def points(spine):
        return dataclasses.replace(spine, points=tuple(dataclasses.replace(p, l2=p.l2 * factor) for p in spine.points))

    return dataclasses.replace(
        profile,
        objective=dataclasses.replace(profile.objective, value=profile.objective.value * factor),
        layers=tuple(dataclasses.replace(x, gradient=stats(x.gradient)) for x in profile.layers),
        parameters=tuple(
            dataclasses.replace(p, gradient=stats(p.gradient), gradient_l1=p.gradient_l1 and p.gradient_l1 * factor)
            for p in profile.parameters
        ),
        spines=tuple(points(s) for s in profile.spines),
        times=tuple(dataclasses.replace(t, l2=tuple(v * factor for v in t.l2)) for t in profile.times),
    )


@pytest.mark.parametrize("factor", [1e-4, 1e4])
@pytest.mark.parametrize(("file", "example", "expected"), EXAMPLES)
def test_a_factor_on_the_loss_changes_no_verdict(file, example, expected, factor):
    profile = example()
    before = [(f.severity, f.layer, f.affected) for f in file.check(profile, _limits(file))]
    after = [(f.severity, f.layer, f.affected) for f in file.check(_rescaled(profile, factor), _limits(file))]
    assert after == before


def test_check_takes_a_profile_and_limits():
    for file in FILES:
        assert len(inspect.signature(file.check).parameters) == 2
