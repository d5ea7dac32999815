import subprocess
import sys

import pytest

import gradcheck_cli


def test_every_public_name_is_there_and_nothing_else_is_made_up() -> None:
    for name in gradcheck_cli.__all__:
        assert getattr(gradcheck_cli, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'scna'"):
        _ = gradcheck_cli.scna


def test_public_names_are_the_ones_of_their_modules() -> None:
    from gradcheck_cli.api import scan
    from gradcheck_cli.records import Report

    assert (gradcheck_cli.scan, gradcheck_cli.Report) == (scan, Report)


def test_importing_them_loads_no_torch() -> None:
    code = "from gradcheck_cli import Finding, Profile, Report, Settings, scan; import sys; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
