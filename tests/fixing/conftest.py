"""The fixture that scans a source."""

from __future__ import annotations

from pathlib import Path

import pytest
from scanned_sources import Scan, scanner


@pytest.fixture
def scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scan:
    monkeypatch.chdir(tmp_path)
    return scanner(tmp_path)
