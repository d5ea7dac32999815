"""Initial weights and biases of layers times a factor."""

from __future__ import annotations

from gradcheck_cli.fixing.draft import Draft
from gradcheck_cli.fixing.initialisation import listed, selection, trainable
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    project.initialisation.append(lambda draft: _statements(project, draft, edit))


def _statements(project: Project, draft: Draft, edit: Edit) -> str:
    factor = f"{float(edit.options['factor']):.4g}"
    parameters = trainable(project, [name for name in edit.layers if name not in project.layers])
    layers = [name for name in edit.layers if name in project.layers]
    lines = []
    if parameters:
        lines.append(f"for name in ({listed(parameters)}):\n    model.get_parameter(name).data *= {factor}")
    if layers:
        loop, indent = selection(project, draft, layers)
        lines.append(
            f"{loop}\n{indent}for parameter in module.parameters(recurse=False):\n{indent}    parameter.data *= {factor}"
        )
    return "\n".join(lines)
