"""A loop that builds the hidden layers and the last one alike: the last is put back behind the loop."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import Draft, walk
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import Construction, small_statement


def keep_last(project: Project, made: Construction) -> bool:
    """Plan `layers[-1] = nn.Sigmoid()` behind the loop, if only the last element of each list is left alone by the edit."""
    if not made.others:
        return True
    draft, call = made.draft, made.call
    loop, name = _filled_by(draft, call)
    if loop is None or not _are_last(project, made):
        return False
    draft.add_after(loop, f"{name}[-1] = {draft.tree.code_for_node(call)}")
    return True


def _are_last(project: Project, made: Construction) -> bool:
    """Say whether the layers left alone are the last in their containers, one in each that holds layers of the edit."""
    parents = [_place(x.name)[0] for x in made.others]
    if len(set(parents)) < len(parents) or set(parents) != {_place(x.name)[0] for x in made.layers}:
        return False
    last: dict[str, int] = {}
    for layer in project.profile.layers:
        parent, index = _place(layer.name)
        if not layer.functional:
            last[parent] = max(last.get(parent, -1), index)
    return all(index >= 0 and last[parent] == index for parent, index in (_place(x.name) for x in made.others))


def _place(name: str) -> tuple[str, int]:
    parent, _, index = name.rpartition(".")
    return parent, int(index) if index.isdigit() else -1


def _filled_by(draft: Draft, call: cst.Call) -> tuple[cst.For | None, str]:
    """Return the loop whose every round ends by putting the new layer at the end of a list, and the list's name."""
    small = small_statement(draft, call)
    line = draft.parent(small) if small is not None else None
    block = draft.parent(line) if line is not None else None
    loop = draft.parent(block) if block is not None else None
    if not isinstance(line, cst.SimpleStatementLine) or not isinstance(block, cst.IndentedBlock):
        return None, ""
    if not isinstance(loop, cst.For) or loop.orelse is not None or block.body[-1] is not line or line.body[-1] is not small:
        return None, ""
    nested = draft.around(loop, cst.For) or draft.around(loop, cst.While)
    if nested or any(isinstance(x, (cst.Break, cst.Continue)) for x in walk(loop)):
        return None, ""
    name = _list(draft, small, call)
    return (loop, name) if name else (None, "")


def _list(draft: Draft, small: cst.CSTNode, call: cst.Call) -> str:
    """Return how the list is written in `layers.append(...)` or `layers += [..., ...]`, "" for anything else."""
    if isinstance(small, cst.AugAssign) and isinstance(small.operator, cst.AddAssign):
        value, written = small.value, small.target
        last = value.elements[-1].value if isinstance(value, cst.List) and value.elements else None
        return draft.tree.code_for_node(written) if last is call else ""
    if not isinstance(small, cst.Expr) or not isinstance(small.value, cst.Call):
        return ""
    outer = small.value
    if not isinstance(outer.func, cst.Attribute) or len(outer.args) != 1 or outer.args[0].value is not call:
        return ""
    return draft.tree.code_for_node(outer.func.value) if outer.func.attr.value == "append" else ""
