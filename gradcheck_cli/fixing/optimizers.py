"""The call that makes the optimizer, and its arguments."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.names import full_name
from gradcheck_cli.fixing.project import Project


def optimizer_call(project: Project) -> tuple[Draft, cst.Call]:
    """Return the only call of the main file that makes an optimizer of the kind that was measured."""
    if project.profile.optimizer is None:
        raise CannotPatch("the scan found no optimizer in the file")
    draft, name = project.draft(project.main), project.profile.optimizer.name
    calls = [x for x in nodes_of(draft.tree, cst.Call) if full_name(draft, x.func).startswith("torch.optim.")]
    calls = [x for x in calls if full_name(draft, x.func).rpartition(".")[2] == name]
    if len(calls) != 1:
        raise CannotPatch(f"`{draft.name}` makes {len(calls)} optimizers of class {name}")
    return draft, calls[0]


def with_arguments(node: cst.CSTNode, **values: str) -> cst.CSTNode:
    """Return the call with keyword arguments set to these values; a learning rate may stand in second place."""
    assert isinstance(node, cst.Call)
    args = list(node.args)
    for name, text in values.items():
        value = cst.parse_expression(text)
        places = [i for i, a in enumerate(args) if a.keyword is not None and a.keyword.value == name]
        if name == "lr" and not places and len(args) > 1 and args[1].keyword is None:
            places = [1]
        if places:
            args[places[0]] = args[places[0]].with_changes(value=value)
        else:
            args = _appended(args, name, value)
    return node.with_changes(args=args)


def _appended(args: list[cst.Arg], name: str, value: cst.BaseExpression) -> list[cst.Arg]:
    last = args[-1]
    spaced = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    tight = cst.AssignEqual(whitespace_before=cst.SimpleWhitespace(""), whitespace_after=cst.SimpleWhitespace(""))
    fresh = cst.Arg(keyword=cst.Name(name), equal=tight, value=value, comma=last.comma)
    return [*args[:-1], last.with_changes(comma=spaced), fresh]


def clipped_parameters(draft: Draft) -> str:
    """Return what the file's only optimizer is given, as source: what its training loop steps."""
    calls = [x for x in nodes_of(draft.tree, cst.Call) if full_name(draft, x.func).startswith("torch.optim.")]
    made = {
        draft.tree.code_for_node(x.args[0].value) for x in calls if x.args and "lr_scheduler" not in full_name(draft, x.func)
    }
    if len(made) != 1:
        raise CannotPatch(f"`{draft.name}` makes {len(made)} optimizers, and which of them the loop steps is not clear")
    return made.pop()
