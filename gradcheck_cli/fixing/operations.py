"""Functional operations (`torch.sigmoid(x)`, `x.sigmoid()`, `F.sigmoid(x)`) in the methods of the module that owns them."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.gates import refuse_gate
from gradcheck_cli.fixing.names import full_name, imported
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.reach import calls_reached
from gradcheck_cli.records import LayerProfile

_LOOPS = (cst.For, cst.While, cst.CompFor, cst.BaseComp)
_CONDITIONS = (cst.If, cst.IfExp, cst.Match, cst.Try, cst.BooleanOperation)
_MODULES = ("torch", "torch.nn.functional", "torch.special", "torch.Tensor")


def called_operation(draft: Draft, call: cst.Call) -> str:
    """Return the torch function a call applies, "" for any other call: `F.relu(x)`, `x.relu_()` → relu."""
    module, _, name = full_name(draft, call.func).rpartition(".")
    if module in _MODULES:
        return name.rstrip("_")
    if isinstance(call.func, cst.Attribute) and not module.startswith("torch") and not _of_the_file(draft, call.func.value):
        return call.func.attr.value.rstrip("_")
    return ""


def _of_the_file(draft: Draft, value: cst.BaseExpression) -> bool:
    """Say whether a name is a module's (`np.tanh(x)`), or an object's that the file's top level builds, and no tensor's."""
    if not isinstance(value, cst.Name):
        return False
    if value.value in imported(draft):
        return True
    function = draft.around(value, cst.FunctionDef)
    own = [*nodes_of(function, cst.Param), *nodes_of(function, cst.AssignTarget)] if function is not None else []
    local = {x.value for node in own for x in nodes_of(node, cst.Name)}
    lines = [x for x in draft.tree.body if isinstance(x, cst.SimpleStatementLine)]
    targets = [t.target for line in lines for x in line.body if isinstance(x, cst.Assign) for t in x.targets]
    return value.value not in local and any(isinstance(t, cst.Name) and t.value == value.value for t in targets)


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


def calls_of(project: Project, layers: Sequence[LayerProfile], *, plain: bool = True) -> list[tuple[Draft, cst.Call]]:
    """Return the calls behind functional layers of an edit, each once; raises CannotPatch if others share one of them.

    `plain`: also if one of them is a gate, or makes the model's output.
    """
    found: dict[cst.Call, Draft] = {}
    names, kinds = {x.name for x in layers}, {x.kind for x in layers}
    for layer in layers:
        behind = _calls_behind(project, layer)
        for call in behind.keys() - found.keys() if plain else ():
            refuse_gate(project, layer.parent or "", behind[call], call)
        found |= behind
    beside = [x for x in project.profile.layers if x.functional and x.kind in kinds and x.name not in names]
    for layer in beside:
        shared = [call for call in _behind_or_none(project, layer) if call in found]
        if shared:
            where = f"{found[shared[0]].name}:{found[shared[0]].line(shared[0])}"
            raise CannotPatch(f"{where} is also `{layer.name}`, which the cure leaves alone")
    return [(draft, call) for call, draft in found.items()]


def _calls_behind(project: Project, layer: LayerProfile) -> dict[cst.Call, Draft]:
    """Return the n-th call for the n-th operation of its owner; all of them where it does not show which is which."""
    draft, calls = _in_owner(project, layer.parent or "", layer.kind)
    same = (layer.parent or "", layer.kind)
    everyone = [x for x in project.profile.layers if x.functional and (x.parent or "", x.kind) == same]
    everyone.sort(key=lambda x: x.order)
    number = everyone.index(layer)
    looped = [i for i, call in enumerate(calls) if any(draft.around(call, kind) is not None for kind in _LOOPS)]
    if len(everyone) == len(calls):
        calls = [calls[number]]
    elif len(looped) == 1 and len(everyone) > len(calls) and _run_once_each(draft, calls):
        behind = len(calls) - looped[0] - 1  # those behind the loop run after all of its rounds
        first, last = min(number, looped[0]), number - len(everyone) + len(calls)
        calls = [calls[last if number >= len(everyone) - behind else first]]
    return dict.fromkeys(calls, draft)


def _run_once_each(draft: Draft, calls: Sequence[cst.Call]) -> bool:
    """Say whether calls stand in a forward method itself, and none of them under a condition."""
    functions = [draft.around(call, cst.FunctionDef) for call in calls]
    return all(f is not None and f.name.value == "forward" for f in functions) and not any(
        draft.around(call, kind) for call in calls for kind in _CONDITIONS
    )


def _behind_or_none(project: Project, layer: LayerProfile) -> dict[cst.Call, Draft]:
    try:
        return _calls_behind(project, layer)
    except CannotPatch:  # no call of it is to be seen
        return {}


def _in_owner(project: Project, owner: str, kind: str) -> tuple[Draft, list[cst.Call]]:
    """Return the calls in the owner's forward and in the functions that it runs; what is never run stays as it is."""
    draft, scope = project.owner_class(owner)
    calls = [x for x in calls_reached(draft, scope) if called_operation(draft, x) == kind and not _is_own_method(x)]
    if not calls:
        raise CannotPatch(f"no call of {kind} is to be seen in what the class `{scope.name.value}` runs ({draft.name})")
    return draft, calls
