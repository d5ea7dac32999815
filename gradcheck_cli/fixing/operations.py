"""Functional operations (`torch.sigmoid(x)`, `x.sigmoid()`, `F.sigmoid(x)`) in the methods of the module that owns them."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.names import full_name
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import LayerProfile

_MODULES = ("torch", "torch.nn.functional", "torch.special", "torch.Tensor")


def called_operation(draft: Draft, call: cst.Call) -> str:
    """Return the torch function a call applies, "" for any other call: `F.relu(x)`, `x.relu_()` → relu."""
    module, _, name = full_name(draft, call.func).rpartition(".")
    if module in _MODULES:
        return name.rstrip("_")
    if isinstance(call.func, cst.Attribute) and not module.startswith("torch"):
        return call.func.attr.value.rstrip("_")
    return ""


def is_method(draft: Draft, call: cst.Call) -> bool:
    """Say whether a call is one of a tensor's own methods, `x.relu()`."""
    return full_name(draft, call.func).rpartition(".")[0] not in _MODULES


def operand(draft: Draft, call: cst.Call) -> cst.BaseExpression:
    """Return the tensor that an operation is applied to."""
    if is_method(draft, call):
        assert isinstance(call.func, cst.Attribute)
        return call.func.value
    first = next((a for a in call.args if a.star == "" and (a.keyword is None or a.keyword.value == "input")), None)
    if first is None:
        raise CannotPatch(f"`{draft.name}:{draft.line(call)}` does not show what the function is applied to")
    return first.value


def operand_of(draft: Draft, original: cst.Call, node: cst.CSTNode) -> cst.BaseExpression:
    """Return the same in the call as the changes inside it have left it."""
    assert isinstance(node, cst.Call)
    if is_method(draft, original):
        assert isinstance(node.func, cst.Attribute)
        return node.func.value
    value = operand(draft, original)
    return next(now.value for was, now in zip(original.args, node.args, strict=True) if was.value is value)


def calls_in(draft: Draft, scope: cst.CSTNode, operation: str) -> list[cst.Call]:
    """Return the calls of an operation in the order in which they run, if nothing repeats them."""
    found = [x for x in nodes_of(scope, cst.Call) if called_operation(draft, x) == operation]
    return [x for x in found if not _is_own_method(x)]


def _is_own_method(call: cst.Call) -> bool:
    """`self.relu(x)` calls a layer of that name, or a method of the class."""
    func = call.func
    return isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name) and func.value.value == "self"


def calls_of(project: Project, layers: Sequence[LayerProfile]) -> list[tuple[Draft, cst.Call]]:
    """Return the calls behind functional layers of an edit, each once; notes what shares a call with them."""
    found: dict[cst.Call, Draft] = {}
    groups: dict[tuple[str, str], list[LayerProfile]] = {}
    for layer in layers:
        groups.setdefault((layer.parent or "", layer.kind), []).append(layer)
    for (owner, kind), members in groups.items():
        draft, calls = _in_owner(project, owner, kind)
        everyone = [x for x in project.profile.layers if x.functional and (x.parent or "", x.kind) == (owner, kind)]
        everyone.sort(key=lambda x: x.order)
        if len(everyone) == len(calls):
            calls = [call for call, layer in zip(calls, everyone, strict=True) if layer in members]
        elif len(members) < len(everyone):
            where = f"{draft.name}:{draft.line(calls[0])}"
            project.note(f"{where} applies {kind} {len(everyone)} times, the cure changes {len(members)}: all are changed")
        found |= dict.fromkeys(calls, draft)
    return [(draft, call) for call, draft in found.items()]


def _in_owner(project: Project, owner: str, kind: str) -> tuple[Draft, list[cst.Call]]:
    draft, scope = project.owner_class(owner)
    calls = calls_in(draft, scope, kind)
    if not calls:  # a function of the file that the forward method calls
        functions = [x for x in draft.tree.body if isinstance(x, cst.FunctionDef)]
        calls = [call for function in functions for call in calls_in(draft, function, kind)]
    if not calls:
        raise CannotPatch(f"no call of {kind} is to be seen in the class `{scope.name.value}` ({draft.name})")
    return draft, calls
