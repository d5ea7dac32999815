"""Other initial biases, of whole layers or of one gate."""

from __future__ import annotations

from gradcheck_cli.fixing.draft import Draft
from gradcheck_cli.fixing.initialisation import listed, selection
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit

_GATES = {"forget": 4, "update": 3}  # how many gates share a bias; both are the second


def apply(project: Project, edit: Edit) -> None:
    project.biases.update(edit.layers)
    project.initialisation.append(lambda draft: _statements(project, draft, edit))


def _statements(project: Project, draft: Draft, edit: Edit) -> str:
    init, value = spell(draft, "torch.nn.init"), float(edit.options.get("value", 0.0))
    set_it = f"{init}.zeros_({{}})" if value == 0 else f"{init}.constant_({{}}, {value:.4g})"
    gate = edit.options.get("gate")
    if gate is not None:
        gates = _GATES[str(gate)]
        return (
            f"for name in ({listed(edit.layers)}):\n"
            "    for key, bias in model.get_submodule(name).named_parameters():\n"
            '        if "bias_hh" in key:\n'
            f"            size = bias.numel() // {gates}\n"
            f"            {set_it.format('bias.data[size : 2 * size]')}  # the {gate} gate"
        )
    loop, indent = selection(project, draft, edit.layers)
    return f"{loop}\n{indent}if module.bias is not None:\n{indent}    {set_it.format('module.bias')}"
