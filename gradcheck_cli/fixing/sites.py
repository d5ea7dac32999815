"""Recorded layers → the expressions that build them."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of, walk
from gradcheck_cli.fixing.names import full_name, last_name
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import LayerProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Construction:
    """A call that builds layers of an edit: `layers` are those that the edit names, `others` what it builds beside them."""

    draft: Draft
    call: cst.Call
    layers: tuple[LayerProfile, ...]
    others: tuple[LayerProfile, ...] = ()


def constructions(project: Project, names: Sequence[str]) -> list[Construction]:
    """Return the calls that build the named layers, each once; raises CannotPatch for a layer built by no visible call."""
    wanted = [project.layer(name) for name in names]
    built: dict[tuple[str, cst.Call], list[LayerProfile]] = {}
    for layer in wanted:
        for call in _calls_of(project, layer):
            built.setdefault((call[0].name, call[1]), []).append(layer)
    beside: dict[tuple[str, cst.Call], list[LayerProfile]] = {}
    for layer in _not_in(project, wanted):
        for key in _keys(project, layer) & built.keys():
            beside.setdefault(key, []).append(layer)
    return [
        Construction(draft=project.draft(key[0]), call=key[1], layers=tuple(layers), others=tuple(beside.get(key, ())))
        for key, layers in built.items()
    ]


def _not_in(project: Project, wanted: Sequence[LayerProfile]) -> list[LayerProfile]:
    names, kinds = {x.name for x in wanted}, {x.kind for x in wanted}
    return [x for x in project.profile.layers if not x.functional and x.kind in kinds and x.name not in names]


def _keys(project: Project, layer: LayerProfile) -> set[tuple[str, cst.Call]]:
    """Return the calls that may build a layer; none if no call is to be seen."""
    try:
        return {(draft.name, call) for draft, call in _calls_of(project, layer)}
    except CannotPatch:
        return set()


def refuse_beside(made: Sequence[Construction]) -> None:
    """Raise CannotPatch if a line to be changed also builds layers that the trial left as they were."""
    for each in made:
        if each.others:
            raise CannotPatch(f"{each.draft.name}:{each.draft.line(each.call)} also builds {listed(each.others)}")


def listed(layers: Sequence[LayerProfile]) -> str:
    """Name layers that a cure leaves alone."""
    names = ", ".join(f"`{x.name}`" for x in layers[:3]) + (" …" if len(layers) > 3 else "")
    return f"{names}, which the cure leaves alone"


def _fellows(project: Project, layer: LayerProfile) -> list[LayerProfile]:
    """Return the layers of the same kind built at the same line, in the order of their names."""
    same = [x for x in project.profile.layers if not x.functional and x.kind == layer.kind and x.site == layer.site]
    return sorted(same, key=lambda x: _natural(x.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.]", name)]


def _calls_of(project: Project, layer: LayerProfile) -> list[tuple[Draft, cst.Call]]:
    if layer.site is None:
        raise CannotPatch(f"the line that builds `{layer.name}` is not known")
    draft = project.draft(layer.site.file)
    calls = calls_at(draft, layer.kind, layer.site.line)
    if len(calls) > 1:
        calls = _own_call(calls, _fellows(project, layer), layer)
    if not calls:
        raise CannotPatch(f"no `{layer.kind}(...)` that builds `{layer.name}` stands at {draft.name}:{layer.site.line}")
    return [(draft, call) for call in calls]


@functools.lru_cache(maxsize=256)
def calls_at(draft: Draft, kind: str, line: int) -> list[cst.Call]:
    """Return the constructor calls of a class on a line, else in the statement there, else in the function around it."""
    calls = [x for x in nodes_of(draft.tree, cst.Call) if class_name(draft, x.func) == kind]
    at = [x for x in calls if draft.line(x) == line]
    if at:
        return at
    spanning = [x for x in _statements(draft) if draft.line(x) <= line <= draft.last_line(x)]
    for statement in reversed(spanning):  # innermost first
        inside = [x for x in calls if x in set(walk(statement))]
        if inside and not isinstance(statement, cst.ClassDef):
            return _collected(spanning[-1], draft, inside)
    return []


def _collected(user: cst.CSTNode, draft: Draft, calls: list[cst.Call]) -> list[cst.Call]:
    """Return those that went into the lists which a statement names, `nn.Sequential(*layers)`; all if that is not plain."""
    lists = [_list_of(draft, call) for call in calls]
    named = {x.value for x in nodes_of(user, cst.Name)}
    chosen = [call for call, name in zip(calls, lists, strict=True) if name in named]
    return chosen if chosen and all(lists) else calls


def small_statement(draft: Draft, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
    """Return what stands between semicolons around a node; None in the head of a loop or a class."""
    current: cst.CSTNode | None = node
    while current is not None and not isinstance(current, cst.BaseSmallStatement):
        current = draft.parent(current)
    return current


def _list_of(draft: Draft, call: cst.Call) -> str:
    """Return the local name that `layers.append(...)`, `layers += [...]` or `layers = [...]` puts a new layer under."""
    small = small_statement(draft, call)
    value: cst.CSTNode | None = None
    if isinstance(small, cst.Assign) and len(small.targets) == 1:
        value = small.targets[0].target
    elif isinstance(small, cst.AugAssign):
        value = small.target
    elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Call) and isinstance(small.value.func, cst.Attribute):
        value = small.value.func.value
    return value.value if isinstance(value, cst.Name) else ""


def class_name(draft: Draft, node: cst.BaseExpression) -> str:
    return full_name(draft, node).rpartition(".")[2] or last_name(node)


def _statements(draft: Draft) -> list[cst.CSTNode]:
    kinds = (cst.SimpleStatementLine, cst.BaseCompoundStatement)
    found = [x for x in walk(draft.tree) if isinstance(x, kinds)]
    return sorted(found, key=lambda x: (draft.line(x), -draft.last_line(x)))


def _own_call(calls: list[cst.Call], fellows: list[LayerProfile], layer: LayerProfile) -> list[cst.Call]:
    """Several calls on one line build as many layers for each instance of the class around: the n-th builds the n-th."""
    parent = layer.name.rpartition(".")[0]
    siblings = [x for x in fellows if x.name.rpartition(".")[0] == parent]
    if len(siblings) == len(calls):
        return [calls[siblings.index(layer)]]
    if len(fellows) == len(calls):
        return [calls[fellows.index(layer)]]
    return calls
