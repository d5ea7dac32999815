"""Every sample model gets exactly the verdict in its comments, and a cure; the pages that list both are fresh."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gradcheck_cli.pipeline import scan
from gradcheck_cli.records import Finding, Report
from gradcheck_cli.rules.effect import improvement
from gradcheck_cli.trials.comparison import falls

ROOT = Path(__file__).resolve().parent.parent
NUMBER = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?")
INCURABLE = {"loss_ignores_input": "where the input is lost, only the source says"}  # and why
SAMPLES = sorted((ROOT / "sample_models").glob("*.py"))


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


documents, textbook = _script("samples"), _script("remedies")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers this small lose a hundredfold to waiting threads when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _describe(findings: tuple[Finding, ...]) -> str:
    return "\n".join(f"{f.severity} {f.code} `{f.layer}` {f.message}" for f in findings) or "no findings"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_sample_gets_its_verdict_and_its_cure(path: Path) -> None:
    """One scan with trials a sample; the verdict is the same without."""
    expected = documents.expectation(path)
    assert expected.codes is not None, f"{path.name} has no `# gradcheck-expect:` comment"
    for package in re.findall(r"^(?:import|from) (transformers|lightning)\b", path.read_text(encoding="utf-8"), re.M):
        pytest.importorskip(package)
    report = scan(textbook.settings(path.stem))
    findings = report.findings
    graver = sorted(f.code for f in findings if f.severity in ("error", "warning"))
    assert graver == sorted(expected.codes), _describe(findings)  # one disease, one finding
    assert not expected.forbidden & {f.code for f in findings}, _describe(findings)
    if expected.blame:
        blamed = [text for f in findings for label, text in f.details if label == "blame"]
        assert blamed, f"no finding blames anything:\n{_describe(findings)}"
        for text in blamed:
            assert expected.blame in text.split("·")[0].lower(), text
    if not expected.codes:
        assert not report.trials
        assert not [p for p in report.prescriptions if p.code in graver]
    elif path.stem in INCURABLE:
        assert not report.trials
        assert {p.reason for p in report.prescriptions} == {INCURABLE[path.stem]}
    else:
        for code in expected.codes:
            _is_cured(code, report)
    for row in textbook.ROWS:
        if row.sample == path.stem:
            _stands_in_the_page(textbook.line(row, report))


def _is_cured(code: str, report: Report) -> None:
    """A trial cures: its number is within the limit, nothing is new, and its copies train."""
    cured = [t for t in report.trials if t.code == code and t.outcome == "cured"]
    assert cured, [(t.title, t.outcome, t.reason) for t in report.trials]
    best = cured[0]
    assert best.effect is not None
    assert best.effect.before != best.effect.after
    assert improvement(best.effect) == 1.0
    assert not best.new_findings
    assert best.training is not None
    assert best.training.verdict != "diverged"
    assert all(map(math.isfinite, best.training.edited.end))
    assert falls(best.training.edited)


def _stands_in_the_page(made: str) -> None:
    """Figures of the finding may differ by a tenth between machines; those of training are not compared."""
    shown = [line for line in textbook.PAGE.read_text("utf-8").splitlines() if _words(line) == _words(made)]
    assert shown, f"run python docs/remedies.py; it now gives\n{made}"
    assert any(
        all(float(a) == pytest.approx(float(b), rel=0.1, abs=0.05) for a, b in pairs)
        for pairs in (list(zip(_figures(line), _figures(made), strict=True)) for line in shown)
    ), made


def _facts(line: str) -> str:
    return line.rpartition(" | ")[0]  # without what training gave


def _words(line: str) -> str:
    return NUMBER.sub("#", _facts(line))


def _figures(line: str) -> list[str]:
    return NUMBER.findall(_facts(line))


def test_the_page_of_remedies_has_a_row_for_each() -> None:
    lines = [line for line in textbook.PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {row.disease}" for row in textbook.ROWS]


def test_there_are_enough_samples_of_both_kinds() -> None:
    codes = [documents.expectation(path).codes for path in SAMPLES]
    assert len(SAMPLES) >= 26
    assert sum(1 for c in codes if c) >= 13
    assert sum(1 for c in codes if not c) >= 13


def test_page_of_sample_models_is_fresh() -> None:
    assert documents.PAGE.read_text(encoding="utf-8") == documents.page(), "run python docs/samples.py"


@pytest.mark.parametrize("line", ["# gradcheck-expect-never: GC101", "# gradcheck-expect: vanishing", "# gradcheck-expect:"])
def test_unreadable_expectation_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "model.py"
    path.write_text(f'"""A model."""\n{line}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"model\.py"):
        documents.expectation(path)


def test_sample_without_expectation_is_told_from_a_clean_one(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text('"""A model."""\n', encoding="utf-8")
    assert documents.expectation(path).codes is None
    path.write_text('"""A model."""\n# gradcheck-expect: clean\n', encoding="utf-8")
    assert documents.expectation(path).codes == frozenset()
