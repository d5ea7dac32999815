"""Another activation: in the constructor call, in the class that is handed on, or in the functional call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.loops import keep_last
from gradcheck_cli.fixing.names import full_name, spell
from gradcheck_cli.fixing.operations import calls_of, is_method, operand, operand_of
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import class_name, constructions, listed, refuse_beside
from gradcheck_cli.records import Edit, LayerProfile

# name → class, its arguments, function and its further arguments
_FORMS = {
    "relu": ("ReLU", "", "torch.relu", ""),
    "leaky_relu": ("LeakyReLU", "0.1", "torch.nn.functional.leaky_relu", "0.1"),
    "elu": ("ELU", "", "torch.nn.functional.elu", ""),
    "selu": ("SELU", "", "torch.selu", ""),
    "gelu": ("GELU", "", "torch.nn.functional.gelu", ""),
    "silu": ("SiLU", "", "torch.nn.functional.silu", ""),
    "tanh": ("Tanh", "", "torch.tanh", ""),
    "softplus": ("Softplus", "", "torch.nn.functional.softplus", ""),
    "identity": ("Identity", "", "", ""),
}
_METHODS = ("relu", "tanh")
_INPLACE = ("relu", "leaky_relu", "elu", "selu", "silu")


def apply(project: Project, edit: Edit) -> None:
    to = str(edit.options["to"])
    if to not in _FORMS:
        raise CannotPatch(f"there is no form for the activation {to} in source")
    layers = [project.layer(name) for name in edit.layers]
    for draft, call in calls_of(project, [x for x in layers if x.functional]):
        _switch_call(draft, call, to)
    _switch_modules(project, [x for x in layers if not x.functional], to)


def _switch_modules(project: Project, layers: Sequence[LayerProfile], to: str) -> None:
    try:
        made = constructions(project, [x.name for x in layers])
    except CannotPatch as refused:
        for layer in {x.kind: x for x in layers}.values():
            _switch_reference(project, layer, to, refused)
        _refuse_kin(project, layers)
        return
    refuse_beside([each for each in made if not keep_last(project, each)])
    for each in made:
        each.draft.replace(each.call, activation_call(each.draft, to, each.call))


def _refuse_kin(project: Project, layers: Sequence[LayerProfile]) -> None:
    """A class that is handed on builds all layers of the kind at these lines."""
    names, lines = {x.name for x in layers}, {(x.kind, x.site) for x in layers}
    others = [x for x in project.profile.layers if not x.functional and x.name not in names]
    kin = [x for x in others if (x.kind, x.site) in lines or (x.kind, None) in lines]
    if kin:
        raise CannotPatch(f"the line that names the class also stands for {listed(kin)}")


def activation_call(draft: Draft, to: str, instead_of: cst.Call | None = None) -> cst.BaseExpression:
    """Write the constructor of an activation as the file would; what stood there says whether it works in place."""
    name, arguments, _, _ = _FORMS[to]
    inplace = (
        instead_of is not None and to in _INPLACE and any(a.keyword and a.keyword.value == "inplace" for a in instead_of.args)
    )
    given = ", ".join(x for x in (arguments, "inplace=True" if inplace else "") if x)
    return cst.parse_expression(f"{spell(draft, f'torch.nn.{name}')}({given})")


def activation_source(draft: Draft, to: str) -> str:
    """Write the constructor of an activation as text."""
    return draft.tree.code_for_node(activation_call(draft, to))


def _switch_reference(project: Project, layer: LayerProfile, to: str, refused: CannotPatch) -> None:
    """The class itself is handed on (`act=nn.Sigmoid`), or its name is (`act="sigmoid"`)."""
    for file in project.files():
        draft = project.draft(file)
        references = [x for x in _references(draft) if class_name(draft, x) == layer.kind]
        if len(references) == 1 and not _in_choice(draft, references[0]):
            if _FORMS[to][1]:
                raise CannotPatch(f"{draft.name}:{draft.line(references[0])} names a class, and {to} needs an argument")
            draft.replace(references[0], cst.parse_expression(spell(draft, f"torch.nn.{_FORMS[to][0]}")))
            return
        words = [x for x in nodes_of(draft.tree, cst.SimpleString) if x.evaluated_value == layer.kind.lower()]
        chosen = [x for x in words if not _in_choice(draft, x)]
        known = any(x.evaluated_value == to and _in_choice(draft, x) for x in nodes_of(draft.tree, cst.SimpleString))
        if len(chosen) == 1 and known:
            quote = chosen[0].value[0]
            draft.replace(chosen[0], cst.SimpleString(f"{quote}{to}{quote}"))
            return
    raise refused


def _references(draft: Draft) -> list[cst.BaseExpression]:
    names: list[cst.BaseExpression] = [*nodes_of(draft.tree, cst.Name), *nodes_of(draft.tree, cst.Attribute)]
    outer = [x for x in names if not isinstance(draft.parent(x), (cst.Attribute, cst.ImportAlias, cst.AsName))]
    return [x for x in outer if full_name(draft, x).startswith("torch.nn.")]


def _in_choice(draft: Draft, node: cst.CSTNode) -> bool:
    """Say whether a node stands where names are turned into activations: in a dictionary, a comparison or a match."""
    return any(
        draft.around(node, kind) is not None for kind in (cst.DictElement, cst.ComparisonTarget, cst.Comparison, cst.MatchCase)
    )


def _switch_call(draft: Draft, call: cst.Call, to: str) -> None:
    if to == "identity":
        unwrap(draft, call)
        return
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    if name.endswith("_") and not (is_method(draft, call) and to in _METHODS):
        raise CannotPatch(f"{draft.name}:{draft.line(call)} works in place, which has no form for {to}")
    if is_method(draft, call) and to in _METHODS:
        fresh = cst.Name(to + "_" * name.endswith("_"))
        draft.change(call, lambda node: _with(node, func=_with(_with(node).func, attr=fresh), args=[]))
        return
    _, _, function, further = _FORMS[to]
    func = cst.parse_expression(spell(draft, function))
    more = [cst.Arg(cst.parse_expression(further))] if further else []
    draft.change(call, lambda node: _with(node, func=func, args=[cst.Arg(operand_of(draft, call, node)), *more]))


def _with(node: cst.CSTNode, **changes: object) -> Any:
    return node.with_changes(**changes)


def unwrap(draft: Draft, call: cst.Call) -> None:
    """Plan the operand in place of the call that is applied to it."""
    operand(draft, call)  # raises when there is none to see
    draft.change(call, lambda node: _bare(operand_of(draft, call, node)))


def _bare(value: cst.BaseExpression) -> cst.BaseExpression:
    """Put an operation in brackets, because it takes the place of a call."""
    simple = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)
    return value if isinstance(value, simple) or value.lpar else _with(value, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
