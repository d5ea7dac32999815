"""The gradient is clipped between `loss.backward()` and `optimizer.step()`."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, Statement, nodes_of
from gradcheck_cli.fixing.names import last_name, spell
from gradcheck_cli.fixing.optimizers import clipped_parameters
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    draft = project.draft(project.main)
    found = _backward_statements(draft)
    if not found:
        raise CannotPatch(f"`{draft.name}` has no `backward()` that a `step()` follows")
    parameters = clipped_parameters(draft)
    for key, function in (("norm", "clip_grad_norm_"), ("value", "clip_grad_value_")):
        if key in edit.options:
            name = spell(draft, "torch.nn.utils")
            for statement in found:
                draft.add_after(statement, f"{name}.{function}({parameters}, {float(edit.options[key]):.3g})")


def _backward_statements(draft: Draft) -> list[Statement]:
    calls = [x for x in nodes_of(draft.tree, cst.Call) if last_name(x.func) == "backward"]
    statements = [draft.statement(x) for x in calls]
    return [x for x in statements if _steps_after(draft, x)]


def _steps_after(draft: Draft, statement: Statement) -> bool:
    block = list(draft.block(statement))
    later = block[block.index(statement) + 1 :]
    return any(last_name(call.func) == "step" for other in later for call in nodes_of(other, cst.Call))
