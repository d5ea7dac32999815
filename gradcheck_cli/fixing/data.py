"""Where the file defines the data that the scan was given: a name at the top of the file, a data set, a returned tuple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, Statement, nodes_of, top_statement
from gradcheck_cli.fixing.names import last_name
from gradcheck_cli.fixing.project import Project

_SETS = ("DataLoader", "TensorDataset", "StackDataset", "zip")


@dataclass(frozen=True, slots=True)
class Place:
    """The data of one role. `name`: the variable that holds all of it, complete behind `statement`.

    `name` empty: `expression` yields one sample or batch of it, and `whole` says whether that is all the data there are.
    """

    draft: Draft
    name: str = ""
    statement: Statement | None = None
    expression: cst.BaseExpression | None = None
    whole: bool = False


def place_of(project: Project, index: int) -> Place:
    """Find the inputs (0) or the targets (1) of the batch that the scan took from the file."""
    origin = project.profile.batch_origin
    if not origin.startswith("found: "):
        raise CannotPatch("the data do not come from the file")
    draft = project.draft(project.main)
    names = origin.removeprefix("found: ").split(", ")
    if index < len(names) and len(names) > 1:
        return _of_name(draft, names[index])
    return _part_of(draft, names[0], index)


def _part_of(draft: Draft, name: str, index: int) -> Place:
    """A name for inputs and targets together: a tuple, a loader or data set, a function."""
    function = next((x for x in draft.tree.body if isinstance(x, cst.FunctionDef) and x.name.value == name), None)
    if function is not None:
        return _returned(draft, function, index, whole=True)
    value = _value(draft, name)
    while isinstance(value, cst.Call) and last_name(value.func) in _SETS[:1] and value.args:
        value = _followed(draft, value.args[0].value)
    if isinstance(value, cst.Tuple) and index < len(value.elements):
        return _of_expression(draft, value.elements[index].value)
    if isinstance(value, cst.Call) and last_name(value.func) in _SETS and index < len(value.args):
        return _of_expression(draft, value.args[index].value)
    if isinstance(value, cst.Call):
        return _in_data_set(draft, value, index)
    if index == 0 and value is not None:
        return _of_name(draft, name)
    raise CannotPatch(f"the lines of `{draft.name}` that make the data of `{name}` were not recognised")


def _followed(draft: Draft, value: cst.BaseExpression) -> cst.BaseExpression | None:
    return _value(draft, value.value) if isinstance(value, cst.Name) else value


def _of_expression(draft: Draft, value: cst.BaseExpression) -> Place:
    if isinstance(value, cst.Name):
        return _of_name(draft, value.value)
    return Place(draft, expression=value, whole=True)


def _of_name(draft: Draft, name: str) -> Place:
    """The data are complete behind the last statement at the top of the file that sets them, or part of them."""
    setting = [x for x in draft.tree.body if isinstance(x, cst.SimpleStatementLine) and name in _set_by(x)]
    if not setting:
        raise CannotPatch(f"`{name}` is not set at the top of `{draft.name}`")
    return Place(draft, name=name, statement=setting[-1])


def _set_by(line: cst.SimpleStatementLine) -> set[str]:
    found: set[str] = set()
    for small in line.body:
        targets: Sequence[cst.CSTNode] = ()
        if isinstance(small, cst.Assign):
            targets = [t.target for t in small.targets]
        elif isinstance(small, (cst.AnnAssign, cst.AugAssign)):
            targets = [small.target]
        for target in targets:
            parts = [e.value for e in target.elements] if isinstance(target, (cst.Tuple, cst.List)) else [target]
            for part in parts:
                base = part.value if isinstance(part, cst.Subscript) else part
                if isinstance(base, cst.Name):
                    found.add(base.value)
    return found


def _value(draft: Draft, name: str) -> cst.BaseExpression | None:
    """Return what the file's top level assigns to a name."""
    for line in reversed([x for x in draft.tree.body if isinstance(x, cst.SimpleStatementLine)]):
        for small in line.body:
            if isinstance(small, cst.Assign):
                targets = [t.target for t in small.targets]
                if any(isinstance(t, cst.Name) and t.value == name for t in targets):
                    return small.value
            if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name) and small.target.value == name:
                return small.value
    return None


def _in_data_set(draft: Draft, made: cst.Call, index: int) -> Place:
    """A data set of a class in the file: what its `__getitem__` returns."""
    name = last_name(made.func)
    scope = next((x for x in draft.tree.body if isinstance(x, cst.ClassDef) and x.name.value == name), None)
    function = next((x for x in draft.tree.body if isinstance(x, cst.FunctionDef) and x.name.value == name), None)
    if function is not None:
        return _returned(draft, function, index, whole=True)
    if scope is None:
        raise CannotPatch(f"`{name}` is not defined in `{draft.name}`")
    item = next((x for x in nodes_of(scope, cst.FunctionDef) if x.name.value == "__getitem__"), None)
    if item is None:
        raise CannotPatch(f"`{name}` has no `__getitem__`")
    return _returned(draft, item, index, whole=False)


def _returned(draft: Draft, function: cst.FunctionDef, index: int, *, whole: bool) -> Place:
    returns = nodes_of(function, cst.Return)
    value = returns[0].value if len(returns) == 1 else None
    if not isinstance(value, cst.Tuple) or index >= len(value.elements):
        raise CannotPatch(f"`{function.name.value}` ({draft.name}) does not return inputs and targets in one line")
    expression = value.elements[index].value
    if isinstance(expression, cst.Subscript) and isinstance(expression.value, cst.Name):  # a part of the data in the file
        name, own = expression.value.value, {x.name.value for x in nodes_of(function, cst.Param)}
        own |= {x.target.value for x in nodes_of(function, cst.AssignTarget) if isinstance(x.target, cst.Name)}
        if name not in own and any(name in _set_by(x) for x in draft.tree.body if isinstance(x, cst.SimpleStatementLine)):
            return _of_name(draft, name)
    return Place(draft, expression=expression, whole=whole)


def change(place: Place, by_name: str, by_value: str | None) -> str:
    """Plan the change: `by_name` is statements on `{x}`, `by_value` an expression in `{x}`; None where only names will do.

    Returns the line that got the expression, "" where the statements did.
    """
    if place.name and place.statement is not None:
        place.draft.add_after(place.statement, by_name.format(x=place.name))
        return ""
    assert place.expression is not None
    draft = place.draft
    if place.whole and draft.around(place.expression, cst.FunctionDef) is None:
        name = _free(draft)
        statement = top_statement(draft, place.expression)
        code = draft.tree.code_for_node(place.expression)
        draft.add_before(statement, f"{name} = {code}\n{by_name.format(x=name)}")
        draft.replace(place.expression, cst.Name(name))
        return ""
    if by_value is None:
        raise CannotPatch(f"{draft.name}:{draft.line(place.expression)} makes the data sample by sample")
    template = cst.parse_expression(by_value.format(x="_"))
    draft.change(place.expression, lambda node: _filled(template, node))
    return f"{draft.name}:{draft.line(place.expression)}"


def _filled(template: cst.BaseExpression, node: cst.CSTNode) -> cst.CSTNode:
    assert isinstance(node, cst.BaseExpression)
    simple = isinstance(node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript))
    inner = node if simple else node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    place = next(x for x in nodes_of(template, cst.Name) if x.value == "_")
    made = template.deep_replace(place, inner)
    assert isinstance(made, cst.BaseExpression)
    return made


def _free(draft: Draft) -> str:
    used = {x.value for x in nodes_of(draft.tree, cst.Name)}
    return next(name for name in ("values", "tensor", "values_", "tensor_") if name not in used)
