"""Model files as people write them load with what stands in their `# expect:` comments, and give a loss with a gradient.

`# settings:` holds settings as JSON; files without `# expect:` are neighbours that others import.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from gradcheck_cli.loading import load
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.settings import Settings

FOLDER = Path(__file__).parent / "user_files"
FILES = [path for path in sorted(FOLDER.glob("*.py")) if "# expect:" in path.read_text("utf-8")]
NO_GRADIENT = {"loss_is_nan"}


def settings_of(path: Path) -> Settings:
    found = re.search(r"^# settings: (.*)$", path.read_text("utf-8"), re.M)
    given: dict[str, Any] = json.loads(found[1]) if found else {}
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return Settings(**{"target": path.name, **tuples})


def shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def described(subject: Subject) -> list[str]:
    """What was understood of the file, in lines."""
    batch = subject.batches[0]
    lines = [f"model {type(subject.model).__name__}"]
    lines.append(f"batches {len(subject.batches)}")
    lines += [f"argument {shown(value)}" for value in batch.args]
    lines += [f"keyword {name} {shown(value)}" for name, value in batch.kwargs.items()]
    lines += [f"target {shown(batch.target)}"] if batch.target is not None else []
    for objective in subject.objectives:
        ignored = "" if objective.ignore_index in (None, -100) else f", ignoring {objective.ignore_index}"
        lines.append(f"loss {objective.name} is {objective.kind}{ignored} ({objective.origin})")
    if subject.optimizer is not None:
        options = "".join(f" {key}={value:g}" for key, value in subject.optimizer.options.items() if value)
        lines.append(f"optimizer {subject.optimizer.name} lr={subject.optimizer.lr:g}{options} ({subject.optimizer.origin})")
    return lines + [f"assumed {sentence}" for sentence in subject.assumptions]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_understood(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    before = set(FOLDER.rglob("*"))
    subject = load(settings_of(path))
    expected = re.findall(r"^# expect: (.*)$", path.read_text("utf-8"), re.M)
    outcomes = [objective.compute(subject.model, subject.batches[0]) for objective in subject.objectives]
    lines = described(subject)
    lines += dict.fromkeys(f"assumed at run {sentence}" for outcome in outcomes for sentence in outcome.assumptions)
    assert lines == expected
    for outcome in outcomes:
        assert outcome.loss.shape == ()
        assert math.isfinite(outcome.loss.item())
        assert outcome.loss.requires_grad
    assert set(FOLDER.rglob("*")) == before, "loading wrote files"


def test_files_are_many() -> None:
    assert len(FILES) >= 100


if __name__ == "__main__":  # write the expectations anew: read the difference before committing it
    import os

    os.chdir(FOLDER)
    for file in sorted(FOLDER.glob("*.py")):
        if "# expect:" not in file.read_text("utf-8") and "--new" not in sys.argv:
            continue
        if file.name == "blocks.py":
            continue
        loaded = load(settings_of(file))
        said = described(loaded)
        results = [objective.compute(loaded.model, loaded.batches[0]) for objective in loaded.objectives]
        said += dict.fromkeys(f"assumed at run {sentence}" for outcome in results for sentence in outcome.assumptions)
        text = re.sub(r"^# expect: .*\n", "", file.read_text("utf-8"), flags=re.M)
        head = re.match(r"(?:#.*\n)*", text)[0]
        file.write_text(head + "".join(f"# expect: {line}\n" for line in said) + text[len(head) :], "utf-8")
