"""Import directions: by reading the source, and by looking at what a child process has loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gradcheck_cli"
THIRD_PARTY = {"torch", "numpy", "libcst", "yaml", "rich", "typer", "safetensors", "transformers", "lightning", "pytest"}

# What a part of the package may import of the package itself, and which third-party packages.
# `errors`, `records`, `settings`, `phase` and `targets` are the ground on which everything stands.
GROUND = {"errors", "records", "settings", "phase", "targets", ""}
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": ({"records"}, set()),
    "phase": ({"records"}, set()),
    "records": ({"reporting.notebook"}, set()),  # what a notebook shows of a report, imported when one asks
    "targets": ({"settings"}, set()),
    "settings": ({"records"}, set()),
    "options": (GROUND, set()),
    "config_file": (GROUND | {"options"}, set()),
    "configuration": (GROUND | {"options", "config_file"}, set()),
    "loading": (GROUND, {"torch", "numpy", "safetensors"}),
    "probing": (GROUND | {"loading.base", "loading.explain", "loading.explain_run", "loading.frames"}, {"torch", "numpy"}),
    "rules": (GROUND, set()),
    "remedies": (GROUND, {"yaml"}),
    "reporting": (GROUND, {"rich"}),
    "diagnosis": (GROUND | {"loading.base", "probing", "rules"}, set()),
    "trials": (
        GROUND | {"diagnosis", "loading.base", "loading.signatures", "loading.tensor_tree", "probing", "rules"},
        {"torch"},
    ),
    "fixing": (GROUND, {"libcst"}),
    "gate": (GROUND | {"rules"}, set()),
    "pipeline": (GROUND | {"diagnosis", "loading", "gate", "probing", "remedies", "rules", "trials"}, {"torch"}),
    "worker": (GROUND | {"pipeline"}, {"torch"}),
    "cli": (GROUND | {"options", "config_file", "configuration", "gate", "reporting", "rules", "fixing"}, {"typer", "rich"}),
    "__main__": ({"cli"}, set()),
    "integrations": (GROUND | {"api", "config_file", "reporting"}, {"pytest"}),
    "api": (GROUND | {"options", "pipeline", "reporting"}, {"torch"}),  # torch: types only, as a test below shows
    "": (GROUND | {"api"}, set()),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def _module(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file: Path) -> set[str]:
    """Return every imported module, in functions and under TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _may(own: str, imported: str, allowed: set[str]) -> bool:
    """Say whether a name of this package may be imported: from the own part, or from one that the table lists."""
    if own and (imported == own or imported.startswith(f"{own}.")):
        return True
    known = {_module(f) for f in FILES}
    while imported and imported not in known:  # a name inside a module
        imported = imported.rpartition(".")[0]
    return any(imported == a or (a and imported.startswith(f"{a}.")) for a in allowed)


@pytest.mark.parametrize("file", FILES, ids=_module)
def test_imports_point_one_way(file: Path) -> None:
    own = _module(file).split(".")[0]
    inside, outside = ALLOWED[own]
    for name in _imports(file):
        top, _, rest = name.partition(".")
        if top == "gradcheck_cli":
            assert _may(own, rest, inside), f"{_module(file)} imports {name}"
        elif top in THIRD_PARTY:
            assert top in outside, f"{_module(file)} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=_module)
def test_the_rules_of_the_house(file: Path) -> None:
    """No file for whatever fits nowhere, no print outside cli, no way to run text or a pickle as code."""
    assert file.stem not in {"utils", "helpers", "common", "core", "misc"}
    tree = ast.parse(file.read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "eval" not in called
    if _module(file).split(".")[0] != "cli":
        assert "print" not in called
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert not getattr(node.value, "value", False), f"{file}: shell=True"


LIGHT = [
    "import gradcheck_cli",
    "import gradcheck_cli.cli.app, gradcheck_cli.cli.launching, gradcheck_cli.configuration",
    "import gradcheck_cli.reporting.text, gradcheck_cli.reporting.json, gradcheck_cli.reporting.rule_text",
    "import gradcheck_cli.rules.judge; gradcheck_cli.rules.load_rules()",
    "import gradcheck_cli.remedies",
    "import gradcheck_cli.cli.fix, gradcheck_cli.fixing.cures",
    "import gradcheck_cli.pipeline, gradcheck_cli.api",
    "from gradcheck_cli.cli.app import run; run(['--help'])",
    "from gradcheck_cli.cli.app import run; run(['--version'])",
    "from gradcheck_cli.cli.app import run; run(['scan', '--help'])",
    "from gradcheck_cli.cli.app import run; run(['rules'])",
    "from gradcheck_cli.cli.app import run; run(['explain', 'GC101'])",
]


@pytest.mark.parametrize("code", LIGHT)
def test_what_needs_no_torch_loads_none(code: str) -> None:
    check = f"{code}\nimport sys\nheavy = {{'torch', 'numpy'}} & sys.modules.keys()\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_neither_rich_nor_yaml_nor_the_records() -> None:
    check = """
from gradcheck_cli.cli.app import run
assert run(['--help']) == 0
import sys
slow = {'rich', 'yaml', 'tomllib', 'gradcheck_cli.records', 'gradcheck_cli.rules'} & sys.modules.keys()
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_a_stage_with_torch_does_import_it() -> None:
    """The checks above would pass on a package that imports nothing: this one shows that they can fail."""
    check = "import gradcheck_cli.loading.base, sys; assert 'torch' in sys.modules"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
