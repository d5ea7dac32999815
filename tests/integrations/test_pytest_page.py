"""docs/pytest.md: its example and its transcript, run as they stand there."""

from __future__ import annotations

from pathlib import Path

from recipes import ROOT, blocks, environment, project, shell
from test_documentation import matches


def test_the_example_passes_and_the_transcript_is_what_pytest_says(tmp_path: Path) -> None:
    folder = project(tmp_path / "project", (ROOT / "sample_models" / "deep_sigmoid_mlp.py").read_text("utf-8"))
    (code,) = blocks("docs/pytest.md", "test_model.py", "python")
    (folder / "test_model.py").write_text(code, "utf-8")
    command, *shown = blocks("docs/pytest.md", "run", "console")[0].splitlines()
    env = environment(folder, stand_in=False, GRADCHECK_NO_TRY="1", COLUMNS="80")
    done = shell(command.removeprefix("$ "), folder, env)
    assert done.returncode == 1
    assert matches(shown, done.stdout.splitlines()), done.stdout
