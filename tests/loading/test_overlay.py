"""A patched text is scanned as if it stood in the user's file."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from torch import nn

from gradcheck_cli.loading import load
from gradcheck_cli.loading.overlay import overlay
from gradcheck_cli.settings import Settings

DATA = "x, y = torch.randn(8, 4), torch.randn(8, 2)\nloss_fn = nn.MSELoss()\n"
NET = "import torch\nfrom torch import nn\n\n\nclass {name}(nn.Linear):\n    place = __file__\n\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    overlay({})


def _write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        place = folder / f"{name.replace('__', '/')}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


def test_the_file_is_read_from_elsewhere_and_keeps_its_name_and_neighbours(folder: Path) -> None:
    _write(folder, neighbour_a="SIZE = 2\n", model_a="model = None\n")
    text = f"{NET.format(name='Net')}\nfrom neighbour_a import SIZE\n\nmodel = Net(4, SIZE)\n{DATA}"
    (folder / "patched.txt").write_text(text)
    overlaid = Settings(target="model_a.py", overlay={str(folder / "model_a.py"): str(folder / "patched.txt")})
    subject = load(overlaid)
    assert type(subject.model).place == str(folder / "model_a.py")
    assert subject.sites[""].file == "model_a.py"
    assert "class Net(nn.Linear)" in inspect.getsource(type(subject.model))


def test_an_imported_module_of_a_package_is_read_from_elsewhere_past_its_bytecode(folder: Path) -> None:
    _write(folder, pack_b__parts=NET.format(name="Old"))
    (folder / "pack_b" / "__init__.py").write_text("")
    main = f"import torch\nfrom torch import nn\nfrom .parts import *\n\n\ndef build_model():\n    return Net(4, 2)\n\n\n{DATA}"
    _write(folder, pack_b__main=main)
    (folder / "patched.txt").write_text(NET.format(name="Net"))
    import compileall

    compileall.compile_dir(str(folder / "pack_b"), quiet=2)
    place = {str(folder / "pack_b" / "parts.py"): str(folder / "patched.txt")}
    subject = load(Settings(target="pack_b.main:build_model", overlay=place))
    assert type(subject.model).__name__ == "Net"
    assert type(subject.model).__module__ == "pack_b.parts"


def test_without_an_overlay_the_file_is_itself_again(folder: Path) -> None:
    text = f"import torch\nfrom torch import nn\n\nmodel = nn.Linear(4, 2)\n{DATA}"
    _write(folder, model_c=text)
    (folder / "patched.txt").write_text(text.replace("nn.Linear(4, 2)", "nn.Sequential(nn.Linear(4, 2))"))
    kinds = [
        type(load(Settings(target="model_c.py", overlay=where)).model)
        for where in ({str(folder / "model_c.py"): str(folder / "patched.txt")}, {})
    ]
    assert kinds == [nn.Sequential, nn.Linear]
