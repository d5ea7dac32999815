"""Put a module behind, or around, one that a constructor call builds."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of, top_statement
from gradcheck_cli.fixing.names import last_name, spell
from gradcheck_cli.fixing.sequences import add_behind, element_around
from gradcheck_cli.fixing.sites import class_name

_CALLED_OF = ("weight", "bias", "in_features", "out_features", "in_channels", "out_channels")


def argument(call: cst.Call, position: int, keyword: str) -> cst.BaseExpression | None:
    """Return the argument a call gives for a parameter, None when it leaves it at its default."""
    for given in call.args:
        if given.star:
            return None
        if given.keyword is not None and given.keyword.value == keyword:
            return given.value
    plain = [a for a in call.args if a.keyword is None]
    return plain[position].value if position < len(plain) else None


def put_behind(draft: Draft, call: cst.Call, module: str, suffix: str) -> None:
    """Plan that the output of what the call builds goes through `module`, the source of another constructor call.

    Preferred is an element of its own where the container is a Sequential; then an attribute beside `self.layer`, of which
    the forward makes use; else both become one Sequential, or one class where the file reads the layer's weights.
    """
    element = element_around(draft, call)
    target = _assigned_to(draft, call)
    if element is not None and _is_sequential(draft, draft.parent(element)):
        add_behind(draft, element, cst.parse_expression(module))
    elif element is not None and _runs_in_sequence(draft, element):
        _add_to_list(draft, element, call, module)
    elif isinstance(target, cst.Name):
        _behind_name(draft, draft.statement(call), target.value, module)
    elif not (isinstance(target, cst.Attribute) and _behind_attribute(draft, call, target, module, suffix)):
        _in_one(draft, call, module, suffix)


def _in_one(draft: Draft, call: cst.Call, module: str, suffix: str) -> None:
    scope = draft.around(call, cst.ClassDef) or draft.tree
    if not any(_reads_weights(x) for x in nodes_of(scope, cst.Attribute)):
        wrap(draft, call, f"{spell(draft, 'torch.nn.Sequential')}(_, {module})")
        return
    kind = class_name(draft, call.func)
    name, attribute = f"{kind}{suffix.title().replace('_', '')}", suffix.removeprefix("_")
    parts = cst.parse_expression(module)
    width = argument(call, 1, "out_channels" if "Conv" in kind else "out_features")
    assert isinstance(parts, cst.Call)
    own = "self.out_channels" if "Conv" in kind else "self.out_features"
    same = [a for a in parts.args if width is not None and a.value.deep_equals(width)]
    built = _code(draft, parts.deep_replace(same[0].value, cst.parse_expression(own)) if same else parts)
    text = _SUBCLASS.format(name=name, base=_code(draft, call.func), attribute=attribute, module=built)
    define(draft, name, text, [call])
    draft.change(call, lambda node: node.with_changes(func=cst.Name(name)))


def _reads_weights(node: cst.Attribute) -> bool:
    """`layer.weight` or `self.layers[0].weight`; `self.fc.weight` is of a layer that has a name of its own."""
    plain = isinstance(node.value, cst.Subscript) or (isinstance(node.value, cst.Name) and node.value.value != "self")
    return plain and node.attr.value in ("weight", "bias")


_SUBCLASS = """\
class {name}({base}):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.{attribute} = {module}

    def forward(self, x):
        return self.{attribute}(super().forward(x))
"""


def _is_sequential(draft: Draft, holder: cst.CSTNode | None) -> bool:
    return isinstance(holder, cst.Call) and class_name(draft, holder.func) == "Sequential"


def _runs_in_sequence(draft: Draft, element: cst.Arg | cst.Element) -> bool:
    """Say whether the list that the element goes to is handed to `nn.Sequential(*layers)`, and to nothing else but loops."""
    holder = draft.parent(element)
    if isinstance(holder, cst.Call):
        if last_name(holder.func) != "append" or not isinstance(holder.func, cst.Attribute):
            return False
        name = holder.func.value
    else:
        above = draft.parent(holder) if holder is not None else None
        if isinstance(above, cst.Arg) and above.star == "*":
            return _is_sequential(draft, draft.parent(above))
        name = _list_name(above)  # type: ignore[assignment]
    written = _code(draft, name) if name is not None else ""
    scope = draft.around(element, cst.FunctionDef) or draft.tree
    calls = [x for x in nodes_of(scope, cst.Call) if _is_sequential(draft, x)]
    return bool(written) and any(a.star == "*" and _code(draft, a.value) == written for x in calls for a in x.args)


def _list_name(above: cst.CSTNode | None) -> cst.BaseExpression | None:
    """`layers = [...]`, `layers += [...]`, `layers.extend([...])`."""
    if isinstance(above, cst.AugAssign):
        return above.target
    if isinstance(above, cst.Assign):
        return above.targets[0].target
    return above.target if isinstance(above, cst.AnnAssign) else None


def _add_to_list(draft: Draft, element: cst.Arg | cst.Element, call: cst.Call, module: str) -> None:
    holder = draft.parent(element)
    if isinstance(holder, cst.Call) and last_name(holder.func) == "append":
        assert isinstance(holder.func, cst.Attribute)
        draft.add_after(draft.statement(call), f"{_code(draft, holder.func)}({module})")
    else:
        add_behind(draft, element, cst.parse_expression(module))


def _assigned_to(draft: Draft, call: cst.Call) -> cst.BaseExpression | None:
    above = draft.parent(call)
    if isinstance(above, cst.Assign) and len(above.targets) == 1:
        return above.targets[0].target
    return above.target if isinstance(above, cst.AnnAssign) else None


def _behind_name(draft: Draft, statement: cst.CSTNode, name: str, module: str) -> None:
    """`layer = nn.Conv2d(...)`: the place where the name is put into the model takes the further module."""
    scope = draft.around(statement, cst.FunctionDef) or draft.tree
    uses = [x for x in nodes_of(scope, cst.Name) if x.value == name and element_around(draft, x) is not None]
    uses = [x for x in uses if not _initialises(draft, x)]
    if len(uses) != 1:
        raise CannotPatch(f"`{name}` ({draft.name}:{draft.line(statement)}) is put to use in {len(uses)} places")
    element = element_around(draft, uses[0])
    assert element is not None
    if _is_sequential(draft, draft.parent(element)):
        add_behind(draft, element, cst.parse_expression(module))
    else:
        wrap(draft, uses[0], f"{spell(draft, 'torch.nn.Sequential')}(_, {module})")


def _initialises(draft: Draft, node: cst.CSTNode) -> bool:
    """`init(layer)`, a statement of its own."""
    statement = draft.statement(node)
    return isinstance(statement, cst.SimpleStatementLine) and any(
        isinstance(x, cst.Expr) and isinstance(x.value, cst.Call) and last_name(x.value.func) not in ("append", "add_module")
        for x in statement.body
    )


def _behind_attribute(draft: Draft, call: cst.Call, target: cst.Attribute, module: str, suffix: str) -> bool:
    """`self.fc = nn.Linear(...)` and `self.fc(x)`: the module goes beside it, so that the layer's own name keeps."""
    calls, written = calls_of_attribute(draft, call), _code(draft, target)
    scope = draft.around(call, cst.ClassDef)
    if not calls or scope is None or _exists(scope, target.attr.value + suffix):
        return False
    draft.add_after(draft.statement(call), f"{written}{suffix} = {module}")
    for each in calls:
        wrap(draft, each, f"{written}{suffix}(_)")
    return True


def calls_of_attribute(draft: Draft, call: cst.Call) -> list[cst.Call]:
    """Return where `self.fc` of `self.fc = nn.Linear(...)` is called; none if it is put to use in other ways too."""
    target, scope = _assigned_to(draft, call), draft.around(call, cst.ClassDef)
    if scope is None or not isinstance(target, cst.Attribute) or not isinstance(target.value, cst.Name):
        return []
    written = _code(draft, target)
    others = [x for x in nodes_of(scope, cst.Attribute) if _code(draft, x) == written]
    if any(not _is_called_or_read(draft, x) and not _in_init(draft, x) for x in others):
        return []
    return [x for x in nodes_of(scope, cst.Call) if _code(draft, x.func) == written]


def _is_called_or_read(draft: Draft, node: cst.Attribute) -> bool:
    above = draft.parent(node)
    if isinstance(above, cst.Call):
        return above.func is node
    return isinstance(above, cst.Attribute) and above.attr.value in _CALLED_OF


def _in_init(draft: Draft, node: cst.CSTNode) -> bool:
    function = draft.around(node, cst.FunctionDef)
    return function is not None and function.name.value == "__init__"


def _exists(scope: cst.ClassDef, name: str) -> bool:
    return any(x.attr.value == name for x in nodes_of(scope, cst.Attribute))


def wrap(draft: Draft, node: cst.CSTNode, call: str) -> None:
    """Plan a call in place of an expression; it is written with `_` for the expression, its first argument."""
    outer = cst.parse_expression(call)
    assert isinstance(outer, cst.Call)
    first, *rest = outer.args
    draft.change(node, lambda inner: outer.with_changes(args=[first.with_changes(value=inner), *rest]))


def define(draft: Draft, name: str, text: str, users: list[cst.CSTNode]) -> None:
    """Plan a class in front of the first statement of the file's top level that makes use of it; the same one only once."""
    if draft.defined.get(name) == text:
        return
    if name in draft.defined or any(isinstance(x, cst.ClassDef) and x.name.value == name for x in draft.tree.body):
        raise CannotPatch(f"`{draft.name}` has a `{name}` of its own")
    draft.defined[name] = text
    first = min((top_statement(draft, x) for x in users), key=draft.line)
    draft.add_before(first, text, blank=2)


def _code(draft: Draft, node: cst.CSTNode) -> str:
    return draft.tree.code_for_node(node).strip()
