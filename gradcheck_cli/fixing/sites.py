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
    made = []
    for (file, node), layers in built.items():
        draft = project.draft(file)
        others = [x for x in _fellows(project, layers[0]) if x not in layers and node in {c for _, c in _calls_of(project, x)}]
        own = {layer.name for layer in wanted}
        beside = tuple(x for x in others if x.name not in own)
        made.append(Construction(draft=draft, call=node, layers=tuple(layers), others=beside))
    return made


def built_beside(project: Project, made: Sequence[Construction]) -> None:
    """Note the layers that a changed line builds beside those that the edit names."""
    for each in made:
        if each.others:
            names = ", ".join(f"`{x.name}`" for x in each.others[:3]) + (" …" if len(each.others) > 3 else "")
            project.note(f"{each.draft.name}:{each.draft.line(each.call)} also builds {names}: changed as well")


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
            return inside
    return []


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
