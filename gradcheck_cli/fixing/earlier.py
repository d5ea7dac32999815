"""What the file itself does to the weights of a model that is built: which of it an added initialisation may follow."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from gradcheck_cli.fixing.draft import Draft, Statement, nodes_of
from gradcheck_cli.fixing.names import last_name
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.reach import methods_of

_FREEZE = ("requires_grad", "requires_grad_")
_SETS = {"parameters", "named_parameters", "modules", "named_modules", "children", "named_children"}
_WEIGHTS = ("weight", "bias", "parameters", "modules", "apply", "load_state_dict")


def place_in(project: Project, draft: Draft, init: cst.FunctionDef, own: str) -> Statement:
    """Return the statement of a constructor behind which weights can be drawn: before the output's bias gets its value."""
    body = list(init.body.body)
    while len(body) > 1 and _sets_output_bias(project, draft, body[-1], own):
        body.pop()
    last_overwritten(project, draft, body, own)
    assert isinstance(body[-1], (cst.SimpleStatementLine, cst.BaseCompoundStatement))
    return body[-1]


def last_overwritten(project: Project, draft: Draft, block: Sequence[cst.CSTNode], target: str) -> Statement | None:
    """Return the last statement that changes the model's weights, as far as can be seen; notes those that draw or load them."""
    touching = [x for x in block if _touches(draft, x, target)]
    while touching and _sets_output_bias(project, draft, touching[-1], target):
        touching.pop()
    for statement in touching:
        if not _freezes(statement):
            project.note(f"what {draft.name}:{draft.line(statement)} does to the weights is overwritten")
    return touching[-1] if touching else None  # type: ignore[return-value]


def freezes(draft: Draft, last: Statement) -> bool:
    """Say whether parameters are seen to be frozen by the end of a statement, or in the constructor of a part."""
    own = draft.around(last, cst.FunctionDef)
    for node in nodes_of(draft.tree, cst.Attribute):
        if node.attr.value in _FREEZE:
            function = draft.around(node, cst.FunctionDef)
            if function is own and draft.line(node) <= draft.last_line(last):
                return True
            if function is not None and function is not own and function.name.value == "__init__":
                return True
    return False


def _freezes(statement: cst.CSTNode) -> bool:
    return any(x.attr.value in _FREEZE for x in nodes_of(statement, cst.Attribute))


def _touches(draft: Draft, statement: cst.CSTNode, target: str) -> bool:
    """`model.apply(init)`, `nn.init.normal_(model.fc.weight)`, `for p in model.parameters(): ...`, `init(model)`."""
    if isinstance(statement, cst.For):
        ran = {last_name(c.func) for c in nodes_of(statement, cst.Call)}
        read = {x.attr.value for x in nodes_of(statement.iter, cst.Attribute)}
        sets = bool(read & _SETS) or any(name.endswith("_") or "init" in name.lower() for name in ran)
        return mentions(statement.iter, target) and sets and "backward" not in ran
    if isinstance(statement, cst.With):
        return mentions(statement, target) and "no_grad" in {last_name(c.func) for c in nodes_of(statement, cst.Call)}
    call = _called(statement)
    if call is None or not mentions(call, target):
        return False
    method = _own_method(draft, statement, call, target)
    if method is not None:
        return any(x.attr.value in _WEIGHTS for x in nodes_of(method.body, cst.Attribute))
    first = call.args[0].value if call.args else None
    name = last_name(call.func)
    given = isinstance(call.func, cst.Name) and isinstance(first, cst.Name) and first.value == target
    inits = (name.endswith("_") and name != "__init__") or (given and "init" in name.lower())
    return inits or name in ("apply", "load_state_dict")


def _called(statement: cst.CSTNode) -> cst.Call | None:
    """Return the call that a statement consists of."""
    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.Expr):
        return None
    value = statement.body[0].value
    return value if isinstance(value, cst.Call) else None


def _own_method(draft: Draft, statement: cst.CSTNode, call: cst.Call, own: str) -> cst.FunctionDef | None:
    """Return the method that `self.method()` runs, if the class around has it."""
    scope, func = draft.around(statement, cst.ClassDef), call.func
    if scope is None or not isinstance(func, cst.Attribute) or last_name(func.value) != own:
        return None
    return methods_of(draft, scope).get(func.attr.value)


def _sets_output_bias(project: Project, draft: Draft, statement: cst.CSTNode, own: str) -> bool:
    """Say whether the bias of the last layer is all that a statement sets: `nn.init.constant_(self.head.bias, -4.6)`.

    It starts the output where the targets are, and has no part in how gradients flow; an edit of that very bias has.
    """
    ran = [x for x in project.profile.layers if x.parameters and x.leaf and x.calls and not x.functional]
    last = max(ran, key=lambda x: x.order, default=None)
    if last is None or not last.name or last.name in project.biases:
        return False
    call = _called(statement)
    method = _own_method(draft, statement, call, own) if call is not None else None
    if method is not None:
        body = [x for x in method.body.body if not _is_text(x)]
        return bool(body) and all(_sets_output_bias(project, draft, x, own) for x in body)
    if call is None and not isinstance(statement, cst.With):
        return False
    paths = [_path(draft, x) for x in nodes_of(statement, cst.Name) if x.value == own]
    return bool(paths) and all(f"{path}.".startswith(f"{last.name}.bias.") for path in paths)


def _is_text(statement: cst.CSTNode) -> bool:
    """Say whether a statement is a docstring."""
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return isinstance(small, cst.Expr) and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString))


def _path(draft: Draft, name: cst.Name) -> str:
    """Return the attributes read from a name: `self.head.bias.data` → head.bias.data."""
    parts, node, above = [], name, draft.parent(name)
    while isinstance(above, cst.Attribute) and above.value is node:
        parts.append(above.attr.value)
        node, above = above, draft.parent(above)  # type: ignore[assignment]
    return ".".join(parts)


def mentions(node: cst.CSTNode, name: str) -> bool:
    return any(x.value == name for x in nodes_of(node, cst.Name))
