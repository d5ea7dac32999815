"""The catalogue: every code has a remedy, every fact exists, every snippet is Python in the user's names."""

import ast
import re

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.remedies.catalogue_reader import COSTS, load_catalogue, read_remedies
from gradcheck_cli.remedies.evidence import EVIDENCE, evidence
from gradcheck_cli.remedies.prescribing import prescribe
from gradcheck_cli.remedies.surroundings import surroundings
from gradcheck_cli.rules import load_rules
from gradcheck_cli.rules.selection import limits_of
from gradcheck_cli.settings import Settings

FILES = load_rules()


def _raised(file):
    """Pairs of an example profile and a finding that the rule raises on it."""
    limits = limits_of(file.rule, Settings(target=""))
    return [(profile, f) for profile in (example() for example in file.fires) for f in file.check(profile, limits)]


RAISED = {file.rule.code: _raised(file) for file in FILES}


@pytest.mark.parametrize("code", RAISED)
def test_every_code_has_a_remedy_for_each_of_its_examples(code):
    for profile, finding in RAISED[code]:
        assert prescribe((profile,), (finding,)), finding.message


def test_codes_in_the_catalogue_are_rules():
    assert {c for r in load_catalogue() for a in r.answers for c in a.codes} <= set(RAISED)


def test_facts_in_the_catalogue_exist():
    for remedy in load_catalogue():
        for answer in remedy.answers:
            for code in answer.codes:
                known = {name for _, finding in RAISED[code] for name in finding.facts} | set(EVIDENCE)
                assert set(answer.when) <= known, f"{remedy.id} for {code}"


def test_evidence_is_what_it_is_described_to_be():
    profile, finding = RAISED["GC405"][0]
    assert set(evidence(surroundings(profile), finding)) == set(EVIDENCE) | set(finding.facts)


@pytest.mark.parametrize("code", RAISED)
def test_snippets_are_python_without_open_placeholders(code):
    for profile, finding in RAISED[code]:
        for p in prescribe((profile,), (finding,)):
            assert "$" not in p.snippet, p.remedy
            assert p.snippet.isascii() or re.search("[…√×]", p.snippet)
            ast.parse(p.snippet)


def test_remedies_say_why_and_cite():
    for remedy in load_catalogue():
        assert len(remedy.why) > 40
        assert remedy.why.endswith(".")
        assert remedy.action.endswith(".")
        assert remedy.sources
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", remedy.id)


def test_remedies_come_least_invasive_first():
    costs = [COSTS.index(r.cost) for r in load_catalogue()]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    "wanted",
    [
        "relu", "leaky-relu", "elu", "selu", "gelu", "xavier-initialisation", "he-initialisation", "orthogonal-initialisation",
        "lsuv", "batch-norm", "layer-norm", "group-norm", "clip-gradient-norm", "clip-gradient-value", "residual-connection",
        "gru", "lstm", "lower-learning-rate", "warm-up", "adaptive-optimizer", "weight-decay", "standardise-input",
        "loss-scaling", "raw-logits", "pretrained-weights", "layer-by-layer", "data-augmentation",
    ],
)  # fmt: skip
def test_catalogue_holds_the_remedies_that_people_know(wanted):
    assert wanted in {r.id for r in load_catalogue()}


def test_advice_without_measured_effect_is_for_display():
    augmentation = next(r for r in load_catalogue() if r.id == "data-augmentation")
    assert augmentation.applicability == "display"
    assert "no measured effect" in augmentation.why


GOOD = """
- id: a
  title: A
  answers: [{codes: [GC101], when: {drop: {at-least: 3}}}]
  action: Do.
  why: Because.
  cost: data
  applicability: safe
  sources: [x]
  untried: because
  snippet: pass
"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("  title: A\n", ""), "missing keys"),
        (("title: A", "titel: A"), "unknown keys"),
        (("cost: data", "cost: free"), "unknown"),
        (("title: A", "title: 3"), "text is wanted"),
        (("{at-least: 3}", "{at-least: 1e-3}"), "wants a number"),  # YAML 1.1 reads 1e-3 as a text
        (("{at-least: 3}", "{more: 3}"), "unknown operator"),
        (("snippet: pass", "snippet: $ {"), "no valid template"),
        (("[x]", "[]"), "sources"),
        (("codes: [GC101], ", ""), "no answer"),
        (("when:", "symptom: 1, when:"), "true or false"),
    ],
)
def test_a_wrong_entry_is_refused(change, says):
    assert read_remedies(GOOD, "x.yaml")
    with pytest.raises(GradcheckError, match="is not a valid remedy") as caught:
        read_remedies(GOOD.replace(*change), "x.yaml")
    assert says in caught.value.why
