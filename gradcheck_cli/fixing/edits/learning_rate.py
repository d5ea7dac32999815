"""Another learning rate where the optimizer is made."""

from __future__ import annotations

from gradcheck_cli.fixing.optimizers import optimizer_call, with_arguments
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    draft, call = optimizer_call(project)
    draft.change(call, lambda node: with_arguments(node, lr=f"{float(edit.options['lr']):.2g}"))
