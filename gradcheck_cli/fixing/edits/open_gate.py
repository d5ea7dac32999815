"""Factors that silence a branch start at a small value."""

from __future__ import annotations

from gradcheck_cli.fixing.draft import Draft
from gradcheck_cli.fixing.initialisation import listed, trainable
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    shapes = {p.name: p.value.shape for p in project.profile.parameters}
    matrices = [name for name in trainable(project, edit.layers) if sum(size > 1 for size in shapes.get(name, ())) > 1]
    factors = [name for name in trainable(project, edit.layers) if name not in matrices]
    value = f"{float(edit.options['value']):.4g}"
    if factors:
        project.initialisation.append(lambda draft: _loop(draft, factors, f"constant_(model.get_parameter(name), {value})"))
    if matrices:
        project.initialisation.append(lambda draft: _loop(draft, matrices, f"normal_(model.get_parameter(name), std={value})"))


def _loop(draft: Draft, names: list[str], draw: str) -> str:
    return f"for name in ({listed(names)}):\n    {spell(draft, 'torch.nn.init')}.{draw}"
