"""Fixtures that load a model file from its source text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import load
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.settings import Settings

HEADER = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


@pytest.fixture(autouse=True)
def modes_as_before() -> Iterator[None]:
    """A user's file may switch modes of the whole process; in a scan that is the worker's, here it is the tests'."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write a file with torch already imported."""

    def write_file(source: str, name: str = "model.py", *, header: bool = True) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((HEADER if header else "") + textwrap.dedent(source), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def load_text(write: Callable[..., Path]) -> Callable[..., Subject]:
    """Load `model.py` with this source; keywords are settings."""

    def load_source(source: str, **settings: Any) -> Subject:
        write(source)
        return load(Settings(**{"target": "model.py", **settings}))

    return load_source


@pytest.fixture
def refuse(load_text: Callable[..., Subject]) -> Callable[..., GradcheckError]:
    """Load a source that must be refused and hand back the error."""

    def refusal(source: str, **settings: Any) -> GradcheckError:
        with pytest.raises(GradcheckError) as caught:
            load_text(source, **settings)
        return caught.value

    return refusal
