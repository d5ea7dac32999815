"""Sources that are scanned for real, so that patches are planned from what a scan records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gradcheck_cli.fixing.patching import patch
from gradcheck_cli.loading import load
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit, Profile
from gradcheck_cli.settings import Settings


@dataclass(frozen=True)
class Scanned:
    """A source with the profile of the model it builds."""

    folder: Path
    profile: Profile

    def named(self, kind: str) -> tuple[str, ...]:
        """Return the layers of a kind, functional ones too, in execution order."""
        return tuple(x.name for x in self.profile.layers if x.kind == kind)

    def patched(self, *edits: Edit) -> str:
        """Return the new text of the only file that the edits change."""
        texts, _ = patch(self.profile, edits, self._read)
        assert len(texts) == 1
        return next(iter(texts.values()))

    def notes(self, *edits: Edit) -> tuple[str, ...]:
        return patch(self.profile, edits, self._read)[1]

    def _read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode()


Scan = Callable[..., Scanned]


def scanner(folder: Path) -> Scan:
    """Return what writes a source into the working directory and scans it; further files go by their names."""

    def scan(text: str, target: str = "model.py", **others: str) -> Scanned:
        for name, content in {"model": text, **others}.items():
            (folder / f"{name}.py").write_bytes(content.encode())
        subject = load(Settings(target=target))
        return Scanned(folder, probe(subject, subject.objectives[0], Settings(target=target)))

    return scan


def built(text: str) -> torch.nn.Module:
    """Run a patched text and return its model."""
    space: dict[str, object] = {"__name__": "patched"}
    exec(compile(text, "patched.py", "exec"), space)
    model = space.get("model") or space["build_model"]()  # type: ignore[operator]
    assert isinstance(model, torch.nn.Module)
    return model


def lines_changed(old: str, new: str) -> list[str]:
    """Return the lines of the new text that the old one has not, in order."""
    known = old.split("\n")
    return [line for line in new.split("\n") if line not in known]


def edit(kind: str, layers: Sequence[str] = (), **options: object) -> Edit:
    return Edit(kind=kind, layers=tuple(layers), options=options)
