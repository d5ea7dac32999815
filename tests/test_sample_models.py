"""Every sample model gets exactly the verdict that stands in its comments, and the page that lists them is fresh."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gradcheck_cli.pipeline import scan
from gradcheck_cli.records import Finding
from gradcheck_cli.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = sorted((ROOT / "sample_models").glob("*.py"))


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples", ROOT / "docs" / "samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


documents = _script()


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
def test_sample_gets_the_verdict_in_its_comments(path: Path) -> None:
    expected = documents.expectation(path)
    assert expected.codes is not None, f"{path.name} has no `# gradcheck-expect:` comment"
    for package in re.findall(r"^(?:import|from) (transformers|lightning)\b", path.read_text(encoding="utf-8"), re.M):
        pytest.importorskip(package)
    findings = scan(Settings(target=str(path), no_try=True)).findings  # trials change none
    graver = sorted(f.code for f in findings if f.severity in ("error", "warning"))
    assert graver == sorted(expected.codes), _describe(findings)  # one disease, one finding
    assert not expected.forbidden & {f.code for f in findings}, _describe(findings)
    if expected.blame:
        blamed = [text for f in findings for label, text in f.details if label == "blame"]
        assert blamed, f"no finding blames anything:\n{_describe(findings)}"
        for text in blamed:
            assert expected.blame in text.split("·")[0].lower(), text


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
