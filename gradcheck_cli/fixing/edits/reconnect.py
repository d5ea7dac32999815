"""No `.detach()` and no `.data` on the way of the gradient."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    """A layer that gets no gradient is rarely the one that cuts it off, so the classes around it are searched, inside first."""
    owners = {""}
    for name in edit.layers:
        parts = name.split(".") if name else []
        owners |= {".".join(parts[:n]) for n in range(len(parts) + 1)}
    for owner in sorted(owners, key=lambda x: -len(x.split(".")) if x else 0):
        try:
            draft, scope = project.owner_class(owner)
        except CannotPatch:
            continue  # a layer of torch
        cuts = [x for x in [*nodes_of(scope, cst.Call), *nodes_of(scope, cst.Attribute)] if _is_cut(draft, x)]
        if cuts:
            for cut in cuts:
                draft.change(cut, _uncut)
            return
    raise CannotPatch("no `.detach()` or `.data` is to be seen in the classes around it")


def _is_cut(draft: Draft, node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Attribute) and node.func.attr.value == "detach" and not node.args
    above = draft.parent(node)
    return isinstance(node, cst.Attribute) and node.attr.value == "data" and not isinstance(above, cst.AssignTarget)


def _uncut(node: cst.CSTNode) -> cst.CSTNode:
    if isinstance(node, cst.Call):
        assert isinstance(node.func, cst.Attribute)
        return node.func.value
    assert isinstance(node, cst.Attribute)
    return node.value
