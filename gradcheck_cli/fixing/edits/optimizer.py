"""Another optimizer, with its learning rate."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.optimizers import optimizer_call, with_arguments
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit

_KEPT = ("params", "lr", "weight_decay")


def apply(project: Project, edit: Edit) -> None:
    draft, call = optimizer_call(project)
    function = cst.parse_expression(spell(draft, f"torch.optim.{edit.options['name']}"))
    kept = [a for i, a in enumerate(call.args) if i == 0 or (a.keyword is not None and a.keyword.value in _KEPT)]
    kept[-1] = kept[-1].with_changes(comma=call.args[-1].comma)
    fresh = call.with_changes(func=function, args=kept)
    draft.change(call, lambda _: with_arguments(fresh, lr=f"{float(edit.options.get('lr', 1e-3)):.2g}"))
