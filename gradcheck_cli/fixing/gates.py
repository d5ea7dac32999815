"""What becomes of an operation's value: a plain activation may be exchanged, a gate and the model's output may not."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.names import last_name
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.reach import Reach, reached

_PRODUCTS = ("mul", "mul_", "multiply", "lerp", "lerp_")
_SHAPES = ("unsqueeze", "squeeze", "view", "reshape", "transpose", "permute", "expand", "expand_as", "view_as", "flatten")
_LOOPS = (cst.For, cst.While)


def refuse_gate(project: Project, owner: str, draft: Draft, call: cst.Call) -> None:
    """Raise CannotPatch if the value of a call in the owner's forward multiplies another, or is what the model returns."""
    fate = _fate(project, owner, draft, call)
    where = f"{draft.name}:{draft.line(call)}"
    if "multiplied" in fate:
        raise CannotPatch(f"{where} is a gate: its value is multiplied with another")
    if "returned" in fate:
        raise CannotPatch(f"{where} makes the model's output")


def _fate(project: Project, owner: str, draft: Draft, node: cst.CSTNode) -> set[str]:
    """Follow a value out of the function, and out of the module, that it is computed in."""
    _, scope = project.owner_class(owner)
    return _out_of(project, owner, draft, node, reached(draft, scope), set())


def _out_of(project: Project, owner: str, draft: Draft, node: cst.CSTNode, reach: Reach, seen: set[cst.CSTNode]) -> set[str]:
    fate = fate_inside(draft, node)
    function = next((f for f in _functions_around(draft, node) if f in reach), None)
    if "returned" not in fate or function is None or function in seen:
        return fate
    fate = fate - {"returned"}
    if function is next(iter(reach)):
        return fate | _of_module(project, owner)
    for lead in reach[function]:
        fate |= _out_of(project, owner, draft, lead, reach, {*seen, function})
    return fate


def _functions_around(draft: Draft, node: cst.CSTNode) -> list[cst.FunctionDef]:
    found, above = [], draft.around(node, cst.FunctionDef)
    while above is not None:
        found.append(above)
        above = draft.around(above, cst.FunctionDef)
    return found


def _of_module(project: Project, name: str) -> set[str]:
    """What becomes of a module's output, as far as the class of the module around it shows."""
    if not name:
        return {"returned"}
    parent, _, own = name.rpartition(".")
    holder = project.layers.get(parent)
    if holder is not None and holder.kind == "Sequential":
        depth = name.count(".")
        children = [x for x in project.layers if x.startswith(f"{parent}.".lstrip(".")) and x.count(".") == depth]
        children = [x for x in children if x.rpartition(".")[2].isdigit()]
        last = max(children, key=lambda x: int(x.rpartition(".")[2]), default=name)
        return _of_module(project, parent) if name == last else set()
    try:
        draft, scope = project.owner_class(parent)
    except CannotPatch:
        return set()
    reach = reached(draft, scope)
    calls = [x for function in reach for x in nodes_of(function.body, cst.Call) if _is_call_of(x, own)]
    return set().union(*(_out_of(project, parent, draft, call, reach, set()) for call in calls))


def _is_call_of(call: cst.Call, attribute: str) -> bool:
    func = call.func
    return isinstance(func, cst.Attribute) and func.attr.value == attribute and last_name(func.value) == "self"


def fate_inside(draft: Draft, node: cst.CSTNode) -> set[str]:
    """Return what the function around an expression does with its value: "multiplied", "returned", both or neither."""
    while True:
        above = draft.parent(node)
        if isinstance(above, cst.BinaryOperation):
            if isinstance(above.operator, cst.Multiply) and not _is_scaled(above, node):
                return {"multiplied"}
            if not _is_scaled(above, node):
                return set()
        elif isinstance(above, cst.Arg):
            call = draft.parent(above)
            return {"multiplied"} if isinstance(call, cst.Call) and last_name(call.func) in _PRODUCTS else set()
        elif isinstance(above, cst.Attribute):
            call = draft.parent(above)
            if not isinstance(call, cst.Call) or above.attr.value not in _SHAPES:
                return {"multiplied"} if above.attr.value in _PRODUCTS else set()
            above = call
        elif isinstance(above, cst.AugAssign):
            return {"multiplied"} if isinstance(above.operator, cst.MultiplyAssign) else set()
        elif isinstance(above, cst.Return):
            return {"returned"}
        elif isinstance(above, (cst.Assign, cst.AnnAssign)):
            target = above.targets[0].target if isinstance(above, cst.Assign) and len(above.targets) == 1 else None
            target = above.target if isinstance(above, cst.AnnAssign) else target
            return _of_name(draft, above, target.value) if isinstance(target, cst.Name) else set()
        elif not isinstance(above, (cst.UnaryOperation, cst.Subscript, cst.Tuple, cst.Element, cst.IfExp)):
            return set()
        node = above


def _is_scaled(operation: cst.BinaryOperation, node: cst.CSTNode) -> bool:
    """`0.5 * value`, `1 - value`: a number is no other value."""
    other = operation.right if operation.left is node else operation.left
    return isinstance(other, (cst.Integer, cst.Float))


def _of_name(draft: Draft, assignment: cst.CSTNode, name: str) -> set[str]:
    """Follow a name from its assignment to the next one; out of a loop, where others may follow, only to the return."""
    function = draft.around(assignment, cst.FunctionDef)
    if function is None:
        return set()
    names = [x for x in nodes_of(function.body, cst.Name) if x.value == name]
    stores = [x for x in names if _is_stored(draft, x)]
    reads = [x for x in names if x not in stores]
    if len(stores) == 1:
        return set().union(*(fate_inside(draft, x) for x in reads))
    loop = next((x for x in (draft.around(assignment, kind) for kind in _LOOPS) if x is not None), None)
    start = draft.last_line(loop) if loop is not None else draft.last_line(assignment)
    end = min((draft.line(x) for x in stores if draft.line(x) > start), default=draft.last_line(function))
    fate = set().union(*(fate_inside(draft, x) for x in reads if start < draft.line(x) <= end))
    return fate & {"returned"} if loop is not None else fate


def _is_stored(draft: Draft, name: cst.Name) -> bool:
    above = draft.parent(name)
    while isinstance(above, (cst.Tuple, cst.Element)):
        name, above = above, draft.parent(above)  # type: ignore[assignment]
    return isinstance(above, (cst.AssignTarget, cst.For)) or (isinstance(above, cst.AnnAssign) and above.target is name)
